"""Reads the SQLite journal beside a running exporter: for reports, the API and the command line. Never writes."""

from __future__ import annotations

import logging
import sqlite3
import time
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from exporter.domain.identity import Identity
from exporter.domain.records import Blind, History, Rejected
from exporter.domain.timeline import Kind, Outage, Timeline, fold, outages
from exporter.errors import JournalUnavailable
from exporter.journal.sqlite.database import connect, storage_path
from exporter.journal.sqlite.log import last_number
from exporter.lib.logs import fields

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from exporter.domain.timeline import Event

log = logging.getLogger(__name__)

TAKEN_OVER_WITHIN: Final = 3.0  # seconds; a running exporter needs a quarter of one

_DEVICES = """
SELECT d.id, d.base, i.device_id, i.device_name, i.engine, i.channel_id, i.channel_name, i.business_id,
       i.business_name, i.user_id, i.user_name
FROM device d JOIN identity i ON i.id = d.identity
"""

_DISCONNECTS = f"""
SELECT d.device_id, e.timestamp FROM event e JOIN device d ON d.id = e.device
WHERE e.timestamp >= ? AND e.kind = ? AND coalesce((
    SELECT boundary.kind FROM event boundary WHERE boundary.device = e.device AND boundary.timestamp <= e.timestamp
        AND boundary.kind IN ({Kind.PLANNED:d}, {Kind.PLANNED_END:d}) ORDER BY boundary.timestamp DESC LIMIT 1), 0)
    <> {Kind.PLANNED:d}
ORDER BY e.timestamp
"""  # noqa: S608 - constants

Span = tuple[int, int | None]


class Reader:
    """A read-only view. Methods raise JournalUnavailable where the file cannot be read."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise JournalUnavailable(f"{path}: no such journal")
        try:
            self._connection = connect(path, read_only=True)
        except sqlite3.Error as error:
            raise JournalUnavailable(f"{path}: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    def appended(self) -> int:
        """Return the number of the last record that the journal's file has, 0 if there was none."""
        row = self._connection.execute("SELECT value FROM meta WHERE key = 'appended_seq'").fetchone()
        return row[0] if row else 0

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query (see `Rows`). JournalUnavailable."""
        try:
            return self._connection.execute(sql, tuple(values)).fetchall()
        except sqlite3.Error as error:
            raise JournalUnavailable(f"the journal cannot be read: {error}") from error

    def device_count(self) -> int:
        """Return how many devices `histories` yields."""
        count: int = self._one("SELECT count(*) FROM device")
        return count

    def histories(self) -> Iterator[History]:
        """Yield the history of every device, in order of arrival, forgotten ones included. Memory does not grow."""
        events = self._connection.execute("SELECT device, timestamp, kind FROM event ORDER BY device, timestamp")
        by_device = groupby(events, itemgetter(0))
        current = next(by_device, None)
        for row in self._connection.execute(_DEVICES + "ORDER BY d.id"):
            own: list[Event] = []
            if current is not None and current[0] == row[0]:
                own = [(timestamp, Kind(kind)) for _, timestamp, kind in current[1]]
                current = next(by_device, None)
            yield _history(row, own)

    def device(self, device_id: str) -> History | None:
        """Return the history of one device, None if the journal does not know it."""
        row = self._connection.execute(_DEVICES + "WHERE d.device_id = ?", (device_id,)).fetchone()
        if row is None:
            return None
        events = self._connection.execute("SELECT timestamp, kind FROM event WHERE device = ?", (row[0],))
        return _history(row, [(timestamp, Kind(kind)) for timestamp, kind in events])

    def disconnects_since(self, start: int) -> list[tuple[str, int]]:
        """Return (device id, event time) of each disconnect since `start` outside planned windows, in order."""
        return self._connection.execute(_DISCONNECTS, (start, Kind.DISCONNECTED)).fetchall()

    def blind_intervals(self) -> list[Blind]:
        """Return all blind intervals in order, Unix seconds."""
        rows = self._connection.execute("SELECT start_ms, end_ms FROM blind ORDER BY start_ms")
        return [Blind(start / 1000, end / 1000) for start, end in rows]

    def rejected(self, number: int | None = None) -> list[Rejected]:
        """Return the quarantine, or one entry of it, oldest first."""
        query = "SELECT id, received_ms / 1000.0, code, message, times, payload FROM quarantine"
        if number is None:
            return [Rejected(*row) for row in self._connection.execute(query + " ORDER BY id")]
        return [Rejected(*row) for row in self._connection.execute(query + " WHERE id = ?", (number,))]

    def _one(self, query: str) -> int:
        value: int = self._connection.execute(query).fetchone()[0]
        return value


def open_reader(storage_url: str) -> Reader:
    """Open the journal of a storage URL. ConfigError for a bad URL, JournalUnavailable if there is none.

    What was acknowledged before the call is in it, after a short wait if need be; where no exporter runs that would
    take it over from the log, a warning says so.
    """
    path = Path(storage_path(storage_url))
    reader = Reader(path)
    try:
        _wait(reader, last_number(path))
    except OSError as error:
        log.warning("the log beside the journal cannot be read", extra=fields(error=str(error)))
    return reader


def _wait(reader: Reader, number: int) -> None:
    deadline = time.monotonic() + TAKEN_OVER_WITHIN
    while reader.appended() < number:
        if time.monotonic() > deadline:
            log.warning("the newest events are still in the log beside the journal; they show after the next start")
            return
        time.sleep(0.02)


def _history(row: tuple[str, ...], events: list[Event]) -> History:
    """Fold a device's events, one fold for each span between cuts."""
    base = msgspec.json.decode(row[1], type=Timeline | None) if row[1] else None
    cuts = sorted(timestamp for timestamp, kind in events if kind is Kind.FORGOTTEN)
    found: list[Outage] = []
    observed: list[Span] = []
    planned: list[Span] = []
    after = -1
    for cut in (*cuts, None):
        span = [event for event in events if event[0] > after and (cut is None or event[0] < cut)]
        timeline = fold(span, base)
        if timeline is not None:
            # of what was pruned only the last state is known, and since when
            observed.append((timeline.first_seen if base is None else base.since, cut))
            found += [Outage(o.start, cut if o.end is None else o.end) for o in outages(span, base)]
            planned += _windows(span, base, observed[-1])
        base, after = None, cut if cut is not None else after
    return History(Identity(*row[2:]), found, observed, planned)


def _windows(events: list[Event], base: Timeline | None, observed: Span) -> list[Span]:
    """Pair the boundaries of planned windows within one span."""
    first, cut = observed
    begin = base.planned.since if base is not None and base.planned is not None else None
    found: list[Span] = []
    for timestamp, kind in sorted(events):
        if kind is Kind.PLANNED and begin is None:
            begin = timestamp
        elif kind is Kind.PLANNED_END and begin is not None:
            found.append((max(begin, first), max(timestamp, first)))
            begin = None
    return found if begin is None else [*found, (max(begin, first), cut)]
