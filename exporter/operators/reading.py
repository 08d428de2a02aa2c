"""What the journal knows for operators' pages. For jobs of `Recorder.read`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exporter.incidents.view import Filter, View
from exporter.sessions.store import reasons_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.domain.records import History
    from exporter.domain.timeline import Outage
    from exporter.incidents.model import Incident
    from exporter.journal.port import Reader

MOST_OUTAGES: Final = 50
"""Outages on a device's page, the newest ones."""


@dataclass(frozen=True)
class OutageLine:
    """One outage of a device, and what is known of it."""

    outage: Outage
    reason: str
    """A class of reasons; empty where no gateway told one."""
    incident: Incident | None


@dataclass(frozen=True)
class Facts:
    """One device in the journal."""

    history: History
    blind: Sequence[tuple[float, float]]
    outages: list[OutageLine]
    """Newest first."""
    planned: list[tuple[int, int | None]]
    """Newest first."""


def facts_of(reader: Reader, device_id: str, now: float) -> Facts | None:
    """Return what a device's page says of it; None if the journal does not know it."""
    history = reader.device(device_id)
    if history is None:
        return None
    incidents = {one.started_at: one for one in View(reader).page(Filter(device_id=device_id), now, limit=1000)}
    reasons = reasons_of(reader, device_id)
    newest = history.outages[: -MOST_OUTAGES - 1 : -1]
    lines = [OutageLine(one, reasons.get(one.start, ""), incidents.get(one.start)) for one in newest]
    return Facts(history, reader.blind_intervals(), lines, history.planned[:-11:-1])
