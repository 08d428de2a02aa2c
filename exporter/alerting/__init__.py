"""The direct path: firing alerts go straight to Alertmanager's API, in milliseconds."""
