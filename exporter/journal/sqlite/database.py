"""The journal in one SQLite file: WAL, synchronous=FULL, so that a commit is on disk when it returns.

The append is a single INSERT over a JSON array: it runs in one call into SQLite with the interpreter lock released, so
that it does not stall the event loop.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import sys
from typing import IO, TYPE_CHECKING, Any, TypeVar

import msgspec

from exporter.domain.identity import Identity
from exporter.domain.records import (
    Blind,
    Checkpoint,
    DeviceHistory,
    Record,
    SavedDevice,
    SavedGroup,
    SavedHistogram,
)
from exporter.domain.timeline import Kind, Timeline, fold
from exporter.errors import ConfigError, JournalUnavailable
from exporter.journal.sqlite.schema import migrate
from exporter.journal.sqlite.transaction import SqliteTransaction
from exporter.lib.files import identify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from exporter.domain.records import Append
    from exporter.journal.port import Piece, Transaction

QUARANTINE_LIMIT = 1000
ENCODE_ROWS = 500
PRUNE_DEVICES = 200  # device rows folded per transaction: keeps the writer free for appends

_APPEND = """
INSERT OR IGNORE INTO event (seq, device, timestamp, kind, identity, received_ms, exposed_ms)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
       json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
       json_extract(value, '$[6]')
FROM json_each(?)
"""
_RECORDS = """
SELECT e.seq, e.timestamp, e.kind, e.received_ms, e.exposed_ms, i.device_id, i.device_name, i.engine, i.channel_id,
       i.channel_name, i.business_id, i.business_name, i.user_id, i.user_name
FROM event e JOIN identity i ON i.id = e.identity WHERE e.seq > ? ORDER BY e.seq
"""
_IDENTITY = "device_id, device_name, engine, channel_id, channel_name, business_id, business_name, user_id, user_name"

_encode = msgspec.json.encode
_Result = TypeVar("_Result")
_Known = tuple[int, Identity, int]  # a device's row, its newest identity, the identity's row
_State = TypeVar("_State", SavedDevice, SavedGroup, SavedHistogram)


def storage_path(url: str) -> str:
    """Return the file of a storage URL `sqlite:///relative` or `sqlite:////absolute`. ConfigError for anything else."""
    prefix = "sqlite:///"
    if not url.startswith(prefix) or len(url) == len(prefix):
        raise ConfigError(f"storage.url: expected sqlite:///PATH, got {url!r}")
    return url[len(prefix) :]


class SqliteJournal:
    """`Journal` (see there) on one file, with these pieces of the schema. A lock file beside it keeps others away."""

    def __init__(self, path: Path, pieces: Sequence[Piece] = ()) -> None:
        self._path = path
        self._pieces = pieces
        self._lock = _lock(path)
        self._connection: sqlite3.Connection | None = None
        self._devices: dict[str, _Known] = {}
        self._next_seq = 0
        try:
            path.touch(mode=0o600)  # names of devices and businesses; SQLite gives the files beside it the same mode
            self._file = identify(path)
            self._open()
        except (sqlite3.Error, OSError) as error:
            self._lock.close()
            raise JournalUnavailable(f"{path}: {error}") from error
        except ConfigError:  # of a newer version
            self._lock.close()
            raise

    def append(self, batch: Sequence[Append], numbers: Sequence[int] | None = None) -> None:
        """Append in one transaction (see `Journal`)."""
        with self._transaction() as connection:
            if numbers is None:
                numbers = range(self._next_seq, self._next_seq + len(batch))
            rows = self._rows(connection, batch, numbers)
            connection.execute(_APPEND, (_encode(rows).decode(),))
            _set_meta(connection, "appended_seq", numbers[-1])
        self._next_seq = numbers[-1] + 1

    def _rows(
        self, connection: sqlite3.Connection, batch: Sequence[Append], numbers: Sequence[int]
    ) -> list[tuple[int, ...]]:
        """Return the rows to insert; devices and identities that are new get theirs."""
        rows: list[tuple[int, ...]] = []
        for seq, append in zip(numbers, batch, strict=True):
            record, identity = append.record, append.record.identity
            known = self._devices.get(identity.device_id)
            if known is None or (known[1] is not identity and known[1] != identity):
                known = self._learn(connection, identity, known, newest=known is None or not append.late)
            device, _, row = known
            rows.append((seq, device, record.timestamp, record.kind, row, record.received_ms, record.exposed_ms))
        return rows

    def appended(self) -> int:
        """Return the number of the last record (see `Journal`)."""
        return self._next_seq - 1

    def records_after(self, seq: int) -> Iterator[tuple[int, Record]]:
        """Yield records in order (see `Journal`)."""
        with self._guard() as connection:
            for row in connection.execute(_RECORDS, (seq,)):
                yield row[0], Record(Identity(*row[5:]), row[1], Kind(row[2]), row[3], row[4])

    def history(self, device_id: str, seq: int | None = None) -> DeviceHistory:
        """Return a device's events (see `Journal`)."""
        with self._guard() as connection:
            row = connection.execute("SELECT id, base FROM device WHERE device_id = ?", (device_id,)).fetchone()
            if row is None:
                return DeviceHistory([], None)
            events = connection.execute(
                "SELECT timestamp, kind FROM event WHERE device = ? AND seq <= ?",
                (row[0], self._next_seq if seq is None else seq),
            )
            return DeviceHistory([(timestamp, Kind(kind)) for timestamp, kind in events], _base(row[1]))

    def save(self, checkpoint: Checkpoint) -> None:
        """Merge a checkpoint (see `Journal`)."""
        with self._transaction() as connection:
            devices = [(self._devices[state.identity.device_id][0], state) for state in checkpoint.devices]
            forgotten = [self._devices[device_id][0] for device_id in checkpoint.forgotten]
            groups = [(state.engine, state.business_id, state) for state in checkpoint.groups]
            histograms = [(state.engine, state) for state in checkpoint.histograms]
            _replace(connection, "saved_device", 2, devices)
            _replace(connection, "saved_group", 3, groups)
            _replace(connection, "saved_histogram", 2, histograms)
            connection.execute(
                "DELETE FROM saved_device WHERE device IN (SELECT value FROM json_each(?))",
                (_encode(forgotten).decode(),),
            )
            _set_meta(connection, "checkpoint_seq", checkpoint.seq)
            _set_meta(connection, "checkpoint_ms", checkpoint.saved_ms)

    def load(self) -> Checkpoint | None:
        """Return the saved state (see `Journal`)."""
        with self._guard() as connection:
            seq = _meta(connection, "checkpoint_seq")
            if seq is None:
                return None
            return Checkpoint(
                seq,
                _meta(connection, "checkpoint_ms") or 0,
                _states(connection, "saved_device", SavedDevice),
                [],
                _states(connection, "saved_group", SavedGroup),
                _states(connection, "saved_histogram", SavedHistogram),
            )

    def identities(self) -> Iterator[Identity]:
        """Yield the newest identity of every device (see `Journal`)."""
        return (identity for _, identity, _ in self._devices.values())

    def heartbeat(self, now_ms: int, exposed_until_ms: int, retry_span_ms: int) -> Blind | None:
        """Note that we hear events (see `Journal`)."""
        with self._transaction() as connection:
            last = _meta(connection, "heartbeat_ms")
            _set_meta(connection, "heartbeat_ms", now_ms)
            _set_meta(connection, "exposed_until_ms", max(exposed_until_ms, _meta(connection, "exposed_until_ms") or 0))
            if last is None or now_ms - last <= retry_span_ms:
                return None
            end = now_ms - retry_span_ms
            connection.execute("INSERT OR REPLACE INTO blind VALUES (?, ?)", (last, end))
            return Blind(last / 1000, end / 1000)

    def exposed_until_ms(self) -> int:
        """Return the lease (see `Journal`)."""
        with self._guard() as connection:
            return _meta(connection, "exposed_until_ms") or 0

    def blind_intervals(self) -> list[Blind]:
        """Return all blind intervals (see `Journal`)."""
        with self._guard() as connection:
            rows = connection.execute("SELECT start_ms, end_ms FROM blind ORDER BY start_ms")
            return [Blind(start / 1000, end / 1000) for start, end in rows]

    def quarantine(self, now_ms: int, code: str, message: str, payload: bytes | None, digest: str) -> int:
        """Keep a rejected body (see `Journal`)."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO quarantine (received_ms, code, message, digest, payload, times) VALUES (?, ?, ?, ?, ?, 1) "
                "ON CONFLICT (digest) DO UPDATE SET times = times + 1, received_ms = excluded.received_ms",
                (now_ms, code, message, digest, payload),
            )
            connection.execute(
                "DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - ?", (QUARANTINE_LIMIT,)
            )
            count: int = connection.execute("SELECT count(*) FROM quarantine").fetchone()[0]
            return count

    def prune(self, before: int, first_device: int) -> int | None:
        """Fold old events into bases (see `Journal`). Only events that a checkpoint covers are touched.

        A device that has an old event beyond the checkpoint waits for the next time: a base must be older than all
        events that are left.
        """
        last_device = first_device + PRUNE_DEVICES
        with self._transaction() as connection:
            _set_meta(connection, "pruned_before", max(before, _meta(connection, "pruned_before") or 0))
            checkpoint = _meta(connection, "checkpoint_seq") or 0
            span = (first_device, last_device, before, checkpoint, checkpoint, before)
            where = (
                "device >= ? AND device < ? AND timestamp < ? AND seq <= ? "
                "AND device NOT IN (SELECT device FROM event WHERE seq > ? AND timestamp < ?)"
            )
            events: dict[int, list[tuple[int, Kind]]] = {}
            query = f"SELECT device, timestamp, kind FROM event WHERE {where}"  # noqa: S608 - a constant
            for device, timestamp, kind in connection.execute(query, span):
                events.setdefault(device, []).append((timestamp, Kind(kind)))
            for device, old in events.items():
                base = connection.execute("SELECT base FROM device WHERE id = ?", (device,)).fetchone()[0]
                state = _encode(fold(old, _base(base))).decode()
                connection.execute("UPDATE device SET base = ? WHERE id = ?", (state, device))
            connection.execute(f"DELETE FROM event WHERE {where}", span)  # noqa: S608 - a constant
            newest = connection.execute("SELECT max(id) FROM device").fetchone()[0] or 0
        return last_device if last_device <= newest else None

    def pruned_before(self) -> int:
        """Return the horizon of retention (see `Journal`)."""
        with self._guard() as connection:
            return _meta(connection, "pruned_before") or 0

    def heard_until(self) -> float | None:
        """Return when this journal was last in use (see `Journal`)."""
        with self._guard() as connection:
            last = _meta(connection, "heartbeat_ms")
        return None if last is None else last / 1000

    def transact(self, job: Callable[[Transaction], _Result]) -> _Result:
        """Run `job` in one transaction, durable when this returns: for what features keep beside the events."""
        with self._transaction() as connection:
            return job(SqliteTransaction(connection))

    def close(self) -> None:
        """Close the file and release its lock."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._lock.close()

    # -- the connection ---------------------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        self._check_file()
        connection = connect(self._path)
        try:
            migrate(connection, self._pieces)
            self._next_seq = _next_seq(connection)
            self._devices = {
                row[2]: (row[0], _identity(row[2:]), row[1])
                for row in connection.execute(
                    "SELECT d.id, d.identity, i.device_id, i.device_name, i.engine, i.channel_id, i.channel_name, "
                    "i.business_id, i.business_name, i.user_id, i.user_name "
                    "FROM device d JOIN identity i ON i.id = d.identity"
                )
            }
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    @contextlib.contextmanager
    def _guard(self) -> Iterator[sqlite3.Connection]:
        """Give the connection; on any failure drop it, so that the next call starts from the file."""
        try:
            yield self._connection or self._open()
            self._check_file()
        except sqlite3.Error as error:
            self._drop()
            raise JournalUnavailable(f"{self._path}: {error}") from error
        except Exception:
            self._drop()  # or the next append would be part of a transaction that nobody commits
            raise

    def _check_file(self) -> None:
        """Refuse a file that was removed or replaced: what is written to the former one nobody will ever read."""
        if identify(self._path) != self._file:
            raise JournalUnavailable(f"{self._path}: was removed or replaced; put it back, or restart the exporter")

    def _drop(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()  # rolls back
            self._connection = None

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._guard() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    def _learn(
        self, connection: sqlite3.Connection, identity: Identity, known: _Known | None, *, newest: bool
    ) -> _Known:
        """Give rows to a new device or a new identity of a known one; `newest`: reports go by this identity now."""
        values = msgspec.structs.astuple(identity)
        conditions = _IDENTITY.replace(",", " = ? AND") + " = ?"
        query = f"SELECT id FROM identity WHERE {conditions}"  # noqa: S608 - made of constants
        found = connection.execute(query, values).fetchone()
        if found is None:
            places = ", ".join("?" * len(values))
            statement = f"INSERT INTO identity ({_IDENTITY}) VALUES ({places})"  # noqa: S608 - made of constants
            found = (connection.execute(statement, values).lastrowid,)
        device_id = identity.device_id
        device = known[0] if known is not None else _insert_device(connection, device_id)
        learnt = (device, identity, found[0])
        if newest:
            connection.execute("UPDATE device SET identity = ? WHERE id = ?", (found[0], device))
            self._devices[device_id] = learnt
        return learnt


def _insert_device(connection: sqlite3.Connection, device_id: str) -> int:
    return connection.execute("INSERT INTO device (device_id) VALUES (?)", (device_id,)).lastrowid or 0


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open an existing file in autocommit mode, WAL and full synchronisation. sqlite3.Error where that fails."""
    mode = "ro" if read_only else "rw"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False, timeout=2
    )
    try:
        if not read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -32768")
    except BaseException:
        connection.close()
        raise
    return connection


def _lock(path: Path) -> IO[str]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(path.name + ".lock").open("a+")
    except OSError as error:
        raise ConfigError(f"storage.url: cannot write beside {path}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        pid = lock.read(20).strip()
        lock.close()
        raise ConfigError(f"storage.url: another exporter{pid and f' (pid {pid})'} is using {path}") from error
    with contextlib.suppress(OSError):  # it only helps people
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
    return lock


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


def _identity(row: tuple[str, ...]) -> Identity:
    """Share the strings that many devices have in common."""
    return Identity(row[0], row[1], *map(sys.intern, row[2:]))


def _base(text: str | None) -> Timeline | None:
    return msgspec.json.decode(text, type=Timeline | None) if text else None


def _meta(connection: sqlite3.Connection, key: str) -> int | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return row[0] if row else None


def _set_meta(connection: sqlite3.Connection, key: str, value: int) -> None:
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def _next_seq(connection: sqlite3.Connection) -> int:
    """One more than any record had, pruned ones and duplicates included."""
    newest = connection.execute("SELECT max(seq) FROM event").fetchone()[0] or 0  # files of before `appended_seq`
    return max(newest, _meta(connection, "checkpoint_seq") or 0, _meta(connection, "appended_seq") or 0) + 1
