"""Checkpoints and retention: the saved state in the database, and the events that it makes superfluous."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from exporter.domain.records import Checkpoint, SavedDevice, SavedGroup, SavedHistogram
from exporter.journal.retention import fold_old
from exporter.journal.sqlite import meta
from exporter.journal.sqlite.transaction import SqliteTransaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator

    from exporter.journal.sqlite.names import Names

SLICE: Final = 200  # rows of a checkpoint written per transaction, so that appends come in between

_FIRST, _SECOND, _THIRD = (f"json_extract(value, '$[{place}]')" for place in range(3))  # SQLite before 3.38 has no ->>

_GENERATION: Final = "checkpoint_generation"
_encode: Final = msgspec.json.encode
_State = TypeVar("_State", SavedDevice, SavedGroup, SavedHistogram)


def steps(checkpoint: Checkpoint) -> Iterator[Callable[[sqlite3.Connection, Names], None]]:
    """Yield what merges a checkpoint into the saved state, each for a transaction of its own.

    Rows are written beside those that hold, under the next generation; no state stands for a forgotten device. The step
    that makes it the present one is the checkpoint: before it nothing of this counts, after it all. What it replaced is
    deleted by the steps that follow, or, if they are never run, when the same device or group is saved again.
    """
    devices = [(state.identity.device_id, state) for state in checkpoint.devices]
    rows = [*devices, *((device_id, None) for device_id in checkpoint.forgotten)]
    yield partial(_put_in_order, rows)
    groups = [(state.engine, state.business_id, state) for state in checkpoint.groups]
    device_slices = [rows[start : start + SLICE] for start in range(0, len(rows), SLICE)]
    group_slices = [groups[start : start + SLICE] for start in range(0, len(groups), SLICE)]
    for some in device_slices:
        yield partial(_put_devices, some)
    for several in group_slices:
        yield partial(_put_groups, several)
    yield partial(_make_present, checkpoint)
    for some in device_slices:
        yield partial(_drop_former_devices, [device_id for device_id, _ in some])
    for several in group_slices:
        yield partial(_drop_former_groups, several)


def _put_in_order(rows: list[tuple[str, SavedDevice | None]], _: sqlite3.Connection, names: Names) -> None:
    """Sort as the table is: neighbours share a page, which is written once for all of them and not once for each."""
    rows.sort(key=lambda row: names.device(row[0]))


def _put_devices(rows: list[tuple[str, SavedDevice | None]], connection: sqlite3.Connection, names: Names) -> None:
    named = [(names.device(device_id), state) for device_id, state in rows]
    statement = f"INSERT OR REPLACE INTO saved_device SELECT {_FIRST}, ?, {_SECOND} FROM json_each(?)"  # noqa: S608
    connection.execute(statement, (_generation(connection) + 1, _json(named)))


def _put_groups(rows: list[tuple[str, str, SavedGroup]], connection: sqlite3.Connection, _: Names) -> None:
    statement = f"INSERT OR REPLACE INTO saved_group SELECT {_FIRST}, {_SECOND}, ?, {_THIRD} FROM json_each(?)"  # noqa: S608
    connection.execute(statement, (_generation(connection) + 1, _json(rows)))


def _make_present(checkpoint: Checkpoint, connection: sqlite3.Connection, _: Names) -> None:
    states = [(state.engine, _encode(state).decode()) for state in checkpoint.histograms]
    connection.executemany("INSERT OR REPLACE INTO saved_histogram VALUES (?, ?)", states)
    meta.put(connection, _GENERATION, _generation(connection) + 1)
    meta.put(connection, "checkpoint_seq", checkpoint.seq)
    meta.put(connection, "checkpoint_ms", checkpoint.saved_ms)


def _drop_former_devices(device_ids: list[str], connection: sqlite3.Connection, names: Names) -> None:
    connection.execute(
        "DELETE FROM saved_device WHERE device IN (SELECT value FROM json_each(?1)) "
        "AND (generation < ?2 OR (generation = ?2 AND state IS NULL))",
        (_json([names.device(device_id) for device_id in device_ids]), _generation(connection)),
    )


def _drop_former_groups(groups: list[tuple[str, str, SavedGroup]], connection: sqlite3.Connection, _: Names) -> None:
    connection.execute(
        f"DELETE FROM saved_group WHERE (engine, business_id) IN (SELECT {_FIRST}, {_SECOND} FROM json_each(?)) "  # noqa: S608
        "AND generation < ?",
        (_json([(engine, business_id) for engine, business_id, _ in groups]), _generation(connection)),
    )


def _generation(connection: sqlite3.Connection) -> int:
    return meta.get(connection, _GENERATION)


def load(connection: sqlite3.Connection) -> Checkpoint | None:
    """Return the saved state as one checkpoint; None if there is none."""
    seq = meta.get(connection, "checkpoint_seq")
    if not seq:
        return None
    return Checkpoint(
        seq,
        meta.get(connection, "checkpoint_ms"),
        _present(connection, "saved_device", "device", SavedDevice),
        [],
        _present(connection, "saved_group", "engine, business_id", SavedGroup),
        _decoded(connection.execute("SELECT state FROM saved_histogram"), SavedHistogram),
    )


def settle(connection: sqlite3.Connection) -> None:
    """Leave nothing but the rows that hold, in the open transaction, so that another kind of database can take them."""
    for table, key in (("saved_device", "device"), ("saved_group", "engine, business_id")):
        present = f"SELECT {key}, max(generation) FROM {table} WHERE generation <= ? GROUP BY {key}"  # noqa: S608
        others = f"DELETE FROM {table} WHERE ({key}, generation) NOT IN ({present}) OR state IS NULL"  # noqa: S608
        connection.execute(others, (_generation(connection),))
        connection.execute(f"UPDATE {table} SET generation = 0")  # noqa: S608 - constants
    meta.put(connection, _GENERATION, 0)


def prune(connection: sqlite3.Connection, before: int, first_device: int) -> int | None:
    """Fold old events of some devices into their bases, in the open transaction (see `Journal.prune`)."""
    meta.put(connection, "pruned_before", max(before, meta.get(connection, "pruned_before")))
    return fold_old(SqliteTransaction(connection), before, first_device, meta.get(connection, "checkpoint_seq"))


def _present(connection: sqlite3.Connection, table: str, key: str, kind: type[_State]) -> list[_State]:
    """Return the states that hold: those of the newest generation that is not ahead of the present one."""
    query = f"SELECT state, max(generation) FROM {table} WHERE generation <= ? GROUP BY {key}"  # noqa: S608 - constants
    rows = connection.execute(query, (_generation(connection),))
    return _decoded((row for row in rows if row[0] is not None), kind)


def _decoded(rows: Iterable[tuple[Any, ...]], kind: type[_State]) -> list[_State]:
    decode = msgspec.json.Decoder(kind).decode
    return [decode(row[0]) for row in rows]


def _json(rows: object) -> str:
    return _encode(rows).decode()
