"""The journal in PostgreSQL: several exporters over one database."""
