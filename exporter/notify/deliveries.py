"""What was already sent, so that a repeated delivery of the same notification is not sent twice.

A key is a digest of the notification, the target and one URL; nothing can be read back from it. Memory is bounded by
number: the oldest is forgotten first, which risks a second text rather than a lost one. In the journal a row is a
digest and a time, written after each successful send, so that a restart does not send a text twice.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Protocol

from exporter.errors import ExporterError
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
        # until when one of several exporters has it for itself to send
        "ALTER TABLE notify_delivery ADD COLUMN claimed_until {real} NOT NULL DEFAULT 0;",
    ),
)
MOST_DELIVERIES: Final = 20_000
"""Each takes about 200 bytes."""


CLAIM: Final = 30.0
"""Seconds for which an exporter has a text for itself; whoever dies over it holds it up for so long."""


class SentElsewhere(ExporterError):
    """Another exporter is sending this text. Transient: its outcome is not known yet."""

    code = "sent_elsewhere"


class Deliveries(Protocol):
    """Remembers successful sends. Times are Unix seconds."""

    async def sent_after(self, key: bytes, moment: float) -> bool:
        """Tell whether `key` was sent later than `moment`; if not, it is ours to send.

        Raises JournalUnavailable, SentElsewhere.
        """

    async def give_up(self, key: bytes) -> None:
        """Let others try what we could not send; raises JournalUnavailable."""

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

    async def give_up(self, key: bytes) -> None:
        """Do nothing: there are no others."""

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


class SharedDeliveries(JournalDeliveries):
    """Deliveries of several exporters: each text is sent by the one that claims it in the journal."""

    def __init__(self, transact: Transact, clock: Callable[[], float]) -> None:
        super().__init__(transact)
        self._clock = clock

    async def sent_after(self, key: bytes, moment: float) -> bool:
        """Tell whether anybody has sent `key`; if not, claim it."""
        if await super().sent_after(key, moment):
            return True
        now = self._clock()
        return await self._transact(PIECE.name, lambda transaction: claim(transaction, key, moment, now))

    async def give_up(self, key: bytes) -> None:
        """Give the claim back."""
        await self._transact(PIECE.name, lambda transaction: release(transaction, key))


def claim(transaction: Transaction, key: bytes, moment: float, now: float) -> bool:
    """Tell whether a delivery was made after `moment`; if not, it is claimed. SentElsewhere: another one has."""
    claimed = transaction.run(
        "INSERT INTO notify_delivery (key, sent_at, claimed_until) VALUES (?, 0, ?) "
        "ON CONFLICT (key) DO UPDATE SET claimed_until = excluded.claimed_until "
        "WHERE notify_delivery.sent_at <= ? AND notify_delivery.claimed_until <= ?",
        (key, now + CLAIM, moment, now),
    )
    if claimed:
        return False
    if transaction.rows("SELECT 1 FROM notify_delivery WHERE key = ? AND sent_at > ?", (key, moment)):
        return True
    raise SentElsewhere("another exporter is sending this text")


def release(transaction: Transaction, key: bytes) -> None:
    """Give a claim back."""
    transaction.run("UPDATE notify_delivery SET claimed_until = 0 WHERE key = ?", (key,))


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
    transaction.run("DELETE FROM notify_delivery WHERE sent_at < ? AND claimed_until < ?", (since, since))
    return transaction.rows("SELECT key, sent_at FROM notify_delivery WHERE sent_at >= ? ORDER BY sent_at", (since,))
