"""What was sent, in the journal's file, so that a restart does not send it twice.

A row holds a digest and a time, nothing else. Written after each successful send: one small transaction a text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from exporter.notify.deliveries import MOST_DELIVERIES, MemoryDeliveries

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

_Result = TypeVar("_Result")

OPERATION: Final = "notify"


class Transact(Protocol):
    """Runs a job in one transaction of the journal's writer thread; raises JournalUnavailable or Overloaded."""

    async def __call__(self, operation: str, job: Callable[[sqlite3.Connection], _Result], /) -> _Result:
        """Return the job's result once it is durable."""


class JournalDeliveries(MemoryDeliveries):
    """Deliveries that write through to the journal. Call `load` once the journal is ready, before the first request."""

    def __init__(self, transact: Transact) -> None:
        super().__init__(persist=self._insert)
        self._transact = transact

    async def load(self, since: float) -> None:
        """Learn what was sent after `since` (Unix seconds), and drop older rows."""
        self.restore(await self._transact(OPERATION, lambda connection: _load(connection, since)))

    async def _insert(self, key: bytes, sent_at: float) -> None:
        await self._transact(OPERATION, lambda connection: _insert(connection, key, sent_at))


def _insert(connection: sqlite3.Connection, key: bytes, sent_at: float) -> None:
    connection.execute("INSERT OR REPLACE INTO notify_delivery (key, sent_at) VALUES (?, ?)", (key, sent_at))
    connection.execute(
        "DELETE FROM notify_delivery WHERE sent_at < "
        "(SELECT sent_at FROM notify_delivery ORDER BY sent_at DESC LIMIT 1 OFFSET ?)",
        (MOST_DELIVERIES,),
    )


def _load(connection: sqlite3.Connection, since: float) -> list[tuple[bytes, float]]:
    connection.execute("DELETE FROM notify_delivery WHERE sent_at < ?", (since,))
    return connection.execute("SELECT key, sent_at FROM notify_delivery ORDER BY sent_at").fetchall()
