"""The single writer: events in, journal first, then the fleet, then whoever listens; see `commits` for how.

Everything here runs on the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from exporter.domain import checkpoint
from exporter.domain.applying import Applier
from exporter.domain.ceilings import Ceilings
from exporter.domain.fleet import Fleet
from exporter.domain.records import Append
from exporter.domain.timeline import Kind
from exporter.errors import InvalidEvent, JournalUnavailable, Overloaded
from exporter.journal.port import EXPOSING
from exporter.lib.clock import elapsed
from exporter.lib.logs import fields
from exporter.lib.pace import Pace
from exporter.recording.commits import Commits
from exporter.recording.following import Following
from exporter.recording.leading import Leading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from exporter.domain.accounts import Device
    from exporter.domain.fleet import Change
    from exporter.domain.identity import Identity
    from exporter.domain.records import History
    from exporter.gateways.events import DeviceEvent
    from exporter.journal.port import Journal, Reader, Transaction
    from exporter.metrics.own import SelfMetrics

_Result = TypeVar("_Result")

log = logging.getLogger(__name__)

QUEUE_LIMIT: Final = 20_000  # submissions that may wait; beyond it the sender's retry is the better queue
PLAN_LIMIT: Final = 500  # boundaries of planned windows in one go
PATIENCE: Final = 1.0  # seconds that a scrape waits for the journal: a journal in trouble must not silence its metrics
LAST_PATIENCE: Final = 30.0  # seconds for the last checkpoint


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
        clock: Callable[[], float],
        metrics: SelfMetrics,
        *,
        retry_span: float = 90.0,
        elapsed: Callable[[], float] = elapsed,
    ) -> None:
        self.fleet = Fleet()
        self.clock = clock
        self.ready = False
        self.heard_until: float | None = None
        """When the journal was last in use before this start, Unix seconds; None: never."""
        self.unopened = ""
        """Why the journal could not be opened so far, in a sentence; empty where it was, or was not tried yet."""
        self._metrics = metrics
        self.retry_span = retry_span
        self.ceilings = Ceilings()
        self.elapsed = elapsed
        self._shown = 0.0  # the latest time that the clock has shown in this run
        self._beat: float | None = None  # `elapsed` at the last heartbeat
        self._journal = journal
        self._applier = Applier(self.fleet, _listener_failed)
        self._commits = Commits(journal, self._applier, metrics, clock=clock, elapsed=elapsed)
        self.give_way = self._commits.give_way
        self.following = Following(journal, self._commits, elapsed)
        self.leading = Leading(journal, elapsed)
        self._running: list[asyncio.Task[None]] = []
        self._saving = asyncio.Lock()  # one checkpoint at a time
        self._exposing = 0  # expositions that are being rendered
        self._horizon = 0

    # -- life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Load the journal. ConfigError: only a person can help; after JournalUnavailable it may be tried again."""
        await self._journal.start()
        loaded = await self._journal.load()
        self.fleet.clear()
        seq = 0
        if loaded.checkpoint is not None:
            seq = loaded.checkpoint.seq
            identities = {identity.device_id: identity for identity in loaded.identities}
            checkpoint.restore(self.fleet, loaded.checkpoint, identities)
            self._applier.exposed(loaded.checkpoint.saved_ms)
        await self._commits.load(seq, loaded.gaps_until)
        self._commits.at_ms, self._commits.exposed_ms = loaded.at_ms, loaded.exposed_ms
        self._commits.skew = self.clock() - loaded.clock_ms / 1000 if loaded.clock_ms else 0.0
        self.heard_until = loaded.heard_ms / 1000 if loaded.heard_ms else None
        self._horizon = loaded.pruned_before
        self._metrics.blind.inc(sum(end - start for start, end in loaded.blind))
        await self.leading.ask()
        works = (self._commits.run, self.following.run, self.leading.run)
        self._running = [asyncio.create_task(work(), name=work.__qualname__) for work in works]
        self.ready = True

    async def stop(self) -> None:
        """Finish what waits, write a checkpoint and close the journal, in bounded time."""
        self.ready = False
        if self._running:
            await self._commits.idle.wait()
            if self.healthy:  # or nobody may wait for it
                await self._save_last()
        await self.end()

    async def _save_last(self) -> None:
        try:
            if self.leading.leads:
                await asyncio.wait_for(self.save_checkpoint(), LAST_PATIENCE)
                await self.leading.resign()
        except (JournalUnavailable, TimeoutError) as error:
            log.warning("no checkpoint at stop; the next start replays the journal", extra=fields(error=str(error)))

    async def end(self) -> None:
        """Close the journal as it is."""
        self.ready = False
        while self._running:
            self._running.pop().cancel()
        await self._journal.stop()

    @property
    def healthy(self) -> bool:
        """Whether events can be journalled, or will be by themselves."""
        return self._journal.stats().works

    @property
    def trouble(self) -> str:
        """Why events cannot be journalled, or had better go elsewhere, in a sentence; empty while all is well."""
        return self._journal.stats().why or self.unopened or self.following.trouble

    @property
    def clock_is_behind(self) -> bool:
        """Whether the clock has shown a later time: what seems to come from the future may be true."""
        return self.clock() < max(self._shown, self.heard_until or 0.0) - 1

    @property
    def oldest_wait(self) -> float:
        """Seconds for which the journal's storage has been at one piece of work."""
        return self._journal.stats().oldest_wait

    @property
    def queue_depth(self) -> int:
        """How many events wait for the journal."""
        return len(self._commits.waiting)

    @property
    def applied(self) -> int:
        """The journal's number of the last record that is in the fleet, and of which every listener was told."""
        return self._commits.applied

    def subscribe(self, callback: Callable[[Change], None]) -> None:
        """Call `callback` with every change of a device, in order, after it is durable."""
        self._applier.listeners.append(callback)

    # -- events -----------------------------------------------------------------------------------------------------

    async def submit(self, event: DeviceEvent) -> str:
        """Journal an event, apply it, and return its outcome.

        Raises InvalidEvent (older than what retention kept, or one device too many), Overloaded, JournalUnavailable.
        """
        if event.timestamp < self._horizon:
            message = f"is older than the journal, which starts at {self._horizon}"
            raise InvalidEvent("timestamp_too_old", message, "timestamp")
        self.ceilings.check(self.fleet, event.identity)
        return await self._append(event.identity, event.timestamp, Kind.CONNECTED if event.up else Kind.DISCONNECTED)

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
            appended = (
                self._append(one.device.identity, one.at, Kind.PLANNED if one.inside else Kind.PLANNED_END)
                for one in boundaries[first : first + PLAN_LIMIT]
                if one.device.identity.device_id in self.fleet.devices
            )
            await asyncio.gather(*appended)

    def _append(self, identity: Identity, timestamp: int, kind: Kind) -> asyncio.Future[str]:
        if not self.ready:
            raise JournalUnavailable("the journal is not loaded")
        if len(self._commits.waiting) >= QUEUE_LIMIT:
            raise Overloaded(f"{QUEUE_LIMIT} events wait for the journal")
        return self._commits.put(Append(identity, timestamp, kind))

    # -- expositions and housekeeping ---------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def exposing(self) -> AsyncIterator[float]:
        """Give the time to expose at. While the context lasts, the fleet may be read and shown, piece by piece.

        The journal knows of it, so that not even a crash makes a counter decrease. Where it does not answer within
        `PATIENCE`, the time is the last one that it told: gauges are shown, and counters stand still.
        """
        self._exposing += 1
        marking = self._commits.expose()
        renewing = asyncio.create_task(self._renew(), name="exposing")
        try:
            await asyncio.wait((marking,), timeout=PATIENCE)
            yield self._commits.shown_ms / 1000
        finally:
            renewing.cancel()
            self._exposing -= 1
            if not self._exposing:
                self._journal.exposed()

    async def _renew(self) -> None:
        """Tell the journal again and again that an exposition goes on: a huge first one takes seconds."""
        while True:
            await asyncio.sleep(EXPOSING / 2)
            await asyncio.wait((self._commits.expose(),))

    async def heartbeat(self) -> None:
        """Note in the journal that we hear events; a gap since the last time becomes a blind interval."""
        self._commits.warn_again()
        self._shown = max(self._shown, self.clock())
        span_ms = round(self.retry_span * 1000)
        beat = self.elapsed()
        if self._beat is not None and beat - self._beat <= self.retry_span:
            span_ms = round(self.clock() * 1000)  # whatever the wall clock says, no such time has passed
        blind = await self._run("heartbeat", self._journal.heartbeat(span_ms))
        self._beat = beat
        if blind is not None:
            self._metrics.blind.inc(blind.end - blind.start)
            log.warning("could not hear events", extra=fields(start=blind.start, end=blind.end))

    async def transact(self, operation: str, job: Callable[[Transaction], _Result]) -> _Result:
        """Run `job` in one transaction of the journal; JournalUnavailable is counted under `operation`."""
        return await self._run(operation, self._journal.transact(job))

    async def transact_leading(self, operation: str, job: Callable[[Transaction], _Result]) -> _Result:
        """Run `job` as `transact` does, but only where this exporter leads; else NotLeading, and nothing is done."""
        return await self._run(operation, self._journal.transact(job, epoch=self.leading.epoch))

    async def save_checkpoint(self) -> None:
        """Write what changed since the last checkpoint."""
        async with self._saving:
            looked_ms = self._commits.exposed_ms or round(self.clock() * 1000)
            snapshot = checkpoint.Snapshot(self.fleet, self._commits.applied, looked_ms)
            try:
                state = await snapshot.complete(Pace(turn=self.give_way))
                await self._run("checkpoint", self._journal.save(state, self.leading.epoch))
            except BaseException:  # a stop may cancel this before its outcome is known
                snapshot.give_back()
                raise

    async def quarantine(self, code: str, message: str, payload: bytes | None, digest: str) -> None:
        """Keep a rejected body's redacted copy; never raises: the sender's answer does not depend on it."""
        try:
            kept = await self._run("quarantine", self._journal.quarantine(code, message, payload, digest))
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
            device = await self._run("prune", self._journal.prune(before, device, self.leading.epoch))

    async def check(self) -> None:
        """Look through the journal's storage. JournalDamaged: it is unhealthy from now on."""
        await self._run("check", self._journal.check())

    # -- history ------------------------------------------------------------------------------------------------------

    async def history(self, device_id: str) -> History | None:
        """Return what is known of a device today, planned windows included; None if it never was."""
        return await self.read(lambda reader: reader.device(device_id))

    async def read(self, job: Callable[[Reader], _Result]) -> _Result:
        """Run `job` in a thread, on a view of the journal in which all is that was acknowledged before.

        JournalUnavailable where it cannot be read, or is not loaded yet.
        """
        if not self.ready:
            raise JournalUnavailable("the journal is not loaded")
        return await self._run("read", self._journal.read(job))

    async def _run(self, operation: str, call: Awaitable[_Result]) -> _Result:
        try:
            return await call
        except JournalUnavailable:
            self._metrics.failures.labels(operation).inc()
            raise


def _listener_failed(change: Change) -> None:
    log.exception("a listener failed", extra=fields(device_id=change.device.identity.device_id))
