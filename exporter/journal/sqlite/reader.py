"""Reads the SQLite journal beside a running exporter: for reports, the API and the command line. Never writes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from exporter.domain.records import Rejected
from exporter.errors import JournalUnavailable
from exporter.journal import reading
from exporter.journal.sqlite.connecting import ERRORS, connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from exporter.domain.records import Blind, History


class SqliteReader:
    """`Reader` (see there) on one file."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise JournalUnavailable(f"{path}: no such journal")
        try:
            self._connection = connect(path, read_only=True)
        except ERRORS as error:
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
        with _telling():
            return self._connection.execute(sql, tuple(values)).fetchall()

    def device_count(self) -> int:
        """Return how many devices `histories` yields."""
        count: int = self.rows("SELECT count(*) FROM device")[0][0]
        return count

    def histories(self) -> Iterator[History]:
        """Yield the history of every device, in order of arrival, forgotten ones included. Memory does not grow."""
        events = self._one_by_one("SELECT device, timestamp, kind FROM event ORDER BY device, timestamp")
        return reading.histories(self, self._one_by_one(f"{reading.DEVICES} ORDER BY d.id"), events)

    def device(self, device_id: str) -> History | None:
        """Return the history of one device, None if the journal does not know it."""
        return reading.device(self, device_id)

    def disconnects_since(self, start: int) -> list[tuple[str, int]]:
        """Return (device id, event time) of each disconnect since `start` outside planned windows, in order."""
        return reading.disconnects_since(self, start)

    def blind_intervals(self) -> list[Blind]:
        """Return all blind intervals in order, Unix seconds."""
        return reading.blind_intervals(self)

    def rejected(self, number: int | None = None) -> list[Rejected]:
        """Return the quarantine, or one entry of it, oldest first."""
        query = "SELECT id, received_ms / 1000.0, code, message, times, payload FROM quarantine"
        rows = self.rows(f"{query} ORDER BY id") if number is None else self.rows(f"{query} WHERE id = ?", (number,))
        return [Rejected(*row) for row in rows]

    def _one_by_one(self, sql: str) -> Iterator[tuple[Any, ...]]:
        with _telling():
            for row in self._connection.execute(sql):  # noqa: UP028 - `yield from` would close it when the file is closed
                yield row


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except ERRORS as error:
        raise JournalUnavailable(f"the journal cannot be read: {error}") from error
