"""The scrape: `GET /metrics` of a large fleet at the cost of what changed since the last one."""

from exporter.metrics.exposition.negotiate import Negotiated, negotiate
from exporter.metrics.exposition.render import Exposition

__all__ = ["Exposition", "Negotiated", "negotiate"]
