"""The three HTTP listeners: webhooks, which face the internet; metrics, API and operators' pages; pages for all."""
