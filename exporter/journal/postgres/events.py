"""Events in the database: one connection's appends, expositions and looks at what others appended.

Everything here blocks and is called from one thread at a time.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from exporter.domain.records import DeviceHistory, Record
from exporter.domain.timeline import Kind
from exporter.errors import JournalDiverged
from exporter.journal.port import Appended
from exporter.journal.postgres.call import call
from exporter.journal.postgres.names import Names
from exporter.journal.postgres.transaction import PostgresTransaction
from exporter.journal.retention import base

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from exporter.domain.records import Append
    from exporter.journal.port import Numbered, Transaction
    from exporter.journal.postgres.link import Connection

log = logging.getLogger(__name__)

MISSED: Final = 256
"""Records of others that one append brings at most: what the server sends fits into the network's buffers, so that it
need not wait, with the lock, for a reader that is paused."""
OFFERED: Final = 20_000
OFFERED_FOR: Final = 600.0
"""What was appended so many seconds ago, so much of it at most, is offered again to a server that has lost it."""
BATCH: Final = 2_000

_APPEND: Final = (
    b"SELECT * FROM journal_append_1($1::bigint, $2::text, $3::boolean, $4::boolean, $5::bigint, $6::int, "
    b"$7::int[], $8::bigint[], $9::smallint[], $10::int[])"
)
_AFTER: Final = (
    "SELECT seq, device, timestamp, kind, identity, received_ms, exposed_ms FROM event "
    "WHERE seq > %s ORDER BY seq LIMIT %s"
)
_AT: Final = """
SELECT t.seq, (SELECT (e.timestamp, e.kind, e.received_ms) = (?, ?, ?) FROM event e WHERE e.seq = ?)
FROM turn t ORDER BY t.number DESC LIMIT 1
"""
_HISTORIES: Final = """
SELECT d.device_id, d.base, e.timestamp, e.kind FROM device d LEFT JOIN event e ON e.device = d.id AND e.seq <= %s
WHERE d.device_id = ANY(%s) AND d.identity IS NOT NULL
"""


_OTHER_PAST: Final = "the database has another past than memory, which must be loaded anew"


class Events:
    """See the module. `who` is this process: only it can tell that its own expositions have ended."""

    def __init__(self, who: str) -> None:
        self.names = Names()
        self._who = who
        self._diverged = False  # the database has another past than the one that was told
        self._told: Numbered | None = None  # the newest record that was handed out
        self._own: deque[tuple[float, Append]] = deque(maxlen=OFFERED)

    def begun(self, connection: Connection) -> None:
        """Look at a new connection's database before it is used: after a failover it may lack what it acknowledged."""
        self.names.forget()
        if self._diverged:
            return
        last = self._lost(PostgresTransaction(connection))
        if last is None:
            return
        self._diverged = True
        log.error("the database has lost what it acknowledged: it is offered again, then everything is loaded anew")
        oldest = time.monotonic() - OFFERED_FOR
        own = [append for at, append in self._own if at >= oldest]
        for start in range(0, len(own), BATCH):
            self._send(connection, own[start : start + BATCH], last, expose=True)

    def check_past(self, transaction: Transaction) -> None:
        """Raise JournalDiverged where the database has another past than what was handed out: nothing of it fits."""
        if self._diverged or self._lost(transaction) is not None:
            raise JournalDiverged(_OTHER_PAST)

    def _lost(self, transaction: Transaction) -> int | None:
        """Return the last number of a database that has lost the newest record that was handed out, else None."""
        if self._told is None:
            return None
        number, record = self._told
        at = (record.timestamp, int(record.kind), record.received_ms, number)
        last, same = transaction.rows(_AT, at)[0]
        return last if last < number or same is False else None  # None: retention has dropped it

    def append(
        self, connection: Connection, batch: Sequence[Append], after: int, now: int | None, *, ended: bool
    ) -> Appended:
        """Append events (see `Journal`). `now`: the time in place of the server's; `ended`: nobody reads any more."""
        self._check()
        appended = self._send(connection, batch, after, now, ended=ended)
        at = time.monotonic()
        self._own.extend((at, one) for one in batch)
        return appended

    def expose(self, connection: Connection, after: int, now: int | None, *, ended: bool) -> Appended:
        """Note an exposition (see `Journal`)."""
        self._check()
        return self._send(connection, (), after, now, expose=True, ended=ended)

    def tail(self, connection: Connection, after: int, limit: int) -> list[Numbered]:
        """Return the next records (see `Journal`)."""
        self._check()
        return self._tell(self._records(connection, connection.execute(_AFTER, (after, limit)).fetchall()))

    def histories(self, connection: Connection, devices: Collection[str], upto: int) -> dict[str, DeviceHistory]:
        """Return the events of devices (see `Journal`)."""
        found: dict[str, DeviceHistory] = {}
        for device_id, text, timestamp, kind in connection.execute(_HISTORIES, (upto, list(devices))):
            if device_id not in found:
                found[device_id] = DeviceHistory([], base(text))
            if timestamp is not None:
                found[device_id].events.append((timestamp, Kind(kind)))
        return found

    def _send(
        self,
        connection: Connection,
        batch: Sequence[Append],
        after: int,
        now: int | None = None,
        *,
        expose: bool = False,
        ended: bool = False,
    ) -> Appended:
        rows = self.names.rows(connection, batch)
        events = (
            _array(device for device, _ in rows),
            _array(one.timestamp for one in batch),
            _array(int(one.kind) for one in batch),
            _array(identity for _, identity in rows),
        )
        turn, *others = call(connection, _APPEND, (now, self._who, expose, ended, after, MISSED, *events))
        (last, at, exposed), places = _numbers(turn[0], *turn[5:7]), _places(turn[7])
        numbers: list[int | None] = [None] * len(batch)
        own: list[Numbered] = []
        for number, place in enumerate(places, last + 1):
            numbers[place - 1] = number
            one = batch[place - 1]
            own.append((number, Record(one.identity, one.timestamp, one.kind, at, exposed)))
        missed = self._records(connection, [_numbers(*row[:7]) for row in others])
        if len(others) == MISSED:
            return Appended(at, numbers, self._tell(missed), until=last + len(places))
        return Appended(at, numbers, self._tell(missed + own))

    def _records(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> list[Numbered]:
        identities = self.names.identities(connection, [row[4] for row in rows])
        return [(row[0], Record(identities[row[4]], row[2], Kind(row[3]), row[5], row[6])) for row in rows]

    def _tell(self, records: list[Numbered]) -> list[Numbered]:
        if records:
            self._told = records[-1]
        return records

    def _check(self) -> None:
        if self._diverged:
            raise JournalDiverged(_OTHER_PAST)


def _array(values: Iterable[int]) -> str:
    """Return an array as the server writes it: far cheaper than number by number."""
    return "{" + ",".join(map(str, values)) + "}"


def _numbers(*texts: bytes | None) -> list[int]:
    return [int(text) for text in texts if text is not None]


def _places(array: bytes | None) -> list[int]:
    """Return the numbers of an array as the server writes it; NULL is none."""
    return _numbers(*array[1:-1].split(b",")) if array else []
