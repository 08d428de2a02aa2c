"""Who has an outage: said on a page that every message links to, kept in the journal, silenced until it ends."""
