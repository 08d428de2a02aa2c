"""What is kept of sessions beside the events: soft states that wait, and the reasons of outages.

Jobs for `Recorder.transact`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from exporter.journal.port import Piece

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from exporter.journal.port import Rows, Transaction

PIECE: Final = Piece(
    "sessions",
    (
        """
        CREATE TABLE soft_state (
            device_id TEXT NOT NULL, at_ms {bigint} NOT NULL, deadline {real} NOT NULL, reason TEXT NOT NULL,
            PRIMARY KEY (device_id, at_ms)) {without_rowid};
        CREATE TABLE outage_reason (
            device_id TEXT NOT NULL, start {bigint} NOT NULL, reason TEXT NOT NULL,
            PRIMARY KEY (device_id, start)) {without_rowid};
        CREATE TABLE session_blind (
            device_id TEXT NOT NULL, start {bigint} NOT NULL, "end" {bigint} NOT NULL,
            PRIMARY KEY (device_id, start)) {without_rowid};
        """,
    ),
)


class Soft(NamedTuple):
    """A soft state that waits. `deadline`, Unix seconds, is when it has lasted too long."""

    device_id: str
    at_ms: int
    deadline: float
    reason: str


def load_soft(transaction: Transaction) -> list[Soft]:
    """Return all that wait."""
    rows = transaction.rows("SELECT device_id, at_ms, deadline, reason FROM soft_state ORDER BY at_ms")
    return [Soft._make(row) for row in rows]


def save_soft(transaction: Transaction, soft: Soft) -> None:
    """Keep one; one that is there already keeps its deadline."""
    transaction.many("soft_state", Soft._fields, [soft], key=("device_id", "at_ms"), replace=False)


def drop_soft(transaction: Transaction, device_id: str, until_ms: int) -> None:
    """Drop those of a device up to a time."""
    transaction.run("DELETE FROM soft_state WHERE device_id = ? AND at_ms <= ?", (device_id, until_ms))


def load_reasons(transaction: Transaction) -> list[tuple[str, int, str]]:
    """Return (device, start, reason) of every outage whose reason is known."""
    return transaction.rows("SELECT device_id, start, reason FROM outage_reason ORDER BY start")


def reasons_of(tables: Rows, device_id: str) -> dict[int, str]:
    """Return the reason of each outage of a device that has one, by its start."""
    return dict(tables.rows("SELECT start, reason FROM outage_reason WHERE device_id = ?", (device_id,)))


def save_reason(transaction: Transaction, rows: Sequence[tuple[str, int, str]]) -> None:
    """Keep why outages began."""
    transaction.many("outage_reason", ("device_id", "start", "reason"), rows, key=("device_id", "start"))


def save_blind(transaction: Transaction, device_id: str, start: int, end: int) -> None:
    """Keep a time in which nothing was known of a device, Unix seconds."""
    transaction.run(
        'INSERT INTO session_blind (device_id, start, "end") VALUES (?, ?, ?) '
        'ON CONFLICT (device_id, start) DO UPDATE SET "end" = excluded."end"',
        (device_id, start, end),
    )


def prune(transaction: Transaction, before: int, down: Collection[tuple[str, int]]) -> None:
    """Drop what lies before a time, Unix seconds, but the reasons of the outages that run: `down`, (device, start).

    How long nothing was known stays: it goes into one row of the gateway, from 0 on, which is no device's.
    """
    running = [
        (device_id, start, reason)
        for device_id, start in down
        if start < before and (reason := reasons_of(transaction, device_id).get(start))
    ]
    transaction.run("DELETE FROM outage_reason WHERE start < ?", (before,))
    save_reason(transaction, running)
    old = 'SELECT device_id, "end" - start FROM session_blind WHERE start = 0 OR "end" < ?'
    seconds: Counter[str] = Counter()
    for device_id, length in transaction.rows(old, (before,)):
        seconds[f"{device_id.partition(':')[0]}:"] += length
    transaction.run('DELETE FROM session_blind WHERE "end" < ?', (before,))
    for gateway, length in seconds.items():
        save_blind(transaction, gateway, 0, length)


def blind_seconds(transaction: Transaction) -> dict[str, int]:
    """Return how long nothing was known, by device."""
    rows = transaction.rows(
        'SELECT device_id, SUM("end" - start) FROM session_blind WHERE "end" > start GROUP BY device_id'
    )  # what a former version noted when its clock had been ahead is no time
    return {device_id: int(seconds) for device_id, seconds in rows}  # a sum of PostgreSQL's is a Decimal


def happened(transaction: Transaction, device_id: str, start: int, end: int, *, up: bool) -> bool:
    """Return whether the journal has a connect (or disconnect) of a device in [start, end], Unix seconds."""
    found = transaction.rows(
        "SELECT 1 FROM event e JOIN device d ON d.id = e.device "
        "WHERE d.device_id = ? AND e.kind = ? AND e.timestamp BETWEEN ? AND ? LIMIT 1",
        (device_id, int(up), start, end),
    )
    return bool(found)
