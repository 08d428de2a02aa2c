"""The two HTTP listeners: the webhook that faces the internet, and the admin side for metrics, API and pages."""
