"""Checkpoints, retention and the quarantine in the database: statements, no state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from exporter.domain.records import Checkpoint, SavedDevice, SavedGroup, SavedHistogram
from exporter.journal import reading
from exporter.journal.port import Loaded
from exporter.journal.postgres.transaction import PostgresTransaction
from exporter.journal.retention import fold_old

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.domain.identity import Identity
    from exporter.journal.port import Transaction
    from exporter.journal.postgres.link import Connection

QUARANTINE_LIMIT: Final = 1000

_State = TypeVar("_State", SavedDevice, SavedGroup, SavedHistogram)
_encode: Final = msgspec.json.encode

_RAISE: Final = """
WITH turn AS MATERIALIZED (SELECT one FROM lock_row FOR UPDATE)
UPDATE saved SET pruned_before = %s FROM turn WHERE saved.one = turn.one AND pruned_before < %s
"""
_TURN: Final = """
SELECT at_ms, CASE WHEN set_back THEN exposing_until_ms ELSE least(at_ms, exposing_until_ms) END, heard_ms,
    coalesce(%s::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
FROM turn ORDER BY number DESC LIMIT 1
"""


def load(connection: Connection, identities: Sequence[Identity], now_ms: int | None) -> Loaded:
    """Return the saved state, in the open transaction (see `Journal`). `now_ms`: the time in place of the server's."""
    seq, saved_ms, pruned_before = connection.execute("SELECT seq, saved_ms, pruned_before FROM saved").fetchall()[0]
    at_ms, exposed_ms, heard_ms, clock_ms = connection.execute(_TURN, (now_ms,)).fetchall()[0]
    checkpoint = None
    if seq:
        checkpoint = Checkpoint(
            seq,
            saved_ms,
            _states(connection, "saved_device", SavedDevice),
            [],
            _states(connection, "saved_group", SavedGroup),
            _states(connection, "saved_histogram", SavedHistogram),
        )
    blind = reading.blind_intervals(PostgresTransaction(connection))
    return Loaded(checkpoint, identities, pruned_before, blind, at_ms, exposed_ms, heard_ms, 0, clock_ms)


def save(transaction: Transaction, checkpoint: Checkpoint) -> None:
    """Merge a checkpoint into the saved state, in the open transaction; an older one than the saved is left out."""
    if not transaction.run(
        "UPDATE saved SET seq = ?, saved_ms = ? WHERE seq <= ?", (checkpoint.seq, checkpoint.saved_ms, checkpoint.seq)
    ):
        return
    ids = [state.identity.device_id for state in checkpoint.devices] + checkpoint.forgotten
    rows = dict(transaction.rows("SELECT device_id, id FROM device WHERE device_id = ANY(?)", (ids,)))
    devices = [(rows[state.identity.device_id], _text(state)) for state in checkpoint.devices]
    transaction.many("saved_device", ("device", "state"), devices, key=("device",))
    groups = [(state.engine, state.business_id, _text(state)) for state in checkpoint.groups]
    transaction.many("saved_group", ("engine", "business_id", "state"), groups, key=("engine", "business_id"))
    histograms = [(state.engine, _text(state)) for state in checkpoint.histograms]
    transaction.many("saved_histogram", ("engine", "state"), histograms, key=("engine",))
    gone = [rows[device_id] for device_id in checkpoint.forgotten]
    transaction.run("DELETE FROM saved_device WHERE device = ANY(?)", (gone,))


def refuse_older(connection: Connection, before: int) -> None:
    """Let no event be appended from now on that is older than `before`; one statement, as it has the lock."""
    connection.execute(_RAISE, (before, before))


def prune(transaction: Transaction, before: int, first_device: int) -> int | None:
    """Fold old events of some devices into their bases, in the open transaction (see `Journal.prune`)."""
    return fold_old(transaction, before, first_device, transaction.rows("SELECT seq FROM saved")[0][0])


def quarantine(
    transaction: Transaction, code: str, message: str, payload: bytes | None, digest: str, now_ms: int
) -> int:
    """Keep a rejected body, in the open transaction (see `Journal`)."""
    again = "UPDATE quarantine SET times = times + 1, received_ms = ? WHERE digest = ?"
    if not transaction.run(again, (now_ms, digest)):  # an upsert would take a number all the same
        transaction.run(
            "INSERT INTO quarantine (received_ms, code, message, digest, payload, times) VALUES (?, ?, ?, ?, ?, 1) "
            "ON CONFLICT (digest) DO UPDATE SET times = quarantine.times + 1",
            (now_ms, code, message, digest, payload),
        )
    oldest = "SELECT id FROM quarantine ORDER BY id DESC LIMIT 1 OFFSET ?"
    transaction.run(f"DELETE FROM quarantine WHERE id <= ({oldest})", (QUARANTINE_LIMIT,))  # noqa: S608 - a constant
    count: int = transaction.rows("SELECT count(*) FROM quarantine")[0][0]
    return count


def _text(state: object) -> str:
    return _encode(state).decode()


def _states(connection: Connection, table: str, kind: type[_State]) -> list[_State]:
    decode = msgspec.json.Decoder(kind).decode
    rows: list[tuple[Any, ...]] = connection.execute(f"SELECT state FROM {table}").fetchall()  # noqa: S608 - a constant
    return [decode(row[0]) for row in rows]
