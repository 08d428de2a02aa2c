"""Incidents in the running exporter: changes of devices and due times in, durable incidents out.

Exactly once: an incident is unique by its device and outage in the journal; after a SIGKILL what is missing is
derived from the fleet and from the journal records that came after the last progress mark. People's notes are durable
before they are acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING, Final, TypeVar

from exporter.domain.thresholds import due
from exporter.errors import ExporterError, JournalUnavailable
from exporter.incidents import store
from exporter.incidents.folding import fold
from exporter.incidents.model import ALERTED, ESCALATED, MUTED, NOTE, RESOLVED, STATUS, Entry, Held, Open
from exporter.incidents.open_incidents import OpenIncidents
from exporter.incidents.reconcile import abandon, reconcile
from exporter.incidents.schema import PIECE
from exporter.lib.logs import RateLimited, fields
from exporter.lib.waiting import Wake

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.domain.accounts import Device
    from exporter.domain.fleet import Change
    from exporter.domain.policy import Policies
    from exporter.domain.records import History
    from exporter.domain.timeline import Timeline
    from exporter.incidents.model import Add, Step
    from exporter.journal.port import Transaction
    from exporter.recording.recorder import Recorder

_Result = TypeVar("_Result")

log = logging.getLogger(__name__)

BATCH: Final = 200
"""Steps in one transaction: the journal's thread is soon free again for events."""
PAUSE: Final = 0.02
"""Seconds between a change and its writing: alerts go first, and a mass outage is written in batches."""
RETRY: Final = 1.0
PROGRESS_INTERVAL: Final = 30.0
"""Seconds; bounds how many devices a start after a SIGKILL looks at."""


class AlreadyResolved(ExporterError):
    """The status of a resolved incident cannot change."""

    code = "already_resolved"


class Incidents:
    """All incidents. `start` once the fleet is loaded, then `run` for as long as the exporter runs, then `flush`."""

    def __init__(
        self,
        recorder: Recorder,
        policies: Callable[[], Policies],
        *,
        impact: Callable[[Device], dict[str, int] | None] = lambda _device: None,
        planned_until: Callable[[Device, float], float | None] = lambda _device, _now: None,
    ) -> None:
        self._recorder = recorder
        self.open = OpenIncidents(
            recorder.fleet,
            policies,
            impact=impact,
            planned_until=lambda device: planned_until(device, recorder.clock()),
        )
        self._events: list[tuple[str | None, str | None, str, float, str]] = []
        self._wake = Wake()
        self._warn = RateLimited(log, per_minute=1)
        self._writing = asyncio.Lock()
        self._started = False
        self._since = recorder.clock()  # events may come in before `start` is called
        self._seq = 0
        self._progress_due = 0.0
        recorder.subscribe(self._changed)

    # -- what happens -------------------------------------------------------------------------------------------------

    def note_event(
        self, kind: str, at: float, text: str = "", *, device_id: str | None = None, channel_id: str | None = None
    ) -> None:
        """Put a line into the timeline of a device's incident, or into those of a channel; never waits, never raises.

        It goes into the open incident; before one is open it waits for it; after the end it goes into the last one.
        The same kind and time twice is one line. That an alert was handed over, or is muted, is one line at whatever
        time, for each `text` (whom it escalates to, what mutes it). It is durable within a second, not when this
        returns.
        """
        self._events.append((device_id, channel_id, kind, at, text))
        self._wake.set()

    def reconsider(self) -> None:
        """Judge every device that is down anew: the policies or the planned windows changed."""
        self.open.reconsider()
        self._wake.set()

    def _changed(self, change: Change) -> None:
        if not self._recorder.leading.leads:
            self._started = False  # `lead` finds what another exporter left
            return
        self._wake.set()
        if self._started:
            try:
                self.open.change(change, self._recorder.clock())
            except BaseException:  # raised on; the device is looked at again, so that a bug loses no incident
                self.open.unclear.add(change.device.identity.device_id)
                raise
        elif change.live:
            self.open.unclear.add(change.device.identity.device_id)

    # -- what people do -----------------------------------------------------------------------------------------------

    async def add_note(
        self,
        number: int,
        text: str,
        *,
        author: str = "",
        key: str | None = None,
        public: bool = False,
        next_update: float | None = None,
    ) -> Entry | None:
        """Add a note durably; None if there is no such incident. The same key again adds nothing.

        `next_update` promises the next note within so many seconds.
        """
        entry = self._note(text, author, public=public, next_update=next_update)
        name = f"{NOTE} {key or secrets.token_hex(8)}"
        return await self._transact(lambda transaction: store.note(transaction, number, name, entry))

    async def set_status(
        self,
        number: int,
        status: str,
        *,
        text: str = "",
        author: str = "",
        key: str | None = None,
        public: bool = False,
        next_update: float | None = None,
    ) -> bool:
        """Set the status durably, with a note if there is a text; False if there is no such incident.

        Raises AlreadyResolved. The same status again adds only the note.
        """
        entries = [Entry(self._recorder.clock(), STATUS, status, author)]
        if text:
            entries.append(self._note(text, author, public=public, next_update=next_update))
        name = f"{STATUS} {key or secrets.token_hex(8)}"
        former = await self._transact(
            lambda transaction: store.set_status(transaction, number, status, name, entries),
        )
        if former == RESOLVED:
            raise AlreadyResolved("the incident is resolved; its status does not change any more, notes can be added")
        return former is not None

    def _note(self, text: str, author: str, *, public: bool, next_update: float | None) -> Entry:
        now = self._recorder.clock()
        return Entry(now, NOTE, text, author, public, None if next_update is None else now + next_update)

    # -- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Load what is open and find what is missing. JournalUnavailable if the store cannot be read."""
        if not self._recorder.leading.leads:
            return
        begun = self._since
        since, seq, held = await self._transact_leading(lambda transaction: store.begin(transaction, begun))
        self._since, self._seq = since, seq
        self.open.unclear.update(
            await self._transact_leading(lambda transaction: store.devices_after(transaction, seq))
        )
        self.open.load(held)
        self._started = True

    async def lead(self) -> None:
        """Go on where another exporter stopped. JournalUnavailable."""
        self._started = False
        self.open.forget()
        await self.start()

    async def write_lines(self) -> None:
        """Write down what this exporter did, where another one leads and keeps the incidents. JournalUnavailable."""
        if self._recorder.leading.leads or not self._events:
            return
        self.open.forget()
        events, self._events = self._events, []
        lines = [line for event in events for line in self._lines(*event)]
        try:
            await self._transact(lambda transaction: store.apply(transaction, lines))
        except BaseException:
            self._events = [*events, *self._events]
            raise

    async def run(self) -> None:
        """Write what changes and open what is due, until cancelled."""
        while True:
            self.open.advance(self._recorder.clock())
            try:
                await self.flush()
            except JournalUnavailable as error:
                self._warn.warning("journal_failing", "incidents wait for the journal", error=str(error))
                await asyncio.sleep(RETRY)
                continue
            self._warn.flush()
            if self._idle():
                at = self.open.next_due()
                wait = PROGRESS_INTERVAL if at is None else min(PROGRESS_INTERVAL, at - self._recorder.clock())
                if await self._wake.wait(max(0.0, wait)):
                    await asyncio.sleep(PAUSE)

    def _idle(self) -> bool:
        return not (self.open.steps or self.open.unclear or self._events)

    async def flush(self, *, final: bool = False) -> None:
        """Make durable what happened so far. JournalUnavailable: it is kept for the next time."""
        async with self._writing:
            seq = self._recorder.applied
            while self.open.steps or self._events:
                await self._write()
            for device_id in list(self.open.unclear):
                await self._clarify(device_id)
            if seq > self._seq and not self.open.unclear and (final or self._recorder.clock() >= self._progress_due):
                await self._transact_leading(lambda transaction: store.save_progress(transaction, seq))
                self._seq, self._progress_due = seq, self._recorder.clock() + PROGRESS_INTERVAL

    async def prune(self, before: float) -> None:
        """Delete incidents that were resolved before a time, Unix seconds."""
        early = self._recorder.clock() - store.EARLY_FOR
        await self._transact_leading(lambda transaction: store.prune(transaction, before, early))

    async def _write(self) -> None:
        events, self._events = self._events, []
        self.open.steps += [line for event in events for line in self._lines(*event)]
        steps = self.open.steps[:BATCH]
        if not steps:
            return
        await self._transact_leading(lambda transaction: self._apply(transaction, steps))
        del self.open.steps[: len(steps)]
        for step in steps:
            if isinstance(step, Open):
                log.info("incident opened", extra=fields(device_id=step.device_id, outage=step.outage))

    def _lines(self, device_id: str | None, channel_id: str | None, kind: str, at: float, text: str) -> list[Add]:
        once = kind in (ALERTED, ESCALATED, MUTED)
        key = f"{kind} {text}".rstrip() if once else f"{kind} {at:.3f}"
        devices = [device_id] if device_id is not None else self._devices_of(channel_id)
        return [self.open.line(device, key, at, kind, text) for device in devices]

    def _devices_of(self, channel_id: str | None) -> list[str]:
        """Return the devices of a channel whose timelines take a line: those down, or else the last to rise."""
        found = [device for device in self._recorder.fleet.devices.values() if device.identity.channel_id == channel_id]
        down = [device for device in found if not device.timeline.up]
        last = [max(found, key=lambda device: device.timeline.since)] if found else []
        return [device.identity.device_id for device in down or last]

    async def _clarify(self, device_id: str) -> None:
        """Compare a device's incidents with its history in the journal, and make what differs durable."""
        device = self._recorder.fleet.devices.get(device_id)
        seen = device.timeline if device is not None else None
        history = await self._recorder.history(device_id)
        held, fresh = await self._transact_leading(lambda transaction: _read(transaction, device_id, self._since))
        if self._timeline(device_id) is not seen:
            return  # changed while we read; it stays unclear, and the next round looks again
        steps = self._steps(device_id, device, held, fresh, history)
        held = await self._transact_leading(lambda transaction: self._apply_and_read(transaction, device_id, steps))
        if self._timeline(device_id) is seen:
            self.open.settle(device_id, next((one for one in held if one.resolved_at is None), None))

    def _steps(
        self, device_id: str, device: Device | None, held: list[Held], fresh: set[int], history: History | None
    ) -> list[Step]:
        now = self._recorder.clock()
        outages, planned = ([], []) if history is None else (history.outages, history.planned)
        if device is None:
            return abandon(device_id, held, outages, now)
        after = self.open.thresholds.alert_after(device)
        return reconcile(
            device.identity,
            held,
            outages,
            due=lambda start: due(start, after, planned),
            fresh=fresh,
            now=now,
            severity=self.open.thresholds.severity(device),
            facts=self.open.facts(device),
        )

    def _timeline(self, device_id: str) -> Timeline | None:
        device = self._recorder.fleet.devices.get(device_id)
        return device.timeline if device is not None else None

    def _apply(self, transaction: Transaction, steps: list[Step]) -> None:
        store.apply(transaction, steps)
        fold(transaction, [step for step in steps if isinstance(step, Open)], self._size)

    def _apply_and_read(self, transaction: Transaction, device_id: str, steps: list[Step]) -> list[Held]:
        self._apply(transaction, steps)
        return store.held(transaction, device_id)

    def _size(self, scope: str, value: str) -> int:
        """Return how many devices share a value; called in the journal's thread."""
        fleet = self._recorder.fleet
        if scope == "gateway":
            return sum(device.identity.gateway == value for device in list(fleet.devices.values()))
        return sum(group.up + group.down for group in list(fleet.groups.values()) if getattr(group, scope) == value)

    async def _transact(self, job: Callable[[Transaction], _Result]) -> _Result:
        return await self._recorder.transact(PIECE.name, job)

    async def _transact_leading(self, job: Callable[[Transaction], _Result]) -> _Result:
        return await self._recorder.transact_leading(PIECE.name, job)


def _read(transaction: Transaction, device_id: str, since: float) -> tuple[list[Held], set[int]]:
    return store.held(transaction, device_id), store.fresh_times(transaction, device_id, since)
