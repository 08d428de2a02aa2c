"""Checkpoints and retention: the saved state in the database, and the events that it makes superfluous."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from exporter.domain.records import Checkpoint, SavedDevice, SavedGroup, SavedHistogram
from exporter.domain.timeline import Kind, Timeline, fold
from exporter.journal.sqlite import meta

if TYPE_CHECKING:
    import sqlite3

    from exporter.journal.sqlite.names import Names

ENCODE_ROWS: Final = 500
PRUNE_DEVICES: Final = 200  # device rows folded per transaction, so that appends come in between

_encode: Final = msgspec.json.encode
_State = TypeVar("_State", SavedDevice, SavedGroup, SavedHistogram)

_OLD: Final = (
    "device >= ? AND device < ? AND timestamp < ? AND seq <= ? "
    "AND device NOT IN (SELECT device FROM event WHERE seq > ? AND timestamp < ?)"
)
"""A device that has an old event beyond the checkpoint waits for the next time: a base must be older than all that is
left."""


def save(connection: sqlite3.Connection, names: Names, checkpoint: Checkpoint) -> None:
    """Merge a checkpoint into the saved state, in the open transaction."""
    devices = [(names.device(state.identity.device_id), state) for state in checkpoint.devices]
    forgotten = [names.device(device_id) for device_id in checkpoint.forgotten]
    _replace(connection, "saved_device", 2, devices)
    _replace(connection, "saved_group", 3, [(state.engine, state.business_id, state) for state in checkpoint.groups])
    _replace(connection, "saved_histogram", 2, [(state.engine, state) for state in checkpoint.histograms])
    connection.execute(
        "DELETE FROM saved_device WHERE device IN (SELECT value FROM json_each(?))", (_encode(forgotten).decode(),)
    )
    meta.put(connection, "checkpoint_seq", checkpoint.seq)
    meta.put(connection, "checkpoint_ms", checkpoint.saved_ms)


def load(connection: sqlite3.Connection) -> Checkpoint | None:
    """Return the saved state as one checkpoint; None if there is none."""
    seq = meta.get(connection, "checkpoint_seq")
    if not seq:
        return None
    return Checkpoint(
        seq,
        meta.get(connection, "checkpoint_ms"),
        _states(connection, "saved_device", SavedDevice),
        [],
        _states(connection, "saved_group", SavedGroup),
        _states(connection, "saved_histogram", SavedHistogram),
    )


def prune(connection: sqlite3.Connection, before: int, first_device: int) -> int | None:
    """Fold old events of some devices into their bases, in the open transaction (see `Journal.prune`)."""
    last_device = first_device + PRUNE_DEVICES
    meta.put(connection, "pruned_before", max(before, meta.get(connection, "pruned_before")))
    checkpoint = meta.get(connection, "checkpoint_seq")
    span = (first_device, last_device, before, checkpoint, checkpoint, before)
    events: dict[int, list[tuple[int, Kind]]] = {}
    query = f"SELECT device, timestamp, kind FROM event WHERE {_OLD}"  # noqa: S608 - a constant
    for device, timestamp, kind in connection.execute(query, span):
        events.setdefault(device, []).append((timestamp, Kind(kind)))
    for device, old in events.items():
        text = connection.execute("SELECT base FROM device WHERE id = ?", (device,)).fetchone()[0]
        state = _encode(fold(old, base(text))).decode()
        connection.execute("UPDATE device SET base = ? WHERE id = ?", (state, device))
    connection.execute(f"DELETE FROM event WHERE {_OLD}", span)  # noqa: S608 - a constant
    newest = connection.execute("SELECT max(id) FROM device").fetchone()[0] or 0
    return last_device if last_device <= newest else None


def base(text: str | None) -> Timeline | None:
    """Return what retention kept of a device's pruned events."""
    return msgspec.json.decode(text, type=Timeline | None) if text else None


def _replace(connection: sqlite3.Connection, table: str, columns: int, rows: list[tuple[Any, ...]]) -> None:
    """Write rows, some at a time: while they are encoded the interpreter is not free for the event loop."""
    values = ", ".join(f"json_extract(value, '$[{column}]')" for column in range(columns))
    statement = f"INSERT OR REPLACE INTO {table} SELECT {values} FROM json_each(?)"  # noqa: S608 - constants
    for start in range(0, len(rows), ENCODE_ROWS):
        connection.execute(statement, (_encode(rows[start : start + ENCODE_ROWS]).decode(),))


def _states(connection: sqlite3.Connection, table: str, kind: type[_State]) -> list[_State]:
    decode = msgspec.json.Decoder(kind).decode
    rows = connection.execute(f"SELECT state FROM {table}")  # noqa: S608 - a constant
    return [decode(row[0]) for row in rows]
