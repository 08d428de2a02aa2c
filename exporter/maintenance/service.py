"""Writes into the journal, device by device, when planned windows begin and end.

Guarantees:
- At each boundary of a window every device that it is about gets a record with the boundary's own time. A boundary
  that passed while the exporter did not run, or while the journal could not be written, is made up for.
- Windows take effect from when they are known: one that is given with a start in the past begins now. What was
  planned stays planned, whatever becomes of the windows later.
- A device that comes, or changes its channel or business, inside a window is marked at once.

One task does all the marking, in slices, so that webhooks are answered in between. Times are Unix seconds.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import msgspec

from exporter.domain.thresholds import Thresholds, counts_from
from exporter.errors import JournalUnavailable, Overloaded
from exporter.lib.logs import fields
from exporter.lib.pace import Pace
from exporter.lib.waiting import Wake
from exporter.maintenance import store
from exporter.maintenance.windows import Schedule, Window, from_config
from exporter.recording.recorder import Boundary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from exporter.config import Config
    from exporter.domain.accounts import Device
    from exporter.domain.fleet import Change
    from exporter.maintenance.repeated import Span
    from exporter.recording.recorder import Recorder

log = logging.getLogger(__name__)

SLICE: Final = 2000  # devices judged between two turns of the loop
LOOK_BACK: Final = 31 * 86_400  # how long a stop may have been whose boundaries are made up for
BEHIND: Final = 15.0  # how far back at least an exporter looks that begins to lead
RETRY: Final = 1.0
LONGEST_WAIT: Final = 60.0  # the system's clock may be set


class Maintenance:
    """`start` after the recorder, before its first heartbeat; then `run`. `config` is asked at start and `reload`."""

    def __init__(self, recorder: Recorder, config: Callable[[], Config]) -> None:
        self._recorder = recorder
        self._config = config
        self.on_change: list[Callable[[], None]] = []
        """Called whenever the windows are others than before; must not raise."""
        self._stored: dict[int, store.Stored] = {}
        self.schedule = Schedule()
        self._active: list[Window] = []
        self._settled = 0  # up to then every device's record is right
        self._unsure: set[str] = set()
        self._renewed = False  # the windows were changed and are not in use yet
        self._lock = asyncio.Lock()
        self._wake = Wake()
        recorder.subscribe(self._heard)

    # -- life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Load the windows and make up for the time of the stop. JournalUnavailable, Overloaded."""
        now = self._recorder.clock()
        self._stored = await self._load()
        heard = self._recorder.heard_until
        self._settled = int(max(now if heard is None else min(heard, now), now - LOOK_BACK))
        await self._begin_anew()

    async def lead(self) -> None:
        """Go on where another exporter stopped. JournalUnavailable, Overloaded."""
        self._stored = await self._load()
        await self._begin_anew()

    async def follow(self) -> None:
        """Take in the windows that were given to other exporters. JournalUnavailable."""
        stored = await self._load()
        if stored != self._stored:
            self._stored = stored
            await self._renew()
        if not self._leads:  # as long as the journal can be read somebody leads, and has marked what was due
            self._settled = max(self._settled, int(self._recorder.clock() - BEHIND))

    async def _begin_anew(self) -> None:
        await self._build()
        if self._leads:
            await self._judge(self._recorder.fleet.devices.values(), self._settled)
            await self._settle()

    async def _load(self) -> dict[int, store.Stored]:
        stored = await self._recorder.transact(store.PIECE.name, store.load)
        return {one.number: one for one in stored}

    @property
    def _leads(self) -> bool:
        return self._recorder.leading.leads

    async def run(self) -> None:
        """Mark what is due until cancelled."""
        failing = False
        while True:
            try:
                await self.advance()
                failing = False
            except (JournalUnavailable, Overloaded) as error:
                if not failing:
                    log.warning("planned windows could not be journalled; trying again", extra=fields(error=str(error)))
                failing = True
            await self._wake.wait(self._wait(failing=failing))

    async def reload(self) -> None:
        """Take the windows of the present configuration into use."""
        await self._renew()

    # -- what people do -----------------------------------------------------------------------------------------------

    async def add(self, window: Window) -> int:
        """Keep a window durably and take it into use; return its number. JournalUnavailable."""
        now = self._recorder.clock()
        number = await self._recorder.transact(
            store.PIECE.name, lambda transaction: store.add(transaction, window, now)
        )
        self._stored[number] = store.Stored(number, window)
        await self._renew()
        return number

    async def end(self, number: int) -> bool:
        """End a window, or call it off, durably; False if there is none that is not over."""
        now = self._recorder.clock()
        one = self._stored.get(number)
        if one is None or one.ended_at is not None or one.window.span(now) is None:
            return False
        await self._recorder.transact(store.PIECE.name, lambda transaction: store.end(transaction, number, now))
        self._stored[number] = msgspec.structs.replace(one, ended_at=now)
        await self._renew()
        return True

    # -- what others ask ----------------------------------------------------------------------------------------------

    def planned_until(self, device: Device, at: float) -> float | None:
        """Return when the planned time that a device is in at `at` ends, as planned now; None outside of windows."""
        return self.schedule.planned_until(device.identity, at) if self.schedule.windows else None

    def inside(self, _: float) -> Iterator[tuple[Device, float]]:
        """Yield the gauge device_maintenance."""
        return ((device, 1.0) for device in list(self._recorder.fleet.planned.values()))

    def outlasted(self, _: float) -> Iterator[tuple[Device, float]]:
        """Yield the gauge device_maintenance_end_timestamp_seconds: thresholds of these outages count from there."""
        thresholds = Thresholds(lambda: self._config().policies)
        for device in list(self._recorder.fleet.down.values()):
            since = counts_from(device.timeline, thresholds.alert_after(device))
            if since is not None and since > device.timeline.since:
                yield device, float(since)

    def listed(self) -> Iterator[tuple[str, Window]]:
        """Yield the key and the window of all that are in use, the file's first."""
        return iter(self.schedule.windows.items())

    def coming(self, at: float) -> Iterator[tuple[Window, Span]]:
        """Yield the windows that are not over, with the time that runs or comes next."""
        for key, window in self.listed():
            span = self.schedule.span(key, at)
            if span is not None:
                yield window, span

    # -- marking ------------------------------------------------------------------------------------------------------

    async def _renew(self) -> None:
        """Take changed windows into use, now or as soon as the journal can be written."""
        self._renewed = True
        try:
            await self.advance()
        except (JournalUnavailable, Overloaded):
            self._wake.set()  # `run` says so and tries again

    async def advance(self) -> None:
        """Finish with the present windows up to now; then go on with others, where they were changed."""
        async with self._lock:
            if self._leads:
                await self._settle()
            if not self._renewed:
                return
            self._renewed = False
            await self._build()
            try:
                if self._leads:
                    await self._judge(self._recorder.fleet.devices.values(), self._settled)
            except (JournalUnavailable, Overloaded):
                self._renewed = True
                raise
        self._wake.set()
        for listener in self.on_change:
            listener()

    async def _build(self) -> None:
        """Make the schedule of what is not over."""
        file = ((f"file-{place}", from_config(window)) for place, window in enumerate(self._config().maintenance, 1))
        own = ((str(one.number), one.window) for one in self._stored.values() if one.ended_at is None)
        everything = Schedule([*file, *own])
        await _look_ahead(everything, self._settled)
        self.schedule = everything.without_past(self._settled)

    async def _settle(self) -> None:
        now = int(self._recorder.clock())
        await _look_ahead(self.schedule, self._settled)
        await _look_ahead(self.schedule, now)
        for at in self.schedule.boundaries(self._settled, now):
            await self._judge(self._recorder.fleet.devices.values(), at)
            self._settled = at
        self._settled = max(self._settled, now)
        unsure, self._unsure = self._unsure, set()
        devices = self._recorder.fleet.devices
        try:
            await self._judge([devices[one] for one in unsure if one in devices], None)
        except (JournalUnavailable, Overloaded):
            self._unsure |= unsure
            raise

    async def _judge(self, devices: Iterable[Device], at: int | None) -> None:
        """Journal every device that is not where the windows want it at a time; None: now, since its last event."""
        self._active = self.schedule.active(self._settled if at is None else at)
        found: list[Boundary] = []
        for number, device in enumerate(list(devices)):
            inside = bool(self._active) and any(window.holds(device.identity) for window in self._active)
            if inside != device.timeline.in_window:
                self._mark(device, inside=inside, at=at, found=found)
            if number % SLICE == SLICE - 1:
                await asyncio.sleep(0)
        await self._recorder.plan(found)

    def _mark(self, device: Device, *, inside: bool, at: int | None, found: list[Boundary]) -> None:
        timeline = device.timeline
        newest = timeline.planned.newest if timeline.planned is not None else -1
        if at is None:
            at = max(self._begin(device) if inside else timeline.newest, newest + 1)
        if inside:
            at = max(at, timeline.first_seen)
        if newest < at <= self._recorder.clock():
            found.append(Boundary(device, at, inside))
        else:
            self._unsure.add(device.identity.device_id)  # boundaries of one device are a second apart, and never ahead

    def _begin(self, device: Device) -> int:
        """Return since when a device is inside that came into a window otherwise than by the window's start."""
        timeline = device.timeline
        spans = (
            self.schedule.span(key, self._settled) for key, window in self.listed() if window.holds(device.identity)
        )
        begin = min((span.start for span in spans if span is not None), default=self._settled)
        is_new = timeline.planned is None and timeline.first_seen >= begin
        return max(begin, timeline.first_seen if is_new else timeline.newest)

    def _heard(self, change: Change) -> None:
        timeline = change.after
        if not self._leads or timeline is None or not change.live or not (self._active or timeline.in_window):
            return
        if any(window.holds(change.device.identity) for window in self._active) != timeline.in_window:
            self._unsure.add(change.device.identity.device_id)
            self._wake.set()

    def _wait(self, *, failing: bool) -> float:
        if failing or self._unsure:
            return RETRY
        boundary = self.schedule.next_boundary(self._settled)
        wait = LONGEST_WAIT if boundary is None else boundary - self._recorder.clock()
        return max(0.0, min(LONGEST_WAIT, wait))


async def _look_ahead(schedule: Schedule, at: float) -> None:
    """Let a schedule find its spans in stretches: it keeps them, so that no configuration holds the event loop."""
    pace = Pace()
    pace.start()
    for key in list(schedule.windows):
        schedule.span(key, at)
        if pace.spent():
            await pace.rest()
