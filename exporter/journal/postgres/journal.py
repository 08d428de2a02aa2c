"""The journal in a PostgreSQL database that several exporters share. Nobody above knows of it.

Three connections, each with a thread of its own, so that an event waits for no checkpoint, and the lease for neither:
one for events, one for everything else that is written, one for the lease. Readers have some more.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from exporter.domain.records import Blind
from exporter.errors import ConfigError, JournalUnavailable
from exporter.journal.port import Stats
from exporter.journal.postgres import saved
from exporter.journal.postgres.address import parameters
from exporter.journal.postgres.advice import Hopeless
from exporter.journal.postgres.events import Events
from exporter.journal.postgres.link import Link
from exporter.journal.postgres.reader import Readers
from exporter.journal.postgres.schema import migrate
from exporter.journal.postgres.transaction import in_transaction
from exporter.journal.thread import Thread

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from exporter.domain.records import Append, Checkpoint, DeviceHistory
    from exporter.journal.port import Appended, Loaded, Numbered, Piece, Reader, Transaction
    from exporter.journal.postgres.link import Connection

_Result = TypeVar("_Result")

READERS: Final = 2
"""Jobs that read at the same time."""
PATIENCE: Final = 5.0
"""Seconds until a server that does not answer is given up: then senders are asked to try again."""
LONG: Final = 120.0
"""The same for what takes long: a start, a checkpoint, retention."""
LEASE_PATIENCE: Final = 3.0
LOOK: Final = 0.25
"""Seconds between two looks at the deadlines."""

_HEARTBEAT: Final = "SELECT start_ms, end_ms FROM journal_heartbeat_1(%s::bigint, %s, %s::bigint)"
_LEASE: Final = """
UPDATE lease SET epoch = epoch + (holder <> %(who)s)::int, holder = %(who)s,
    until = clock_timestamp() + make_interval(secs => %(ttl)s)
WHERE name = 'leader' AND (holder = %(who)s OR until < clock_timestamp()) RETURNING epoch
"""
_RESIGN: Final = "UPDATE lease SET until = '-infinity' WHERE name = 'leader' AND holder = %s"
_STANDBYS: Final = """
SELECT CASE WHEN current_setting('synchronous_standby_names') = '' THEN 0
            WHEN count(*) FILTER (WHERE state IS NULL) > 0 THEN NULL
            ELSE count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')) END
FROM pg_stat_replication
"""


class Worker:
    """A connection and the thread that uses it."""

    def __init__(self, given: Mapping[str, str], begun: Callable[[Connection], None] = lambda _: None) -> None:
        self.link = Link(given, begun)
        self.thread = Thread(asyncio.get_running_loop())

    async def run(self, job: Callable[[Connection], _Result], patience: float, *, again: bool = False) -> _Result:
        """Run a job (see `Link.run`); at once JournalUnavailable while the server is away."""
        if self.link.away:
            raise JournalUnavailable(self.link.away)
        future = self.thread.run(lambda: self.link.run(job, patience, again=again))
        while not (await asyncio.wait((future,), timeout=LOOK))[0]:
            self.link.look()
        return future.result()

    async def stop(self) -> None:
        """Close the connection; where the server does not answer, leave it as it is."""
        await asyncio.wait({self.thread.run(self.link.drop)}, timeout=PATIENCE)
        self.thread.end()


class PostgresJournal:
    """`Journal` (see there) in a database."""

    shared = True

    def __init__(
        self,
        url: str,
        pieces: Sequence[Piece] = (),
        *,
        clock: Callable[[], float] | None = None,
        patience: float = PATIENCE,
    ) -> None:
        """`pieces` are what features add to the schema; `clock` replaces the server's, Unix seconds. ConfigError."""
        self._given = parameters(url)
        self._pieces = pieces
        self._clock = clock
        self._patience = patience
        self._who = uuid.uuid4().hex
        self._events = Events(self._who)
        self._readers = Readers(self._given)
        self._threads = ThreadPoolExecutor(READERS, "journal-read")  # of their own: reports hold up nothing else
        self._workers: tuple[Worker, Worker, Worker] | None = None
        self._ended = False  # an exposition of ours has ended, and the journal was not told
        self._standbys = float("nan")

    async def start(self) -> None:
        """Connect and bring the schema up to date (see `Journal`)."""
        if self._workers is None:
            self._workers = Worker(self._given, self._events.begun), Worker(self._given), Worker(self._given)
        try:
            await self._workers[1].run(lambda connection: migrate(connection, self._pieces), LONG)
        except Hopeless as error:
            raise ConfigError(f"storage.url: {error}") from error

    async def load(self) -> Loaded:
        """Return the saved state (see `Journal`)."""

        def look(connection: Connection) -> Loaded:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            loaded = saved.load(connection, self._events.names.newest(connection), self._now())
            connection.execute("COMMIT")
            return loaded

        return await self._use(0).run(look, LONG, again=True)

    async def append(self, batch: Sequence[Append], after: int) -> Appended:
        """Append events (see `Journal`)."""
        ended, self._ended = self._ended, False
        return await self._use(0).run(
            lambda connection: self._events.append(connection, batch, after, self._now(), ended=ended),
            self._patience,
            again=True,
        )

    async def expose(self, after: int) -> Appended:
        """Note an exposition (see `Journal`)."""
        ended, self._ended = self._ended, False
        return await self._use(0).run(
            lambda connection: self._events.expose(connection, after, self._now(), ended=ended),
            self._patience,
            again=True,
        )

    def exposed(self) -> None:
        """End the exposition (see `Journal`); told with the next append."""
        self._ended = True

    async def tail(self, after: int, limit: int = 5000) -> list[Numbered]:
        """Return the next records (see `Journal`)."""
        return await self._use(0).run(
            lambda connection: self._events.tail(connection, after, limit), self._patience, again=True
        )

    async def histories(self, devices: Collection[str], upto: int) -> dict[str, DeviceHistory]:
        """Return the events of devices (see `Journal`)."""
        return await self._use(0).run(
            lambda connection: self._events.histories(connection, devices, upto), self._patience, again=True
        )

    async def heartbeat(self, retry_span_ms: int) -> Blind | None:
        """Note that events are heard, by anybody (see `Journal`)."""

        def beat(connection: Connection) -> list[tuple[Any, ...]]:
            found = connection.execute(_HEARTBEAT, (self._now(), self._who, retry_span_ms)).fetchall()
            standbys = connection.execute(_STANDBYS).fetchall()[0][0]
            self._standbys = float("nan") if standbys is None else float(standbys)
            return found

        rows = await self._use(1).run(beat, self._patience, again=True)
        return Blind(rows[0][0] / 1000, rows[0][1] / 1000) if rows else None

    async def save(self, checkpoint: Checkpoint, epoch: int) -> None:
        """Merge a checkpoint (see `Journal`). JournalDiverged: it is of another past than the database's."""

        def merge(transaction: Transaction) -> None:
            saved.save(transaction, checkpoint)
            self._events.check_past(transaction)  # last, as it may have been lost up to then

        await self._transact(merge, epoch, LONG)

    async def prune(self, before: int, first_device: int, epoch: int) -> int | None:
        """Fold old events into bases (see `Journal`)."""
        await self._use(1).run(lambda connection: saved.refuse_older(connection, before), self._patience, again=True)
        return await self._transact(lambda transaction: saved.prune(transaction, before, first_device), epoch, LONG)

    async def quarantine(self, code: str, message: str, payload: bytes | None, digest: str) -> int:
        """Keep a rejected body (see `Journal`)."""
        now_ms = self._now() or round(time.time() * 1000)
        return await self._transact(
            lambda transaction: saved.quarantine(transaction, code, message, payload, digest, now_ms),
            None,
            self._patience,
        )

    async def transact(self, job: Callable[[Transaction], _Result], *, epoch: int | None = None) -> _Result:
        """Run `job` in one transaction (see `Journal`)."""
        return await self._transact(job, epoch, self._patience)

    async def read(self, job: Callable[[Reader], _Result]) -> _Result:
        """Run `job` on a snapshot of the database (see `Journal`)."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(self._readers.run, job))

    async def check(self) -> None:
        """Do nothing: the server has checksums of its pages."""

    async def lease(self, ttl: float) -> int | None:
        """Lead, or go on leading, if nobody else does (see `Journal`)."""

        def ask(connection: Connection) -> int | None:
            rows = connection.execute(_LEASE, {"who": self._who, "ttl": ttl}).fetchall()
            return rows[0][0] if rows else None

        return await self._use(2).run(ask, min(LEASE_PATIENCE, ttl / 2), again=True)

    async def resign(self) -> None:
        """Let another exporter lead at once (see `Journal`)."""
        await self._use(2).run(lambda connection: connection.execute(_RESIGN, (self._who,)), LEASE_PATIENCE)

    def stats(self) -> Stats:
        """Return how the journal is: a server that is away will be back."""
        if self._workers is None:
            return Stats(works=False, why="the journal is not open", oldest_wait=0.0)
        alive = all(worker.thread.alive for worker in self._workers)
        why = self._workers[0].link.trouble if alive else "a thread of the journal does not run"
        return Stats(alive, why, self._workers[0].thread.busy_for(), self._standbys)

    async def stop(self) -> None:
        """Close the connections (see `Journal`)."""
        workers, self._workers = self._workers, None
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._readers.close()
        if workers is not None:
            await asyncio.gather(*(worker.stop() for worker in workers))

    async def _transact(self, job: Callable[[Transaction], _Result], epoch: int | None, patience: float) -> _Result:
        worker = self._use(1)
        fence = None if epoch is None else (epoch, self._who)
        return await worker.run(lambda connection: in_transaction(connection, worker.link.level, job, fence), patience)

    def _use(self, which: int) -> Worker:
        if self._workers is None:
            raise JournalUnavailable("the journal is not open")
        return self._workers[which]

    def _now(self) -> int | None:
        """Return the time to use in place of the server's."""
        return None if self._clock is None else round(self._clock() * 1000)
