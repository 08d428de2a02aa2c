"""Rows of devices and identities by what they stand for, and back.

What a connection has learnt holds for it alone: a server that was promoted may have lost the newest.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from exporter.journal.identities import COLUMNS, SELECTED, shared

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exporter.domain.identity import Identity
    from exporter.domain.records import Append
    from exporter.journal.postgres.link import Connection

_NEWEST: Final = f"SELECT i.id, d.id, {SELECTED} FROM device d JOIN identity i ON i.id = d.identity ORDER BY d.id"  # noqa: S608
_BY_DIGEST: Final = (
    f"SELECT i.id, d.id, {SELECTED} FROM identity i JOIN device d USING (device_id) WHERE i.digest = ANY(%s)"  # noqa: S608
)
_BY_ROW: Final = f"SELECT i.id, d.id, {SELECTED} FROM identity i JOIN device d USING (device_id) WHERE i.id = ANY(%s)"  # noqa: S608
_ADD_DEVICES: Final = "INSERT INTO device (device_id) SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING"
_ADD: Final = (
    f"INSERT INTO identity (digest, {', '.join(COLUMNS)}) "  # noqa: S608
    f"SELECT * FROM unnest(%s::bytea[]{', %s::text[]' * len(COLUMNS)}) ON CONFLICT DO NOTHING"
)

Row = tuple[int, int]
"""A device's row, an identity's row."""


class Names:
    """What is known of the tables `device` and `identity`."""

    def __init__(self) -> None:
        self._rows: dict[Identity, Row] = {}
        self._identities: dict[int, Identity] = {}

    def forget(self) -> None:
        """Know nothing: the server may be another one."""
        self._rows, self._identities = {}, {}

    def newest(self, connection: Connection) -> list[Identity]:
        """Return, and know, the newest identity of every device."""
        return self._know(connection.execute(_NEWEST).fetchall())

    def rows(self, connection: Connection, batch: Sequence[Append]) -> list[Row]:
        """Return the rows of a batch; names that the database does not have are added."""
        known = self._rows
        try:
            return [known[one.identity] for one in batch]
        except KeyError:
            self._learn(connection, {one.identity for one in batch} - known.keys())
        return [known[one.identity] for one in batch]

    def identities(self, connection: Connection, rows: Iterable[int]) -> dict[int, Identity]:
        """Return identities by their rows, those that were asked for among them."""
        unknown = set(rows) - self._identities.keys()
        if unknown:
            self._know(connection.execute(_BY_ROW, (list(unknown),)).fetchall())
        return self._identities

    def _learn(self, connection: Connection, wanted: set[Identity]) -> None:
        digests = {digest(identity): identity for identity in wanted}
        self._know(connection.execute(_BY_DIGEST, (list(digests),)).fetchall())
        new = {
            key: digests[key] for key in sorted(digests) if digests[key] not in self._rows
        }  # in one order: no deadlock
        if not new:
            return
        connection.execute(_ADD_DEVICES, (sorted({identity.device_id for identity in new.values()}),))
        columns = zip(*map(msgspec.structs.astuple, new.values()), strict=True)
        connection.execute(_ADD, (list(new), *map(list, columns)))
        self._know(connection.execute(_BY_DIGEST, (list(new),)).fetchall())

    def _know(self, found: Iterable[tuple[Any, ...]]) -> list[Identity]:
        identities = []
        for row, device, *texts in found:
            identity = shared(texts)
            self._rows[identity] = (device, row)
            self._identities[row] = identity
            identities.append(identity)
        return identities


def digest(identity: Identity) -> bytes:
    """Return what tells an identity from all others."""
    return hashlib.blake2b(msgspec.json.encode(identity), digest_size=16).digest()
