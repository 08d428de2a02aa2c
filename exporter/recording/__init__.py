"""The single writer: events into the journal, then onto the fleet."""
