"""What the standard library lacks; it stands on nothing else of the exporter."""
