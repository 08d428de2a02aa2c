"""What the reader of every storage asks in the same words. JournalUnavailable where `rows` raises it.

JournalDamaged where what is there cannot be what was written.
"""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from exporter.domain.records import Blind
from exporter.domain.timeline import Kind
from exporter.errors import JournalDamaged
from exporter.journal.history import history
from exporter.journal.identities import SELECTED, shared
from exporter.journal.retention import base
from exporter.journal.told import with_told

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from exporter.domain.records import History
    from exporter.journal.port import Rows

_Rows = TypeVar("_Rows")

DEVICES: Final = f"SELECT d.id, d.base, {SELECTED} FROM device d JOIN identity i ON i.id = d.identity"  # noqa: S608
_DISCONNECTS: Final = f"""
SELECT d.device_id, e.timestamp FROM event e JOIN device d ON d.id = e.device
WHERE e.timestamp >= ? AND e.kind = ? AND coalesce((
    SELECT boundary.kind FROM event boundary WHERE boundary.device = e.device AND boundary.timestamp <= e.timestamp
        AND boundary.kind IN ({Kind.PLANNED:d}, {Kind.PLANNED_END:d}) ORDER BY boundary.timestamp DESC LIMIT 1), 0)
    <> {Kind.PLANNED:d}
ORDER BY e.timestamp
"""  # noqa: S608 - constants


def histories(
    rows: Rows, devices: Iterable[Sequence[Any]], events: Iterable[tuple[int, int, int]]
) -> Iterator[History]:
    """Yield the history of each row of DEVICES; both are in the order of the devices' rows, events by time within."""
    by_device = groupby(events, itemgetter(0))
    current = next(by_device, None)
    for row in devices:
        while current is not None and current[0] < row[0]:
            current = next(by_device, None)
        if current is not None and current[0] == row[0]:
            yield _history(rows, row, ((timestamp, kind) for _, timestamp, kind in current[1]))
            current = next(by_device, None)
        else:
            yield _history(rows, row, ())


def device(rows: Rows, device_id: str) -> History | None:
    """Return the history of one device, None if the journal does not know it."""
    found = rows.rows(f"{DEVICES} WHERE d.device_id = ?", (device_id,))
    if not found:
        return None
    events = rows.rows("SELECT timestamp, kind FROM event WHERE device = ?", (found[0][0],))
    return _history(rows, found[0], events)


def disconnects_since(rows: Rows, start: int) -> list[tuple[str, int]]:
    """Return (device id, event time) of each disconnect since `start` outside planned windows, in order."""
    return _typed(rows.rows(_DISCONNECTS, (start, Kind.DISCONNECTED)), list[tuple[str, int]])


def blind_intervals(rows: Rows) -> list[Blind]:
    """Return all blind intervals in order, Unix seconds."""
    found = rows.rows("SELECT start_ms, end_ms FROM blind ORDER BY start_ms")
    return [Blind(start / 1000, end / 1000) for start, end in _typed(found, list[tuple[int, int]])]


def _typed(found: list[tuple[Any, ...]], of: type[_Rows]) -> _Rows:
    """Return rows as what they are."""
    try:
        return msgspec.convert(found, of)
    except msgspec.ValidationError as error:
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> JournalDamaged:
    return JournalDamaged(f"the journal cannot be read: {error}")


def _history(rows: Rows, row: Sequence[Any], events: Iterable[tuple[int, int]]) -> History:
    try:
        own = [(timestamp, Kind(kind)) for timestamp, kind in events]
        found = history(shared(row[2:]), own, base(row[1]))
    except (ValueError, TypeError, msgspec.MsgspecError) as error:
        raise _unreadable(error) from error
    return with_told(rows, found)
