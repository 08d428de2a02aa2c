"""Device disconnect webhooks in; exact, durable metrics, alerts, incidents and reports out."""

__version__ = "0.2.0"
