"""What was already sent, so that a repeated delivery of the same notification is not sent twice.

A key is a digest of the notification, the target and one URL; nothing can be read back from it. Memory is bounded by
number: the oldest is forgotten first, which risks a second text rather than a lost one. In the journal a row is a
digest and a time, written after each successful send, so that a restart does not send a text twice.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Protocol

from exporter.journal.port import Piece

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from exporter.journal.port import Transact, Transaction

PIECE: Final = Piece(
    "notify",
    (
        """
        CREATE TABLE notify_delivery (key {bytes} PRIMARY KEY, sent_at {real} NOT NULL) {without_rowid};
        CREATE INDEX notify_delivery_sent_at ON notify_delivery (sent_at);
        """,
    ),
)
MOST_DELIVERIES: Final = 20_000
"""Each takes about 200 bytes."""


class Deliveries(Protocol):
    """Remembers successful sends. Times are Unix seconds."""

    async def sent_after(self, key: bytes, moment: float) -> bool:
        """Tell whether `key` was sent later than `moment`; raises JournalUnavailable."""

    async def record(self, key: bytes, sent_at: float) -> None:
        """Remember a successful send; raises JournalUnavailable."""


class MemoryDeliveries:
    """Deliveries in memory; with `persist`, written through to a durable table, whose rows `restore` brings back."""

    def __init__(
        self, *, limit: int = MOST_DELIVERIES, persist: Callable[[bytes, float], Awaitable[None]] | None = None
    ) -> None:
        self._limit = limit
        self._persist = persist
        self._sent: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sent)

    def restore(self, rows: Iterable[tuple[bytes, float]]) -> None:
        """Take in rows of (key, time of sending), the oldest first."""
        for key, sent_at in rows:
            self._remember(key, sent_at)

    async def sent_after(self, key: bytes, moment: float) -> bool:
        """Tell whether `key` was sent later than `moment`."""
        return self._sent.get(key, moment) > moment

    async def record(self, key: bytes, sent_at: float) -> None:
        """Remember first, so that a failing table does not make this process send twice; raises what `persist` does."""
        self._remember(key, sent_at)
        if self._persist is not None:
            await self._persist(key, sent_at)

    def _remember(self, key: bytes, sent_at: float) -> None:
        self._sent[key] = sent_at
        self._sent.move_to_end(key)
        while len(self._sent) > self._limit:
            self._sent.popitem(last=False)


def delivery_key(notification: bytes, url: str) -> bytes:
    """Return the 16-byte key of one notification (its identity, target included) at one URL."""
    return hashlib.blake2b(url.encode(), key=notification, digest_size=16).digest()


class JournalDeliveries(MemoryDeliveries):
    """Deliveries that write through to the journal. Call `load` once the journal is ready, before the first request."""

    def __init__(self, transact: Transact) -> None:
        super().__init__(persist=self._insert)
        self._transact = transact

    async def load(self, since: float) -> None:
        """Learn what was sent after `since` (Unix seconds), and drop older rows."""
        self.restore(await self._transact(PIECE.name, lambda transaction: load(transaction, since)))

    async def _insert(self, key: bytes, sent_at: float) -> None:
        await self._transact(PIECE.name, lambda transaction: insert(transaction, key, sent_at))


def insert(transaction: Transaction, key: bytes, sent_at: float) -> None:
    """Keep a delivery, and not too many."""
    transaction.run(
        "INSERT INTO notify_delivery (key, sent_at) VALUES (?, ?) "
        "ON CONFLICT (key) DO UPDATE SET sent_at = excluded.sent_at",
        (key, sent_at),
    )
    transaction.run(
        "DELETE FROM notify_delivery WHERE sent_at < "
        "(SELECT sent_at FROM notify_delivery ORDER BY sent_at DESC LIMIT 1 OFFSET ?)",
        (MOST_DELIVERIES,),
    )


def load(transaction: Transaction, since: float) -> list[tuple[bytes, float]]:
    """Drop what was sent before `since`; return (key, time of sending) of the rest, the oldest first."""
    transaction.run("DELETE FROM notify_delivery WHERE sent_at < ?", (since,))
    return transaction.rows("SELECT key, sent_at FROM notify_delivery ORDER BY sent_at")
