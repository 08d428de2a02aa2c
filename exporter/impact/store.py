"""The tables of conversations, of channels' last messages and of what outages affected. Jobs for `Recorder.transact`.

One row a conversation: channel, engine, business, keyed hash, three event times and whether it waits for a human. No
conversation id, content or name. Callers keep batches small, so that appends of device events need not wait long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exporter.impact.conversations import Row
from exporter.impact.heard import Heard
from exporter.journal.port import Piece

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.journal.port import Transaction

PIECE: Final = Piece(
    "impact",
    (
        # no index on `last`: it would double the pages that each save writes, and only rare operations would use it
        """
        CREATE TABLE conversation (
            channel_id TEXT NOT NULL, conversation {bigint} NOT NULL, engine TEXT NOT NULL, business_id TEXT NOT NULL,
            previous {bigint} NOT NULL, first {bigint} NOT NULL, last {bigint} NOT NULL, need_human {bigint} NOT NULL,
            PRIMARY KEY (channel_id, conversation)) {without_rowid};
        CREATE TABLE outage_impact (
            device_id TEXT NOT NULL, start {bigint} NOT NULL, affected {bigint} NOT NULL, waiting {bigint} NOT NULL,
            PRIMARY KEY (device_id, start)) {without_rowid};
        """,
        """
        CREATE TABLE channel_message (
            channel_id TEXT PRIMARY KEY, last_in {bigint} NOT NULL, last_out {bigint} NOT NULL) {without_rowid};
        """,
    ),
)
_ROW: Final = ("channel_id", "engine", "business_id", "conversation", "previous", "first", "last", "need_human")
_OUTAGE: Final = ("device_id", "start", "affected", "waiting")

Affected = tuple[str, int, int, int]
"""A device, the start of its outage, the conversations that it affected, and those of them that waited."""


def load(transaction: Transaction) -> list[Row]:
    """Return all conversations, those with the oldest last message first."""
    rows = transaction.rows(f"SELECT {', '.join(_ROW)} FROM conversation ORDER BY last")  # noqa: S608 - constants
    return [Row._make((*row[:7], bool(row[7]))) for row in rows]


def load_since(transaction: Transaction, moment: int) -> list[Row]:
    """Return the conversations that had a message since a time."""
    rows = transaction.rows(f"SELECT {', '.join(_ROW)} FROM conversation WHERE last >= ?", (moment,))  # noqa: S608 - constants
    return [Row._make((*row[:7], bool(row[7]))) for row in rows]


def save(transaction: Transaction, rows: Sequence[Row]) -> None:
    """Insert or replace conversations."""
    given = [(*row[:7], int(row.need_human)) for row in rows]
    transaction.many("conversation", _ROW, given, key=("channel_id", "conversation"))


def prune(transaction: Transaction, before: int, keep: int) -> None:
    """Delete conversations whose last message is before a time, and the oldest beyond `keep` of them."""
    transaction.run("DELETE FROM conversation WHERE last < ?", (before,))
    if transaction.rows("SELECT count(*) FROM conversation")[0][0] > keep:
        transaction.run(
            "DELETE FROM conversation WHERE last < (SELECT last FROM conversation ORDER BY last DESC LIMIT 1 OFFSET ?)",
            (max(0, keep - 1),),
        )


def load_heard(transaction: Transaction, since: int = 0) -> list[Heard]:
    """Return when channels last had messages, of those that had one since a time; the longest silent first."""
    rows = transaction.rows(
        "SELECT channel_id, last_in, last_out FROM channel_message WHERE last_in >= ? OR last_out >= ? "
        "ORDER BY CASE WHEN last_in > last_out THEN last_in ELSE last_out END",
        (since, since),
    )
    return list(map(Heard._make, rows))


def save_heard(transaction: Transaction, rows: Sequence[Heard]) -> None:
    """Keep when channels last had messages."""
    transaction.many("channel_message", Heard._fields, rows, key=("channel_id",))


def prune_heard(transaction: Transaction, before: int) -> None:
    """Delete the channels that had no message since a time."""
    transaction.run("DELETE FROM channel_message WHERE last_in < ? AND last_out < ?", (before, before))


def load_affected(transaction: Transaction) -> list[Affected]:
    """Return what every outage affected."""
    return transaction.rows(f"SELECT {', '.join(_OUTAGE)} FROM outage_impact")  # noqa: S608 - constants


def save_affected(transaction: Transaction, rows: Sequence[Affected]) -> None:
    """Keep what outages affected."""
    transaction.many("outage_impact", _OUTAGE, rows, key=("device_id", "start"))
