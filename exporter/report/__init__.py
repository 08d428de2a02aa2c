"""Exact availability from the journal: the arithmetic, and the `report` command that prints it."""
