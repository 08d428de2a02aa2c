"""The journal in one SQLite file: WAL, synchronous=FULL, so that a commit is on disk when it returns.

The usual append is a single INSERT over a JSON array: begin, rows, commit and flush are one call into SQLite with the
interpreter lock released, so that it does not stall the event loop.

Everything here blocks and is called from one thread at a time.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from exporter.domain.records import DeviceHistory, Record
from exporter.errors import JournalDamaged, JournalUnavailable
from exporter.journal import reading
from exporter.journal.port import Appended, Loaded
from exporter.journal.sqlite import blind, events, meta, old_log, saved
from exporter.journal.sqlite.connecting import ERRORS, connect
from exporter.journal.sqlite.damage import damaged, is_damage, look
from exporter.journal.sqlite.lock import Lock
from exporter.journal.sqlite.names import Names
from exporter.journal.sqlite.schema import migrate
from exporter.journal.sqlite.transaction import SqliteTransaction
from exporter.journal.times import Times
from exporter.lib.logs import fields

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from exporter.domain.records import Append, Blind
    from exporter.journal.port import Numbered, Piece, Transaction
    from exporter.journal.sqlite.names import Row

QUARANTINE_LIMIT: Final = 1000
_NOTHING_HAPPENED: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY})

_Result = TypeVar("_Result")

log = logging.getLogger(__name__)


class Database:
    """The file, open for writing. See `Journal` for what its methods promise."""

    def __init__(self, path: Path, clock: Callable[[], float], pieces: Sequence[Piece] = ()) -> None:
        """Open it and bring its schema up to date; `clock` gives Unix seconds. ConfigError, JournalUnavailable."""
        self._path = path
        self._pieces = pieces
        self._clock = clock
        self._stopped = ""  # why nothing is written any more
        self._times = Times(0, 0)
        self._last = 0  # the newest number that was given
        self._pruned_before = 0
        self._connection: sqlite3.Connection | None = None
        self._lock = Lock(path)
        try:
            with self._decoding():
                lost = look(path, self._lock.file)
            with self._decoding(), self._use() as connection:
                old_log.take_over(path, self._last, partial(self._take_over, connection))
                self._prepare(connection)
                if lost:
                    self._tell_of_loss(connection, lost)
                meta.mark(connection)
        except BaseException:
            self.close()
            raise

    @property
    def stopped(self) -> str:
        """Why nothing is written before a person has helped; empty as a rule, and once a lost file is back."""
        return self._stopped or self._lock.lost

    def stop_for_good(self, why: str) -> None:
        """Write nothing any more before a person has helped."""
        self._stopped = why

    def close(self) -> None:
        """Close the file and let another writer have it."""
        self._drop()
        self._lock.release()

    # -- records ----------------------------------------------------------------------------------------------------

    def append(self, batch: Sequence[Append], after: int) -> Appended:
        """Append events (see `Journal`)."""
        with self._use() as connection:
            at, exposed = self._tick()
            first = self._last + 1
            rows = self._names.rows(batch)
            if rows is not None and self._insert(connection, rows, at, exposed):
                numbers: Sequence[int | None] = range(first, first + len(batch))
                self._last += len(batch)
            else:
                numbers = self._append_with_care(connection, batch, at, exposed)
            if after == first - 1 and self._last - after == len(batch):
                missed = [
                    (number, Record(one.identity, one.timestamp, one.kind, at, exposed))
                    for number, one in enumerate(batch, first)
                ]
            else:
                with self._decoding():
                    missed = events.after(connection, self._names, after)
            return Appended(at, numbers, missed)

    def _insert(self, connection: sqlite3.Connection, rows: Sequence[Row], at: int, exposed: int) -> bool:
        """Insert rows with the next numbers; return whether all were new. If not, nothing was inserted."""
        if any(row[1] < self._pruned_before for row in rows):
            return False
        return events.insert(connection, self._last + 1, rows, at, exposed)

    def _append_with_care(
        self, connection: sqlite3.Connection, batch: Sequence[Append], at: int, exposed: int
    ) -> list[int | None]:
        """Append events among which are new names or some that the journal has; return the numbers."""
        connection.execute("BEGIN IMMEDIATE")
        rows = self._names.learn(connection, batch)
        having = events.having(connection, rows)
        fresh: list[Row] = []
        numbers: list[int | None] = []
        for row in rows:
            if row[:3] in having or row[1] < self._pruned_before:
                numbers.append(None)
            else:
                having.add(row[:3])
                fresh.append(row)
                numbers.append(self._last + len(fresh))
        if fresh and not self._insert(connection, fresh, at, exposed):
            raise AssertionError("an event that the journal does not have is in it")
        connection.execute("COMMIT")
        self._names.keep()
        self._last += len(fresh)
        return numbers

    def expose(self, after: int) -> Appended:
        """Note that the state is exposed from now on (see `Journal`)."""
        with self._decoding(), self._use() as connection:
            at, until = self._times.exposing(self._now())
            meta.put(connection, "exposed_until_ms", until)
            self._times.expose(at, until)
            return Appended(at, (), events.after(connection, self._names, after) if after < self._last else [])

    def exposed(self) -> None:
        """End the exposition (see `Journal`): what comes now is later than all that was exposed."""
        self._times.end_exposition()

    def tail(self, after: int, limit: int) -> list[Numbered]:
        """Return the next records (see `Journal`)."""
        with self._decoding(), self._use() as connection:
            return events.after(connection, self._names, after, limit)

    def histories(self, devices: Collection[str], upto: int) -> dict[str, DeviceHistory]:
        """Return the events of devices (see `Journal`)."""
        with self._decoding(), self._use() as connection:
            return events.histories(connection, devices, upto)

    # -- the rest ---------------------------------------------------------------------------------------------------

    def load(self) -> Loaded:
        """Return the saved state (see `Journal`)."""
        with self._decoding(), self._use() as connection:
            return Loaded(
                saved.load(connection),
                self._names.identities(),
                self._pruned_before,
                self._blind_intervals(connection),
                self._times.newest,
                self._times.exposed,
                meta.get(connection, "heartbeat_ms"),
                meta.get(connection, "appended_seq"),
            )

    def _blind_intervals(self, connection: sqlite3.Connection) -> list[Blind]:
        try:
            return reading.blind_intervals(SqliteTransaction(connection))
        except JournalDamaged as error:
            raise damaged(self._path, error) from error

    def heartbeat(self, retry_span_ms: int) -> Blind | None:
        """Note that events are heard (see `Journal`)."""
        with self._decoding(), self.transaction() as connection:
            return blind.beat(connection, self._tick()[0], retry_span_ms)

    def save(self, step: Callable[[sqlite3.Connection, Names], None]) -> None:
        """Do one step of merging a checkpoint (see `saved.steps`)."""
        with self.transaction() as connection:
            step(connection, self._names)

    def prune(self, before: int, first_device: int) -> int | None:
        """Fold old events into bases (see `Journal`)."""
        with self._decoding(), self.transaction() as connection:
            following = saved.prune(connection, before, first_device)
        self._pruned_before = max(before, self._pruned_before)
        return following

    def quarantine(self, code: str, message: str, payload: bytes | None, digest: str) -> int:
        """Keep a rejected body (see `Journal`)."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO quarantine (received_ms, code, message, digest, payload, times) VALUES (?, ?, ?, ?, ?, 1) "
                "ON CONFLICT (digest) DO UPDATE SET times = times + 1, received_ms = excluded.received_ms",
                (self._tick()[0], code, message, digest, payload),
            )
            connection.execute(
                "DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - ?", (QUARANTINE_LIMIT,)
            )
            count: int = connection.execute("SELECT count(*) FROM quarantine").fetchone()[0]
            return count

    def transact(self, job: Callable[[Transaction], _Result]) -> _Result:
        """Run `job` in one transaction (see `Journal`)."""
        with self.transaction() as connection:
            return job(SqliteTransaction(connection))

    # -- time -------------------------------------------------------------------------------------------------------

    def _tick(self) -> tuple[int, int]:
        """Return the time, and until when there were expositions before it, both in ms."""
        at = self._times.tick(self._now())
        return at, self._times.exposed

    def _now(self) -> int:
        return round(self._clock() * 1000)

    # -- the connection ---------------------------------------------------------------------------------------------

    def _prepare(self, connection: sqlite3.Connection) -> None:
        until, newest = meta.get(connection, "exposed_until_ms"), events.newest_ms(connection)
        # what was in memory before may have been exposed up to then, also where that could not be noted
        self._times = Times(newest, max(until, newest + 1) if newest else 0)

    def _tell_of_loss(self, connection: sqlite3.Connection, transactions: int) -> None:
        """Count the time since what is left as blind: events that were acknowledged in it are lost."""
        now = self._tick()[0]
        heard = events.newest_ms(connection) or min(round(self._path.stat().st_mtime * 1000), now - 1)
        blind.lost(connection, heard, now)
        told = fields(transactions=transactions, since=heard / 1000)
        log.error("the log beside the database is damaged, and what it held last is lost", extra=told)

    def _take_over(self, connection: sqlite3.Connection, batch: Sequence[Append], records: Sequence[Numbered]) -> None:
        """Insert records of a former version as they are."""
        connection.execute("BEGIN IMMEDIATE")
        events.insert_former(connection, self._names.learn(connection, batch), records)
        self._last = records[-1][0]
        meta.put(connection, "appended_seq", self._last)
        connection.execute("COMMIT")
        self._names.keep()

    def _open(self) -> sqlite3.Connection:
        connection = connect(self._path)
        try:
            migrate(connection, self._pieces)
            with self._decoding():
                events.check_numbers(connection)
                self._names = Names(connection)
                self._last = events.last(connection)
                self._pruned_before = meta.get(connection, "pruned_before")
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    @contextlib.contextmanager
    def _use(self) -> Iterator[sqlite3.Connection]:
        """Give the connection; after a failure nothing is left of what was not committed."""
        if self._stopped:
            raise JournalUnavailable(self._stopped)
        try:
            self._lock.check()
            yield self._connection or self._open()
        except ERRORS as error:
            raise self._failed(error) from error
        except BaseException:
            self._drop()  # or the next append would be part of a transaction that nobody commits
            raise

    @contextlib.contextmanager
    def _decoding(self) -> Iterator[None]:
        """Tell of what cannot be read as what it is: damage."""
        try:
            yield
        except ERRORS as error:
            raise self._failed(error) from error
        except (ValueError, TypeError, msgspec.MsgspecError) as error:
            raise damaged(self._path, error) from error

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection within one transaction, which is rolled back where something is raised."""
        with self._use() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    def _failed(self, error: sqlite3.Error | UnicodeDecodeError) -> JournalUnavailable:
        """Return what to tell of a failure, and see to it that the next call finds everything as it is on disk."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _NOTHING_HAPPENED and self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.rollback()
            self._names.forget()
            return JournalUnavailable(f"{self._path}: {error}")
        self._drop()
        if is_damage(error):
            found = damaged(self._path, error)
            self._stopped = str(found)
            return found
        if code == sqlite3.SQLITE_CONSTRAINT and "event.seq" in str(error):
            self._stopped = f"{self._path}: another program writes events into it; stop that one, then restart"
            return JournalUnavailable(self._stopped)
        return JournalUnavailable(f"{self._path}: {error}")

    def _drop(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()  # rolls back
            self._connection = None
