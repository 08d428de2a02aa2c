"""Gateways that are known, as data: see `exporter.gateways.mapping` for the words."""
