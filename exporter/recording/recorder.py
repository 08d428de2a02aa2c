"""The single writer: events in, log first, then the fleet, then whoever listens; see `committing` for how.

Everything here runs on the event loop; the journal is touched only through its writer thread, which brings what is in
the log into the journal before anything else that it does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from msgspec.structs import replace

from exporter.domain import checkpoint
from exporter.domain.applying import Applier
from exporter.domain.fleet import Fleet
from exporter.domain.records import Append, Record
from exporter.domain.timeline import Kind
from exporter.errors import InvalidEvent, JournalUnavailable, Overloaded
from exporter.journal.sqlite.log import Log, recover, take_over
from exporter.journal.sqlite.thread import Writer
from exporter.lib.clock import elapsed
from exporter.lib.logs import fields
from exporter.lib.pace import Pace
from exporter.recording.commits import Committer, Waiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from exporter.domain.accounts import Device
    from exporter.domain.fleet import Change
    from exporter.domain.identity import Identity
    from exporter.domain.records import Blind, History, Journal
    from exporter.domain.timeline import Outage
    from exporter.gateways.events import DeviceEvent
    from exporter.journal.port import Reader, Transaction
    from exporter.journal.sqlite.reader import Reader as SqliteReader
    from exporter.metrics.own import SelfMetrics
    from exporter.recording.commits import Answer

_Result = TypeVar("_Result")

log = logging.getLogger(__name__)

QUEUE_LIMIT = 20_000  # submissions that may wait; beyond it the sender's retry is the better queue
PLAN_LIMIT = 500  # boundaries of planned windows in one go
LEASE_MS = 30_000  # how far ahead the journal promises that expositions happen; bounds the error after a crash


PATIENCE = 1.0  # seconds that a scrape waits for the journal: a journal in trouble must not silence its own metrics


class Boundary(NamedTuple):
    """A device goes into a planned window (`inside`) or out of it at an event time, whole Unix seconds."""

    device: Device
    at: int
    inside: bool


class Recorder:
    """See the module. `start` first, `stop` last."""

    def __init__(
        self,
        journal: Journal,
        database: Path,
        reader: Callable[[], SqliteReader],
        *,
        clock: Callable[[], float],
        metrics: SelfMetrics,
        retry_span: float = 90.0,
        elapsed: Callable[[], float] = elapsed,
    ) -> None:
        self.fleet = Fleet()
        self.clock = clock
        self.ready = False
        self._metrics = metrics
        self._reader = reader
        self.retry_span = retry_span
        self._elapsed = elapsed
        self._beat: float | None = None  # `elapsed` at the last heartbeat
        self._journal = journal
        self._database = database  # the log is beside it
        self._applier = Applier(self.fleet, _listener_failed)
        self._commits = Committer(self._applier, metrics)
        self._writer: Writer | None = None
        self._log: Log | None = None
        self._newest_waiting: dict[str, int] = {}
        self._saving = asyncio.Lock()  # one checkpoint at a time
        self._exposed_ms = 0
        self._exposing = 0  # expositions that are being rendered
        self._telling: set[asyncio.Future[None]] = set()
        self._lease_ms = 0
        self._horizon = 0

    # -- life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Load the journal. JournalUnavailable if it cannot be read."""
        loop = asyncio.get_running_loop()
        self._writer = Writer(self._journal, loop)
        await self._writer.run(self._load)
        self._log = Log(self._database)
        self._commits.start(self._log, self._writer, self._journal.appended())
        self.ready = True

    async def stop(self) -> None:
        """Finish what waits, write a checkpoint and close the journal."""
        self.ready = False
        await self._commits.idle.wait()
        try:
            await self.save_checkpoint()
        except JournalUnavailable as error:
            log.warning("no checkpoint at stop; the next start replays the journal", extra=fields(error=str(error)))
        await self.end()

    async def end(self) -> None:
        """Close the files as they are. What the journal lacks is in the log; the next start takes it over."""
        self.ready = False
        self._commits.stop()
        await self.writer.stop()
        if self._log is not None:
            self._log.close(empty=not self.writer.backlog)

    @property
    def writer(self) -> Writer:
        """The journal's thread. JournalUnavailable before `start`."""
        if self._writer is None:
            raise JournalUnavailable("the journal is not loaded")
        return self._writer

    @property
    def healthy(self) -> bool:
        """Whether events can be journalled at all: red when the writer thread is dead."""
        return self._writer is not None and self._writer.alive

    @property
    def queue_depth(self) -> int:
        """How many events wait for the journal."""
        return len(self._commits.waiting)

    @property
    def applied(self) -> int:
        """The journal's number of the last record that is in the fleet, and of which every listener was told."""
        return self._commits.applied

    @property
    def backlog(self) -> int:
        """How many acknowledged records are in the log and not yet in the journal's file."""
        return 0 if self._writer is None else self._writer.backlog

    @property
    def log_pid(self) -> int:
        """The process that flushes the log; 0 before the start."""
        return 0 if self._log is None else self._log.pid

    def subscribe(self, callback: Callable[[Change], None]) -> None:
        """Call `callback` with every change of a device, in order, after it is durable."""
        self._applier.listeners.append(callback)

    # -- events -----------------------------------------------------------------------------------------------------

    async def submit(self, event: DeviceEvent) -> str:
        """Journal an event, apply it, and return its outcome.

        Raises InvalidEvent (older than what retention kept), Overloaded, JournalUnavailable.
        """
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.submit_soon(event, self.clock(), partial(_resolve, answer))
        return await answer

    def submit_soon(self, event: DeviceEvent, now: float, done: Callable[[str | JournalUnavailable], None]) -> None:
        """Like `submit`, but call `done` with the outcome or the commit's error; other errors are raised at once.

        The event was received at `now`, Unix seconds by the engine's clock.
        """
        if event.timestamp < self._horizon:
            message = f"is older than the journal, which starts at {self._horizon}"
            raise InvalidEvent("timestamp_too_old", message, "timestamp")
        self._enqueue(event.identity, event.timestamp, Kind.CONNECTED if event.up else Kind.DISCONNECTED, now, done)

    def identity_of(self, device_id: str) -> Identity | None:
        """Return who a device is by now; None if it is not in the metrics."""
        device = self.fleet.devices.get(device_id)
        return None if device is None else device.identity

    async def forget(self, device_id: str) -> bool:
        """Take a device out of the metrics, durably; its history stays. False if it is not there."""
        device = self.fleet.devices.get(device_id)
        if device is None:
            return False
        await self._append(device.identity, max(int(self.clock()), device.timeline.newest), Kind.FORGOTTEN)
        return True

    async def plan(self, boundaries: Sequence[Boundary]) -> None:
        """Journal begins and ends of planned windows, in few transactions; webhooks are answered in between.

        Of one device they must come in order and be later than those before. A boundary that changes nothing is
        harmless, and so is one that is sent again.
        """
        for first in range(0, len(boundaries), PLAN_LIMIT):
            some = boundaries[first : first + PLAN_LIMIT]
            known = [boundary for boundary in some if boundary.device.identity.device_id in self.fleet.devices]
            kinds = [Kind.PLANNED if boundary.inside else Kind.PLANNED_END for boundary in known]
            appended = (
                self._append(boundary.device.identity, boundary.at, kind)
                for boundary, kind in zip(known, kinds, strict=True)
            )
            await asyncio.gather(*appended)

    def _append(self, identity: Identity, timestamp: int, kind: Kind) -> asyncio.Future[str]:
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._enqueue(identity, timestamp, kind, self.clock(), partial(_resolve, answer))
        return answer

    def _enqueue(self, identity: Identity, timestamp: int, kind: Kind, now: float, answer: Answer) -> None:
        if not self.ready:
            raise JournalUnavailable("the journal is not loaded")
        commits, device_id = self._commits, identity.device_id
        if len(commits.waiting) >= QUEUE_LIMIT:
            raise Overloaded(f"{QUEUE_LIMIT} events wait for the journal")
        if commits.idle.is_set():
            self._newest_waiting.clear()
        record = Record(identity, timestamp, kind, round(now * 1000), self._stamp())
        newest = self._newest_waiting.get(device_id, -1)
        late = timestamp <= newest or self._applier.is_late(record)
        commits.put(Append(record, late), answer)
        self._newest_waiting[device_id] = max(newest, timestamp)

    # -- expositions and housekeeping ---------------------------------------------------------------------------------

    async def before_scrape(self) -> float:
        """Return the time to expose at, so that not even a crash makes a counter decrease; then call `after_scrape`.

        The journal holds a lease: a time that no exposition is later than. After a crash it stands for the last
        exposition. Without a working journal the exposition goes on all the same, after `PATIENCE`.
        """
        now = self.clock()
        self._exposing += 1
        self._exposed_ms = max(self._exposed_ms, round(now * 1000))
        waiting = self._commits.waiting
        for number, one in enumerate(waiting):
            record = replace(one.append.record, exposed_ms=self._stamp())
            waiting[number] = Waiting(Append(record, one.append.late), one.answer)
        if self.ready and (self._exposed_ms > self._lease_ms or not self._commits.idle.is_set()):
            telling = asyncio.ensure_future(self._tell_journal())
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)
            await asyncio.wait({telling}, timeout=PATIENCE)
        return now

    async def _tell_journal(self) -> None:
        """Let no record stamped before an exposition change anything after it, and renew the lease."""
        await self._commits.landed()
        if self._exposed_ms > self._lease_ms:
            try:
                await self.heartbeat()
            except JournalUnavailable as error:
                log.warning("the exposition's lease was not written", extra=fields(error=str(error)))

    def after_scrape(self) -> None:
        """Tell that the exposition is finished, also where it failed."""
        self._exposing -= 1
        self._exposed_ms += 1

    def _stamp(self) -> int:
        """Return the time of the last exposition. While one is rendered each change may be in it or not."""
        if self._exposing:
            self._exposed_ms += 1
        return self._exposed_ms

    async def heartbeat(self) -> None:
        """Note in the journal that we hear events; a gap since the last time becomes a blind interval."""
        self._commits.warn_again()
        now_ms = round(self.clock() * 1000)
        lease_ms = max(self._lease_ms, now_ms + LEASE_MS) if self._exposed_ms else 0
        span_ms = round(self.retry_span * 1000)
        beat = self._elapsed()
        if self._beat is not None and beat - self._beat <= self.retry_span:
            span_ms = now_ms  # the wall clock jumped: no such time has passed
        blind = await self._run("heartbeat", lambda journal: journal.heartbeat(now_ms, lease_ms, span_ms))
        self._lease_ms, self._beat = lease_ms, beat
        if blind is not None:
            self._metrics.blind.inc(blind.end - blind.start)
            log.warning("could not hear events", extra=fields(start=blind.start, end=blind.end))

    async def transact(self, operation: str, job: Callable[[Transaction], _Result]) -> _Result:
        """Run `job` in one transaction of the journal; JournalUnavailable is counted under `operation`."""
        return await self._run(operation, lambda journal: journal.transact(job))

    async def heard_until(self) -> float | None:
        """Return the time of the journal's last heartbeat, Unix seconds; None if there was none."""
        return await self._run("read", lambda journal: journal.heard_until())

    async def save_checkpoint(self) -> None:
        """Write what changed since the last checkpoint."""
        async with self._saving:
            now_ms = round(self.clock() * 1000)
            looked_ms = min(now_ms, self._exposed_ms or now_ms)  # no later record looks further back
            snapshot = checkpoint.Snapshot(self.fleet, self._commits.applied, looked_ms)
            try:
                state = await snapshot.complete(Pace())
                await self._run("checkpoint", lambda journal: journal.save(state))
            except BaseException:  # a stop may cancel this before its outcome is known
                snapshot.give_back()
                raise

    async def quarantine(self, code: str, message: str, payload: bytes | None, digest: str) -> None:
        """Keep a rejected body's redacted copy; never raises: the sender's answer does not depend on it."""
        now_ms = round(self.clock() * 1000)
        try:
            kept = await self._run(
                "quarantine", lambda journal: journal.quarantine(now_ms, code, message, payload, digest)
            )
        except JournalUnavailable as error:
            log.warning("a rejected body was not quarantined", extra=fields(error=str(error)))
        else:
            self._metrics.quarantined.set(kept)

    async def prune(self, retention: float) -> None:
        """Drop events older than `retention` seconds; the totals that they made stay."""
        before = max(self._horizon, int(self.clock() - retention))
        self._horizon = before  # from now on older events are refused; those under way get into the checkpoint
        await self._commits.flushed()
        await self.save_checkpoint()
        device: int | None = 0
        while device is not None:
            device = await self._run("prune", partial(_prune, before, device))

    async def outages(self, device_id: str) -> list[Outage] | None:
        """Return a device's outages as they are known today, forgotten ones included; None if it never was."""
        found = await self.history(device_id)
        return None if found is None else found.outages

    async def history(self, device_id: str) -> History | None:
        """Return what is known of a device today, planned windows included; None if it never was."""
        return await self.read(lambda reader: reader.device(device_id))

    async def histories(self) -> AsyncIterator[History]:
        """Yield every device's history, those of forgotten ones included."""
        await self._caught_up()
        with await asyncio.to_thread(self._reader) as reader:
            histories = reader.histories()
            while chunk := await asyncio.to_thread(lambda: list(islice(histories, 500))):
                for history in chunk:
                    yield history

    async def disconnects_since(self, start: int) -> list[tuple[str, int]]:
        """Return (device id, event time) of every disconnect since `start`, Unix seconds, in order of time."""
        return await self.read(lambda reader: reader.disconnects_since(start))

    async def blind_intervals(self) -> list[Blind]:
        """Return all blind intervals."""
        return await self._run("read", lambda journal: journal.blind_intervals())

    async def read(self, job: Callable[[Reader], _Result]) -> _Result:
        """Run `job` in a thread, on a view of the journal in which all is that was acknowledged before.

        JournalUnavailable where it cannot be read, or is not loaded yet.
        """

        def look() -> _Result:
            with self._reader() as reader:
                return job(reader)

        if not self.ready:
            raise JournalUnavailable("the journal is not loaded")
        await self._caught_up()
        return await asyncio.to_thread(look)

    async def _caught_up(self) -> None:
        """Let readers find what was acknowledged; where the file cannot be written, they see what is there."""
        with contextlib.suppress(JournalUnavailable):
            await self.writer.run(lambda _: None)

    def _load(self, journal: Journal) -> None:
        """Run in the writer's thread; nobody else touches the engine before `ready`."""
        take_over(journal, recover(self._database, journal.appended()))
        state = journal.load()
        if state is not None:
            checkpoint.restore(self.fleet, state, {identity.device_id: identity for identity in journal.identities()})
            self._commits.applied = state.seq
        for seq, record in journal.records_after(self._commits.applied):
            late = self._applier.is_late(record)
            history = journal.history(record.identity.device_id, seq) if late else None
            self._applier.apply(record, history, live=False)
            self._commits.applied = seq
        self._horizon = journal.pruned_before()
        self._exposed_ms = min(journal.exposed_until_ms(), round(self.clock() * 1000))
        self._metrics.blind.inc(sum(end - start for start, end in journal.blind_intervals()))

    async def _run(self, operation: str, job: Callable[[Journal], _Result]) -> _Result:
        try:
            return await self.writer.run(job)
        except JournalUnavailable:
            self._metrics.failures.labels(operation).inc()
            raise


def _resolve(answer: asyncio.Future[str], result: str | JournalUnavailable) -> None:
    if answer.done():
        return
    if isinstance(result, str):
        answer.set_result(result)
    else:
        answer.set_exception(result)


def _listener_failed(change: Change) -> None:
    log.exception("a listener failed", extra=fields(device_id=change.device.identity.device_id))


def _prune(before: int, first_device: int, journal: Journal) -> int | None:
    return journal.prune(before, first_device)
