"""Events in the database: statements, no state."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

import msgspec

from exporter.domain.records import DeviceHistory, Record
from exporter.domain.timeline import Kind
from exporter.journal.identities import SELECTED, shared
from exporter.journal.port import EXPOSING
from exporter.journal.retention import base
from exporter.journal.sqlite import meta

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from exporter.journal.port import Numbered
    from exporter.journal.sqlite.names import Names, Row

_INSERT: Final = """
INSERT INTO event (seq, device, timestamp, kind, identity, received_ms, exposed_ms)
SELECT ?1 + key, json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
       json_extract(value, '$[3]'), ?2, ?3
FROM json_each(?4)
"""
_HAVING: Final = """
SELECT device, timestamp, kind FROM event WHERE (device, timestamp, kind) IN (
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]') FROM json_each(?))
"""
_RECORDS: Final = f"""
SELECT e.seq, e.timestamp, e.kind, e.received_ms, e.exposed_ms, {SELECTED}
FROM event e JOIN identity i ON i.id = e.identity WHERE e.seq > ? ORDER BY e.seq LIMIT ?
"""  # noqa: S608 - constants
_Numbers = tuple[int, int, Kind, int, int]
"""Of a record: number, event time, kind, and the journal's times."""
_DEVICES: Final = "SELECT id, device_id, base FROM device WHERE device_id IN (SELECT value FROM json_each(?))"
_EVENTS: Final = """
SELECT device, timestamp, kind FROM event WHERE device IN (SELECT value FROM json_each(?)) AND seq <= ?
"""
_FORMER: Final = """
INSERT INTO event (seq, device, timestamp, kind, identity, received_ms, exposed_ms) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (device, timestamp, kind) DO NOTHING
"""


def insert(connection: sqlite3.Connection, first: int, rows: Sequence[Row], received_ms: int, exposed_ms: int) -> bool:
    """Insert rows, numbered from `first` on, in one statement; return whether all were new. If not, none is inserted.

    A number that is there already is an error.
    """
    try:
        connection.execute(_INSERT, (first, received_ms, exposed_ms, _json(rows)))
    except sqlite3.IntegrityError as error:
        if "event.timestamp" in str(error):
            return False
        raise
    return True


def insert_former(connection: sqlite3.Connection, rows: Sequence[Row], records: Sequence[Numbered]) -> None:
    """Insert records as a former version numbered and stamped them; what they repeat is left out."""
    together = zip(rows, records, strict=True)
    whole = [(number, *row, record.received_ms, record.exposed_ms) for row, (number, record) in together]
    connection.executemany(_FORMER, whole)


def having(connection: sqlite3.Connection, rows: Sequence[Row]) -> set[tuple[int, ...]]:
    """Return (device, timestamp, kind) of those that are there already."""
    return set(connection.execute(_HAVING, (_json(rows),)))


def after(connection: sqlite3.Connection, names: Names, number: int, limit: int = -1) -> list[Numbered]:
    """Return the records beyond a number, in order. ValueError where a field is of another kind than was written."""
    rows = connection.execute(_RECORDS, (number, limit)).fetchall()
    numbers = msgspec.convert([row[:5] for row in rows], list[_Numbers])
    return [
        (seq, Record(names.shared(shared(row[5:])), at, kind, received, exposed))
        for (seq, at, kind, received, exposed), row in zip(numbers, rows, strict=True)
    ]


def histories(connection: sqlite3.Connection, devices: Collection[str], upto: int) -> dict[str, DeviceHistory]:
    """Return the events of devices up to a number. ValueError as `after`."""
    by_row: dict[int, DeviceHistory] = {}
    by_id: dict[str, DeviceHistory] = {}
    for row, device_id, text in connection.execute(_DEVICES, (_json(list(devices)),)):
        by_row[row] = by_id[device_id] = DeviceHistory([], base(text))
    found = connection.execute(_EVENTS, (_json(list(by_row)), upto)).fetchall()
    for row, timestamp, kind in msgspec.convert(found, list[tuple[int, int, Kind]]):
        by_row[row].events.append((timestamp, kind))
    return by_id


def check_numbers(connection: sqlite3.Connection) -> None:
    """Raise ValueError where rows have no numbers: a bit that flips in the text of the schema takes all of a table."""
    for table, number in (("event", "seq"), ("device", "id"), ("identity", "id")):
        for (found,) in connection.execute(f"SELECT {number} FROM {table} LIMIT 1"):  # noqa: S608 - constants
            meta.whole(found)


def last(connection: sqlite3.Connection) -> int:
    """Return the newest number that was given to a record; what was pruned is older than a checkpoint."""
    newest = meta.whole(connection.execute("SELECT max(seq) FROM event").fetchone()[0] or 0)
    # `appended_seq` was written by a former version, which gave numbers to duplicates, too
    return max(newest, meta.get(connection, "checkpoint_seq"), meta.get(connection, "appended_seq"))


def last_received_ms(connection: sqlite3.Connection) -> int:
    """Return when the newest record came, 0 if there is none."""
    newest = connection.execute("SELECT received_ms FROM event ORDER BY seq DESC LIMIT 1").fetchone()
    return meta.whole(newest[0]) if newest else 0


def newest_ms(connection: sqlite3.Connection) -> int:
    """Return the newest time that the journal has given, 0 if none."""
    return max(
        last_received_ms(connection),
        meta.get(connection, "heartbeat_ms"),
        meta.get(connection, "checkpoint_ms"),
        meta.get(connection, "exposed_until_ms") - round(EXPOSING * 1000),
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
