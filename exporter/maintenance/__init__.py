"""Planned maintenance: when its windows are, which devices are inside, and who tells the journal."""
