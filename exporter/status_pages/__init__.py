"""Pages for people outside: how a business' devices are and were, without an id, a number or an internal note."""
