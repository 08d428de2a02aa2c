"""The journal on one SQLite file: a thread that writes, and readers beside it. Nobody above knows of either."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from exporter.errors import JournalDamaged, JournalUnavailable
from exporter.journal.port import Stats
from exporter.journal.sqlite import damage, saved
from exporter.journal.sqlite.database import Database
from exporter.journal.sqlite.reader import SqliteReader
from exporter.journal.thread import Thread

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from exporter.domain.records import Append, Blind, Checkpoint, DeviceHistory
    from exporter.journal.port import Appended, Loaded, Numbered, Piece, Reader, Transaction

_Result = TypeVar("_Result")

READERS: Final = 2
"""Jobs that read at the same time."""
PATIENCE: Final = 5.0
"""Seconds until a disk that does not answer is told from one that is slow: then senders are asked to try again."""


class SqliteJournal:
    """`Journal` (see there) on one file, which no other exporter may use."""

    shared = False

    def __init__(
        self, path: Path, clock: Callable[[], float], pieces: Sequence[Piece] = (), *, patience: float = PATIENCE
    ) -> None:
        """`clock` gives Unix seconds; `pieces` are what features add to the schema."""
        self.patience = patience
        self._path = path
        self._pieces = pieces
        self._clock = clock
        self._readers = ThreadPoolExecutor(READERS, "journal-read")  # of their own: reports hold up nothing else
        self._thread: Thread | None = None
        self._database: Database | None = None

    async def start(self) -> None:
        """Open the file (see `Journal`)."""
        if self._thread is None:
            self._thread = Thread(asyncio.get_running_loop())
        if self._database is None:
            self._database = await self._thread.run(partial(Database, self._path, self._clock, self._pieces))

    async def load(self) -> Loaded:
        """Return the saved state (see `Journal`)."""
        return await self._run(Database.load, short=False)

    async def append(self, batch: Sequence[Append], after: int) -> Appended:
        """Append events (see `Journal`)."""
        return await self._run(lambda database: database.append(batch, after))

    async def expose(self, after: int) -> Appended:
        """Note an exposition (see `Journal`)."""
        return await self._run(lambda database: database.expose(after))

    def exposed(self) -> None:
        """End the exposition (see `Journal`)."""
        if self._thread is not None and self._database is not None:
            self._thread.run(self._database.exposed)

    async def tail(self, after: int, limit: int = 5000) -> list[Numbered]:
        """Return the next records (see `Journal`)."""
        return await self._run(lambda database: database.tail(after, limit), short=False)

    async def histories(self, devices: Collection[str], upto: int) -> dict[str, DeviceHistory]:
        """Return the events of devices (see `Journal`)."""
        return await self._run(lambda database: database.histories(devices, upto))

    async def heartbeat(self, retry_span_ms: int) -> Blind | None:
        """Note that events are heard (see `Journal`)."""
        return await self._run(lambda database: database.heartbeat(retry_span_ms))

    async def save(self, checkpoint: Checkpoint, epoch: int) -> None:  # noqa: ARG002 - nobody else can lead
        """Merge a checkpoint (see `Journal`), in pieces between which events are appended."""
        for step in saved.steps(checkpoint):
            await self._run(partial(Database.save, step=step), short=False)

    async def prune(self, before: int, first_device: int, epoch: int) -> int | None:  # noqa: ARG002
        """Fold old events into bases (see `Journal`)."""
        return await self._run(lambda database: database.prune(before, first_device), short=False)

    async def quarantine(self, code: str, message: str, payload: bytes | None, digest: str) -> int:
        """Keep a rejected body (see `Journal`)."""
        return await self._run(lambda database: database.quarantine(code, message, payload, digest))

    async def transact(
        self,
        job: Callable[[Transaction], _Result],
        *,
        epoch: int | None = None,  # noqa: ARG002
    ) -> _Result:
        """Run `job` in one transaction (see `Journal`)."""
        return await self._run(lambda database: database.transact(job))

    async def read(self, job: Callable[[Reader], _Result]) -> _Result:
        """Run `job` on a view of the file (see `Journal`)."""

        def look() -> _Result:
            with SqliteReader(self._path) as reader:
                return job(reader)

        return await asyncio.get_running_loop().run_in_executor(self._readers, look)

    async def check(self) -> None:
        """Look through the file beside everything else (see `Journal`)."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._readers, damage.check, self._path)
        except JournalDamaged as error:
            if self._database is not None:
                self._database.stop_for_good(str(error))
            raise

    async def lease(self, ttl: float) -> int | None:  # noqa: ARG002
        """Lead: nobody else can open the file."""
        return 1

    async def resign(self) -> None:
        """Do nothing: there is nobody else."""

    def stats(self) -> Stats:
        """Return how the journal is."""
        if self._thread is None:
            return Stats(works=False, why="the journal is not open", oldest_wait=0.0)
        wait = self._thread.busy_for()
        why = "" if self._database is None else self._database.stopped
        if not self._thread.alive:
            why = "the journal's thread does not run"
        elif wait > self.patience and not why and self._database is not None:
            why = "the disk does not answer"
        return Stats(works=not why, why=why, oldest_wait=wait)

    async def stop(self) -> None:
        """Close the file; where the disk does not answer, leave it as it is."""
        self._readers.shutdown(wait=False, cancel_futures=True)
        if self._thread is None:
            return
        if self._database is not None:
            await asyncio.wait({self._thread.run(self._database.close)}, timeout=self.patience)
            self._database = None
        self._thread.end()
        self._thread = None

    async def _run(self, job: Callable[[Database], _Result], *, short: bool = True) -> _Result:
        """Run a job in the thread. A `short` one takes long only where the disk hangs, and then it is not awaited."""
        thread, database = self._thread, self._database
        if thread is None or database is None:
            raise JournalUnavailable("the journal is not open")
        if short and thread.busy_for() > self.patience:
            raise JournalUnavailable("the disk does not answer")
        future = thread.run(lambda: job(database))
        done, _ = await asyncio.wait((future,), timeout=self.patience if short else None)
        if not done:
            future.cancel()
            raise JournalUnavailable("the disk does not answer")
        return future.result()
