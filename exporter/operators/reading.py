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
    from exporter.journal.port import Reader, Rows

MOST_OUTAGES: Final = 50
"""Outages on a device's page, the newest ones."""
_AT_ONCE: Final = 500


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


def open_numbers(tables: Rows, device_ids: Sequence[str]) -> dict[str, int]:
    """Return the number of the open incident of each of these devices that has one."""
    found: dict[str, int] = {}
    for begin in range(0, len(device_ids), _AT_ONCE):
        some = device_ids[begin : begin + _AT_ONCE]
        places = ", ".join("?" * len(some))
        query = f"SELECT device_id, number FROM incident WHERE resolved_at IS NULL AND device_id IN ({places})"  # noqa: S608
        found |= {row[0]: row[1] for row in tables.rows(query, some)}
    return found
