"""Telegram with buttons: one message an outage, that says who has it, and how it ended."""
