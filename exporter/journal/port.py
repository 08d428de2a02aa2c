"""What the rest of the exporter knows of the storage: protocols, and no database.

SQL that features hand in is of the subset that SQLite from 3.35 on and PostgreSQL share: `ON CONFLICT`, `RETURNING`,
placeholders `?`; no `INSERT OR`, no scalar `max(a, b)`, no functions of JSON. Beside their own tables features may read
the journal's `device` (id, device_id, identity), `identity` (id and the fields of `Identity`) and `event` (seq, device,
timestamp, kind, identity, received_ms), which have these columns in every database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from exporter.domain.records import Blind, History, Rejected

_Result = TypeVar("_Result")


class Rows(Protocol):
    """A view of the tables. JournalUnavailable where they cannot be read."""

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""


class Reader(Rows, Protocol):
    """A view of the journal for reports, the API and features. Blocks, never writes. Times are Unix seconds."""

    def device_count(self) -> int:
        """Return how many devices `histories` yields."""

    def histories(self) -> Iterator[History]:
        """Yield the history of every device, in order of arrival, forgotten ones included. Memory does not grow."""

    def device(self, device_id: str) -> History | None:
        """Return the history of one device, None if the journal does not know it."""

    def disconnects_since(self, start: int) -> list[tuple[str, int]]:
        """Return (device id, event time) of each disconnect since `start` outside planned windows, in order."""

    def blind_intervals(self) -> list[Blind]:
        """Return all blind intervals in order."""

    def rejected(self, number: int | None = None) -> list[Rejected]:
        """Return the quarantine, or one entry of it, oldest first."""


class Read(Protocol):
    """Runs a job on a view of the journal in which all is that was acknowledged before. JournalUnavailable."""

    async def __call__(self, job: Callable[[Reader], _Result], /) -> _Result:
        """Return the job's result."""


class Transaction(Rows, Protocol):
    """A transaction that is open: all of it becomes durable, or nothing. Blocks; lives in the journal's thread."""

    def run(self, sql: str, values: Sequence[object] = ()) -> int:
        """Run a statement; return how many rows it changed."""

    def many(
        self,
        table: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[object]],
        *,
        key: Sequence[str],
        replace: bool = True,
    ) -> None:
        """Insert rows of numbers, texts and None, in few statements whatever their number.

        `key` are the columns that tell a row from others; one that is there is replaced, or left as it is.
        """


class Transact(Protocol):
    """Runs a job in one transaction; a failure is counted under `operation`. JournalUnavailable, Overloaded."""

    async def __call__(self, operation: str, job: Callable[[Transaction], _Result], /) -> _Result:
        """Return the job's result once it is durable."""


class Piece(NamedTuple):
    """What one feature adds to the schema, under its name.

    `migrations` are forward ones, each with statements in the shared subset. Where the databases differ there is a
    placeholder: {serial}, the type of a rising number that is the key; {bigint}, {real} and {bytes}, types;
    {without_rowid}, after the parenthesis of a table that is kept in the order of its key.
    """

    name: str
    migrations: tuple[str, ...]
