"""Reads the SQLite journal beside a running exporter: for reports, the API and the command line. Never writes."""

from __future__ import annotations

import sqlite3
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Self

from exporter.domain.identity import Identity
from exporter.domain.records import Blind, Rejected
from exporter.domain.timeline import Kind
from exporter.errors import JournalUnavailable
from exporter.journal.history import history
from exporter.journal.sqlite.connecting import connect
from exporter.journal.sqlite.names import SELECTED
from exporter.journal.sqlite.saved import base
from exporter.journal.told import with_told

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from exporter.domain.records import History
    from exporter.domain.timeline import Event

_DEVICES = f"""
SELECT d.id, d.base, {SELECTED}
FROM device d JOIN identity i ON i.id = d.identity
"""  # noqa: S608 - constants

_DISCONNECTS = f"""
SELECT d.device_id, e.timestamp FROM event e JOIN device d ON d.id = e.device
WHERE e.timestamp >= ? AND e.kind = ? AND coalesce((
    SELECT boundary.kind FROM event boundary WHERE boundary.device = e.device AND boundary.timestamp <= e.timestamp
        AND boundary.kind IN ({Kind.PLANNED:d}, {Kind.PLANNED_END:d}) ORDER BY boundary.timestamp DESC LIMIT 1), 0)
    <> {Kind.PLANNED:d}
ORDER BY e.timestamp
"""  # noqa: S608 - constants


class SqliteReader:
    """`Reader` (see there) on one file."""

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
            yield self._history(row, own)

    def device(self, device_id: str) -> History | None:
        """Return the history of one device, None if the journal does not know it."""
        row = self._connection.execute(_DEVICES + "WHERE d.device_id = ?", (device_id,)).fetchone()
        if row is None:
            return None
        events = self._connection.execute("SELECT timestamp, kind FROM event WHERE device = ?", (row[0],))
        return self._history(row, [(timestamp, Kind(kind)) for timestamp, kind in events])

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

    def _history(self, row: tuple[str, ...], events: list[Event]) -> History:
        return with_told(self, history(Identity(*row[2:]), events, base(row[1])))
