"""The table of conversations in SQLite. Runs in the journal's writer thread, on its connection.

One row a conversation: channel, engine, business, keyed hash, three event times and whether it waits for a human. No
conversation id, content or name. `save` is one statement over a JSON array, so that the interpreter lock is free while
SQLite works; callers keep batches small (see `snapshots`), so that appends of device events need not wait long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import msgspec

from exporter.impact.conversations import Row

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

_Result = TypeVar("_Result")

OPERATION: Final = "impact"
"""No index on `last`: it would double the pages that each save writes, and only rare operations would use it."""

_SAVE: Final = """
INSERT OR REPLACE INTO conversation
    (channel_id, engine, business_id, conversation, previous, first, last, need_human)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
       json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
       json_extract(value, '$[6]'), json_extract(value, '$[7]')
FROM json_each(?)
"""
_LOAD: Final = """
SELECT channel_id, engine, business_id, conversation, previous, first, last, need_human
FROM conversation ORDER BY last
"""


class Store(Protocol):
    """Where rows are kept. Any method may raise sqlite3.Error or JournalUnavailable."""

    def load(self) -> list[Row]:
        """Return all rows, those with the oldest last message first."""

    def save(self, rows: Sequence[Row]) -> None:
        """Insert or replace rows, in one transaction."""

    def prune(self, before: int, keep: int) -> None:
        """Delete rows whose last message is before a time, and the oldest beyond `keep` rows."""


class SqliteStore:
    """`Store` on a connection whose schema is up to date; the caller opens and ends the transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def load(self) -> list[Row]:
        """Return all rows (see `Store`)."""
        return [Row._make((*row[:7], bool(row[7]))) for row in self._connection.execute(_LOAD)]

    def save(self, rows: Sequence[Row]) -> None:
        """Insert or replace rows (see `Store`)."""
        self._connection.execute(_SAVE, (msgspec.json.encode(rows).decode(),))

    def prune(self, before: int, keep: int) -> None:
        """Delete what is not needed any more (see `Store`)."""
        self._connection.execute("DELETE FROM conversation WHERE last < ?", (before,))
        if self._connection.execute("SELECT count(*) FROM conversation").fetchone()[0] <= keep:
            return
        self._connection.execute(
            "DELETE FROM conversation WHERE last < (SELECT last FROM conversation ORDER BY last DESC LIMIT 1 OFFSET ?)",
            (max(0, keep - 1),),
        )


class Transact(Protocol):
    """Runs a job in one transaction of the journal's writer thread; raises JournalUnavailable or Overloaded."""

    async def __call__(self, operation: str, job: Callable[[sqlite3.Connection], _Result], /) -> _Result:
        """Return the job's result once it is durable."""


class JournalStore:
    """The same for the event loop: each call is one transaction of the journal (see `snapshots`)."""

    def __init__(self, transact: Transact) -> None:
        self._transact = transact

    async def load(self) -> list[Row]:
        """Return all rows, those with the oldest last message first."""
        return await self._transact(OPERATION, lambda connection: SqliteStore(connection).load())

    async def save(self, rows: Sequence[Row]) -> None:
        """Insert or replace rows."""
        await self._transact(OPERATION, lambda connection: SqliteStore(connection).save(rows))

    async def prune(self, before: int, keep: int) -> None:
        """Delete what is not needed any more."""
        await self._transact(OPERATION, lambda connection: SqliteStore(connection).prune(before, keep))
