"""Incidents: one for each outage past its threshold, with what happened and what people did about it."""
