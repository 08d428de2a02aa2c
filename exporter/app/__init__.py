"""The running process: parts, features, the live configuration."""
