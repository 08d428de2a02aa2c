"""Acknowledgements in the running exporter. The journal counts; alerts and silences follow it.

Guarantees: what somebody did is durable before they are told so. Who says it last has an outage. It ends with the
outage, at the time that was said, or when they take it back; an outage that is over is never acknowledged. A failure
of the journal at such an end is made up for, also by the next start.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import msgspec

from exporter.acknowledge import store
from exporter.acknowledge.store import EXPIRED, OVER, PIECE, UNDONE, Acknowledgement
from exporter.alerting.mass_counts import MASS_KINDS, keys_of
from exporter.alerting.taken import Taken
from exporter.conventions import ALERT_DEVICE_DOWN
from exporter.errors import ExporterError, JournalUnavailable, Overloaded
from exporter.incidents.model import ACK_EXPIRED, ACK_UNDONE, ACKNOWLEDGED, Add
from exporter.lib.logs import RateLimited, fields
from exporter.lib.times import zone_of
from exporter.lib.waiting import Wake
from exporter.lib.words import WORDS, clock_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.acknowledge.links import Scope
    from exporter.alerting.alert import Key
    from exporter.alerting.direct import DirectAlerts
    from exporter.config import Config
    from exporter.domain.accounts import Device
    from exporter.domain.fleet import Change
    from exporter.incidents.service import Incidents
    from exporter.recording.recorder import Recorder

log = logging.getLogger(__name__)

UNDO_FOR: Final = 300.0
"""Seconds within which somebody can take it back."""
SAME: Final = 60.0
"""Seconds within which the same person, saying the same again, is taken to have pressed twice."""
RETRY: Final = 1.0
LONGEST_WAIT: Final = 30.0


class OutageOver(ExporterError):
    """Nothing is left to acknowledge."""

    code = "outage_over"


class Acknowledgements:
    """`start` before alerts are told, then `run` for as long as the exporter runs."""

    def __init__(
        self, recorder: Recorder, config: Callable[[], Config], alerts: DirectAlerts, incidents: Incidents
    ) -> None:
        self._recorder = recorder
        self._config = config
        self._alerts = alerts
        self._incidents = incidents
        self.active: dict[Key, Acknowledgement] = {}
        self.ran_out: dict[Key, Acknowledgement] = {}
        self._over: dict[int, float] = {}  # what ended with its outage and is not written yet
        self._wake = Wake()
        self._warn = RateLimited(log, per_minute=1)
        self._taking = asyncio.Lock()  # who presses twice is there the second time
        self.on_taken: Callable[[float], None] = lambda _seconds: None
        """Called with how long it took until somebody had an outage."""
        alerts.taken_at_start = self._taken_at_start
        alerts.on_over = self._is_over
        recorder.subscribe(self._changed)

    # -- what people do -----------------------------------------------------------------------------------------------

    async def take(self, scope: Scope, by: str, note: str, lasting: float | None) -> Acknowledgement:
        """Let somebody have an outage for so many seconds, durably; None: for as long as the policy lets them.

        Raises OutageOver, JournalUnavailable, Overloaded.
        """
        async with self._taking:
            await self._hear_of_others()
            return await self._take(scope, by, note, lasting)

    async def _take(self, scope: Scope, by: str, note: str, lasting: float | None) -> Acknowledgement:
        now = self._recorder.clock()
        if not self.runs(scope):
            raise OutageOver("the outage is over")
        longest = self.longest(scope.key)
        seconds = min(longest, lasting if lasting is not None else longest)
        until = now + seconds
        known = self.active.get(scope.key)
        if known is not None and known.says(by, note, seconds) and now - known.at < SAME:
            return known
        is_first = known is None and scope.key not in self.ran_out
        given = Acknowledgement(0, *scope.key, scope.anchor, now, by, note, until)
        lines = self._lines(scope.key, ACKNOWLEDGED, now, _told(given))
        made = await self._recorder.transact(PIECE.name, lambda transaction: store.take(transaction, given, lines))
        self.ran_out.pop(scope.key, None)
        self.active[scope.key] = made
        self._wake.set()
        if not self.runs(scope):  # it came back meanwhile
            self._is_over(self._taken(made), self._recorder.clock())
            return made
        if is_first:
            self.on_taken(now - self._told_at(scope, now))
        log.info("acknowledged", extra=fields(alert=scope.key[0], subject=scope.key[1], number=made.number))
        self._alerts.take(self._taken(made))
        return made

    async def undo(self, scope: Scope, number: int) -> bool:
        """Take an acknowledgement back; False if that is no longer possible. JournalUnavailable, Overloaded."""
        await self._hear_of_others()
        now, known = self._recorder.clock(), self.active.get(scope.key)
        if known is None or known.number != number or now - known.at > UNDO_FOR:
            return False
        lines = self._lines(scope.key, ACK_UNDONE, now, known.author)
        if await self._end(known, now, UNDONE, lines):
            self.active.pop(scope.key, None)
            self._alerts.give_back(self._taken(known), now)
        return True

    # -- what others ask ----------------------------------------------------------------------------------------------

    def runs(self, scope: Scope) -> bool:
        """Return whether an outage goes on."""
        (alert, subject), anchor = scope
        if alert != ALERT_DEVICE_DOWN:
            return scope.key in self._alerts.alerts.firing
        device, held = self._recorder.fleet.down.get(subject), self._incidents.open.by_device.get(subject)
        if device is None:
            return False
        return anchor in (device.timeline.since, *((held.outage, held.started_at) if held is not None else ()))

    def of_device(self, device: Device) -> Acknowledgement | None:
        """Return who has the outage of a device: its own, or the mass outage that it is part of."""
        keys = ((ALERT_DEVICE_DOWN, device.identity.device_id), *keys_of(device.identity))
        return next((self.active[key] for key in keys if key in self.active), None)

    def devices(self, key: Key) -> list[str]:
        """Return the devices that are down and that an outage is about, by id."""
        if key[0] not in MASS_KINDS:
            return [key[1]] if key[1] in self._recorder.fleet.devices else []
        down = [device for device in self._recorder.fleet.down.values() if not device.timeline.in_window]
        return [device.identity.device_id for device in down if key in keys_of(device.identity)]

    def acknowledged(self, _: float) -> Iterator[tuple[Device, float]]:
        """Yield the gauge device_acknowledged."""
        if self.active:
            for device in list(self._recorder.fleet.down.values()):
                if self.of_device(device) is not None:
                    yield device, 1.0

    # -- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Load who has what. JournalUnavailable."""
        self._take_in(await self._recorder.transact(PIECE.name, store.load))
        for device in self._recorder.fleet.down.values():
            self._joined(device)

    async def run(self) -> None:
        """Write what is over, and end what ran out, until cancelled."""
        while True:
            try:
                await self._write_over()
                await self.expire()
            except (JournalUnavailable, Overloaded) as error:
                self._warn.warning("journal_failing", "acknowledgements wait for the journal", error=str(error))
                await asyncio.sleep(RETRY)
                continue
            self._warn.flush()
            now = self._recorder.clock()
            due = min((one.until for one in self.active.values()), default=now + LONGEST_WAIT)
            await self._wake.wait(max(0.0, min(LONGEST_WAIT, due - now)))

    async def _hear_of_others(self) -> None:
        if self._recorder.following.shared:
            await self.refresh()

    async def refresh(self) -> None:
        """Take in what other exporters wrote."""
        before = {**self.ran_out, **self.active}
        self._take_in(await self._recorder.transact(PIECE.name, store.load))
        for key, one in self.active.items():
            if before.get(key) != one:
                self._alerts.take(self._taken(one))
        for key, one in self.ran_out.items():
            if key in before and before[key].ending != one.ending:
                self._alerts.run_out(self._taken(one))
        for key in before.keys() - self.active.keys() - self.ran_out.keys():
            one = before[key]
            at = await self._recorder.read(lambda tables, one=one: store.undone_at(tables, one.number))  # type: ignore[misc]
            if at is not None:  # else the outage ended, of which this exporter hears by itself
                self._alerts.give_back(self._taken(one), at)

    def _take_in(self, found: list[Acknowledgement]) -> None:
        known = [one for one in found if one.number not in self._over]
        self.active = {(one.alert, one.subject): one for one in known if one.ended_at is None}
        self.ran_out = {(one.alert, one.subject): one for one in known if one.ended_at is not None}

    async def expire(self) -> None:
        """End what ran out. JournalUnavailable, Overloaded."""
        now = self._recorder.clock()
        for key, one in list(self.active.items()):
            if one.until <= now and await self._end(one, now, EXPIRED, self._lines(key, ACK_EXPIRED, now, one.author)):
                del self.active[key]
                self.ran_out[key] = msgspec.structs.replace(one, ended_at=now, ending=EXPIRED)
                self._alerts.run_out(self._taken(one))

    async def _write_over(self) -> None:
        for number, at in list(self._over.items()):
            await self._recorder.transact(
                PIECE.name,
                lambda transaction, number=number, at=at: store.end(transaction, number, at, OVER, []),  # type: ignore[misc]
            )
            del self._over[number]

    async def _end(self, one: Acknowledgement, at: float, ending: str, lines: list[Add]) -> bool:
        return await self._recorder.transact(
            PIECE.name, lambda transaction: store.end(transaction, one.number, at, ending, lines)
        )

    def _changed(self, change: Change) -> None:
        if self.active and change.after is not None and not change.after.up:
            self._joined(change.device)

    def _joined(self, device: Device) -> None:
        """Let the timeline of a device show who had the mass outage that it came into."""
        one, since = self.of_device(device), device.timeline.since
        if one is not None and one.alert in MASS_KINDS and since > one.at:
            self._incidents.note_event(ACKNOWLEDGED, since, _told(one), device_id=device.identity.device_id)

    def _is_over(self, taken: Taken, at: float) -> None:
        """Forget who has what ended."""
        for known in (self.active, self.ran_out):
            if (one := known.get(taken.key)) is not None and one.number == taken.number:
                del known[taken.key]
        self._over[taken.number] = at
        self._wake.set()

    def _taken_at_start(self) -> tuple[list[Taken], list[Taken]]:
        return [self._taken(one) for one in self.active.values()], [self._taken(one) for one in self.ran_out.values()]

    def _taken(self, one: Acknowledgement) -> Taken:
        zone = zone_of(self._config().alerts.timezone)
        until, until_id = (clock_time(one.until, one.at, zone, WORDS[language]) for language in ("en", "id"))
        key, words = (one.alert, one.subject), (until, until_id)
        return Taken(one.number, key, one.anchor, one.author, one.note, one.at, one.until, words)

    # -- facts --------------------------------------------------------------------------------------------------------

    def longest(self, key: Key) -> float:
        """Return the seconds for which somebody may have an outage without being asked again."""
        device = self._recorder.fleet.devices.get(key[1]) if key[0] == ALERT_DEVICE_DOWN else None
        engine = device.identity.engine if device is not None else key[1]
        return self._config().policies.for_engine(engine).acknowledge_max

    def _told_at(self, scope: Scope, now: float) -> float:
        alert = self._alerts.alerts.firing.get(scope.key)
        return min(now, alert.due_at if alert is not None else float(scope.anchor))

    def _lines(self, key: Key, kind: str, at: float, text: str) -> list[Add]:
        """Return the lines for the timelines of every incident that an outage is about."""
        line = self._incidents.open.line
        return [line(device_id, f"{kind} {at:.3f} {text}", at, kind, text) for device_id in self.devices(key)]


def _told(one: Acknowledgement) -> str:
    """Return the text of a timeline's line: see `ACKNOWLEDGED`."""
    return f"{one.until:.0f} {one.author}\n{one.note}".rstrip("\n")
