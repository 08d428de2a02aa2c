"""Rows of devices and of their identities, known by heart: an event of a known device needs no look-up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from exporter.domain.identity import Identity
from exporter.journal.identities import COLUMNS, SELECTED, shared

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from exporter.domain.records import Append

_ALL = f"SELECT d.id, d.identity, {SELECTED} FROM device d JOIN identity i ON i.id = d.identity"  # noqa: S608
_FIND = f"SELECT id FROM identity WHERE {' AND '.join(f'{column} = ?' for column in COLUMNS)}"  # noqa: S608
_ADD = f"INSERT INTO identity ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) RETURNING id"  # noqa: S608

Row = tuple[int, int, int, int]
"""Device, event time, kind, identity: what an event is in the database."""


class Known(msgspec.Struct, frozen=True, gc=False):
    """A device's row, its newest identity and that one's row."""

    device: int
    identity: Identity
    row: int


class Names:
    """What the database has. What `learn` adds counts only after `keep`, when the transaction is committed."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._known = {row[2]: Known(row[0], shared(row[2:]), row[1]) for row in connection.execute(_ALL)}
        self._learnt: dict[str, Known] = {}

    def identities(self) -> list[Identity]:
        """Return the newest identity of every device."""
        return [known.identity for known in self._known.values()]

    def device(self, device_id: str) -> int:
        """Return a device's row. KeyError."""
        return self._known[device_id].device

    def shared(self, identity: Identity) -> Identity:
        """Return the newest identity of its device where it is the same: then it costs no memory, nor a comparison."""
        known = self._known.get(identity.device_id)
        return known.identity if known is not None and known.identity == identity else identity

    def rows(self, batch: Sequence[Append]) -> list[Row] | None:
        """Return the rows of a batch; None if there is a name in it that must be learnt first."""
        known = self._known
        rows: list[Row] = []
        for append in batch:
            one = known.get(append.identity.device_id)
            if one is None or (one.identity is not append.identity and one.identity != append.identity):
                return None
            rows.append((one.device, append.timestamp, append.kind, one.row))
        return rows

    def learn(self, connection: sqlite3.Connection, batch: Sequence[Append]) -> list[Row]:
        """Return the rows of a batch; names that are new get theirs, in the open transaction."""
        rows: list[Row] = []
        newest: dict[str, int] = {}
        for append in batch:
            device_id = append.identity.device_id
            one = self._learnt.get(device_id) or self._known.get(device_id)
            if one is None or one.identity != append.identity:
                device = one.device if one is not None else _device(connection, device_id)
                one = Known(device, append.identity, _identity(connection, append.identity))
                if append.timestamp >= max(newest.get(device_id, 0), _newest(connection, device)):
                    connection.execute("UPDATE device SET identity = ? WHERE id = ?", (one.row, device))
                    self._learnt[device_id] = one
            newest[device_id] = max(newest.get(device_id, 0), append.timestamp)
            rows.append((one.device, append.timestamp, append.kind, one.row))
        return rows

    def keep(self) -> None:
        """Take what was learnt for known: it is committed."""
        self._known.update(self._learnt)
        self._learnt = {}

    def forget(self) -> None:
        """Drop what was learnt: it was rolled back."""
        self._learnt = {}


def _identity(connection: sqlite3.Connection, identity: Identity) -> int:
    values = msgspec.structs.astuple(identity)
    found = connection.execute(_FIND, values).fetchone() or connection.execute(_ADD, values).fetchone()
    return int(found[0])


def _device(connection: sqlite3.Connection, device_id: str) -> int:
    connection.execute("INSERT INTO device (device_id) VALUES (?) ON CONFLICT (device_id) DO NOTHING", (device_id,))
    return int(connection.execute("SELECT id FROM device WHERE device_id = ?", (device_id,)).fetchone()[0])


def _newest(connection: sqlite3.Connection, device: int) -> int:
    found = connection.execute("SELECT max(timestamp) FROM event WHERE device = ?", (device,)).fetchone()
    return found[0] or 0
