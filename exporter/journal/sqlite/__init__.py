"""The journal on SQLite; nobody above knows of it."""
