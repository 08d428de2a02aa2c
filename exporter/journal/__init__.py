"""The journal: what was acknowledged, durably, in order of arrival."""
