"""Senders of webhooks, each behind the same door."""
