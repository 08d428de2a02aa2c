"""What the journal knows of one device, as reports and backfill read it: the corrected truth."""

from __future__ import annotations

import msgspec

from exporter.identity import Identity
from exporter.timeline import Outage


class History(msgspec.Struct, frozen=True):
    """One device. All times are event times in whole Unix seconds, in order and without overlap."""

    identity: Identity
    """The newest one; a device counts under it for the whole window."""
    outages: list[Outage]
    """In order; only the last can be running (`end` is None)."""
    observed: list[tuple[int, int | None]]
    """Spans in which the device is known, the last one open (None) while it is. Forgetting ends a span, and with it an
    outage that runs; the next event begins another one. A span never reaches back behind pruned events."""

    @property
    def first_seen(self) -> int | None:
        """Event time of the first event, None if nothing is known."""
        return self.observed[0][0] if self.observed else None
