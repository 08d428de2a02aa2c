"""Exact availability from the journal: the arithmetic, and what a report looks like."""
