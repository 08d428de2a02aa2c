"""Reads the journal in PostgreSQL: for reports, the API and the command line. Never writes.

A reader is a snapshot: whatever it is asked, it answers as of one moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import psycopg

from exporter.domain.records import Rejected
from exporter.journal import reading
from exporter.journal.postgres.advice import advice
from exporter.journal.postgres.transaction import PostgresTransaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from exporter.domain.records import Blind, History
    from exporter.journal.port import Reader
    from exporter.journal.postgres.link import Connection

_Result = TypeVar("_Result")

PAGE: Final = 2_000
"""Rows that are fetched at once."""
_BEGIN: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_REJECTED: Final = (
    "SELECT id, received_ms / 1000.0::float8, code, message, times, payload FROM quarantine "
    "WHERE %s::bigint IS NULL OR id = %s ORDER BY id"
)


class Readers:
    """Connections that read, each for one job at a time; idle ones are kept."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = for_reading(given)
        self._idle: list[Connection] = []

    def run(self, job: Callable[[Reader], _Result]) -> _Result:
        """Run a job on a snapshot that holds all that was acknowledged before. JournalUnavailable."""
        try:
            connection = self._begin()
        except psycopg.Error as error:
            raise advice(error, self._given) from error
        try:
            result = job(PostgresReader(connection, self._given))
            connection.execute("COMMIT")
        except psycopg.Error as error:
            connection.close()
            raise advice(error, self._given) from error
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return result

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop().close()

    def _begin(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            try:
                connection.execute(_BEGIN)
            except psycopg.Error:  # it ended while nobody used it
                connection.close()
            else:
                return connection
        connection = psycopg.connect(**self._given, autocommit=True, prepare_threshold=None)  # type: ignore[arg-type]
        connection.execute(_BEGIN)
        return connection


class PostgresReader:
    """`Reader` (see there) on a connection with a snapshot."""

    def __init__(self, connection: Connection, given: Mapping[str, str]) -> None:
        self._connection = connection
        self._given = given

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query (see `Rows`). JournalUnavailable."""
        try:
            return PostgresTransaction(self._connection).rows(sql, values)
        except psycopg.Error as error:
            raise advice(error, self._given) from error

    def device_count(self) -> int:
        """Return how many devices `histories` yields."""
        count: int = self.rows("SELECT count(*) FROM device WHERE identity IS NOT NULL")[0][0]
        return count

    def histories(self) -> Iterator[History]:
        """Yield the history of every device, in order of arrival, forgotten ones included. Memory does not grow."""
        with self._connection.cursor("events") as events, self._connection.cursor("devices") as devices:
            events.itersize = devices.itersize = PAGE
            events.execute("SELECT device, timestamp, kind FROM event ORDER BY device, timestamp")
            yield from reading.histories(self, devices.execute(f"{reading.DEVICES} ORDER BY d.id"), events)

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
        return [Rejected(*row) for row in self._connection.execute(_REJECTED, (number, number))]


def for_reading(given: Mapping[str, str]) -> Mapping[str, str]:
    """Return what to connect with where nothing is written: the server that has everything, rights or not."""
    return {**given, "target_session_attrs": "primary"}


def open_reader(given: Mapping[str, str]) -> PostgresReader:
    """Return a reader on a connection of its own. JournalUnavailable."""
    try:
        connection = psycopg.connect(**for_reading(given), autocommit=True, prepare_threshold=None)  # type: ignore[arg-type]
        connection.execute(_BEGIN)
    except psycopg.Error as error:
        raise advice(error, given) from error
    return PostgresReader(connection, given)
