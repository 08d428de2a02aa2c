"""From the states of a gateway's sessions to connects and disconnects.

Guarantees:
- A hard state and an `up` are journalled at once. A soft state waits, durably, until its deadline; an `up` whose event
  is not earlier ends it. What is left at the deadline becomes a disconnect at the soft event's own time. Deadlines
  count from the arrival, because a webhook may have been retried; a hard state lets all that wait count at once.
- Any order and any repetition of the same events that arrive in time end in the same state.
- A session that was never up or down is not made known by a soft state.
- Of opposite states within one second the latest holds, although the journal knows whole seconds only.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from prometheus_client import Counter

from exporter.conventions import ACCEPTED, DEVICE_RECONNECTS, HELP, IGNORED, REDUNDANT
from exporter.errors import InvalidEvent, JournalUnavailable, Overloaded
from exporter.gateways.events import DeviceEvent
from exporter.lib.agenda import Agenda
from exporter.lib.logs import RateLimited
from exporter.lib.turns import Turns
from exporter.lib.waiting import Wake
from exporter.sessions import store
from exporter.sessions.reasons import Reasons
from exporter.sessions.store import Soft
from exporter.sessions.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry

    from exporter.domain.accounts import Device
    from exporter.domain.identity import Identity
    from exporter.gateways.events import SessionEvent
    from exporter.recording.recorder import Recorder

log = logging.getLogger(__name__)

RETRY: Final = 5.0
LOOK: Final = 60.0
"""Seconds between two looks while something waits, so that a clock that is set back is seen."""
SETTLE: Final = 30.0
"""Seconds after a start for which a deadline that passed meanwhile still waits: an `up` may be on its way again."""
AT_ONCE: Final = 500
RECENT: Final = 20_000
"""Devices whose last event is known to the millisecond."""


class Recent(NamedTuple):
    """The latest state of a device, to the millisecond, and the second at which the journal has it."""

    at_ms: int = 0
    up: bool = True
    second: int = 0
    both: bool = False
    """Whether the other state was told of the same millisecond: then neither of them is news."""


NEVER: Final = Recent()


class Sessions:
    """`take` what gateways tell; `run` beside it. `soft_after` is asked for by a gateway's name."""

    def __init__(self, recorder: Recorder, soft_after: Callable[[str], float], registry: CollectorRegistry) -> None:
        self._recorder, self._soft_after = recorder, soft_after
        self.reasons = Reasons(recorder, registry)
        self.waiting = Waiting()
        self._turns = Turns()
        self._agenda: Agenda[str] = Agenda()
        self._wake = Wake()
        self._looked_at = 0.0
        self._recent: dict[str, Recent] = {}
        self._warn = RateLimited(log)
        self._reconnects = Counter(
            DEVICE_RECONNECTS.removesuffix("_total"), HELP[DEVICE_RECONNECTS], ("engine", "gateway"), registry=registry
        )

    async def start(self) -> None:
        """Load what waits. JournalUnavailable if it cannot be read."""
        await self.reasons.start()
        await self.adopt()

    async def adopt(self) -> None:
        """Let what waits wait here, too, whoever heard it and may be gone. JournalUnavailable."""
        now = self._recorder.clock()
        found = await self._recorder.transact(store.PIECE.name, store.load_soft)
        for soft in found:
            late = soft._replace(deadline=max(soft.deadline, now + SETTLE)) if soft.deadline < now else soft
            if self.waiting.add(late):
                self._agenda.add(late.deadline, late.device_id)
        self._bring_forward(now)

    async def take(self, event: SessionEvent) -> str:
        """Take a state, and return its outcome once it is durable. Raises as `Recorder.submit` does."""
        if event.shift:
            gateway, hours = event.identity.gateway, f"{event.shift / 3600:+g}"
            message = f"the times of gateway {gateway} are off by {hours} hours and not used: set its timezone"
            self._warn.warning(f"shift {gateway}", message, gateway=gateway)
        async with self._turns.of(event.identity.device_id):
            event = self._in_order(event)
            if event.state == "up":
                return await self._up(event)
            if event.state == "gone":
                return await self._gone(event)
            return await (self._hard(event) if event.state == "hard" else self._soft(event))

    def waits(self, device_id: str) -> bool:
        """Return whether a soft state of a device waits."""
        return bool(self.waiting.of(device_id))

    async def run(self) -> None:
        """Let soft states count when their time has come, until cancelled."""
        while True:
            now = self._recorder.clock()
            await self.round(now)
            due = self._agenda.next_at()
            await self._wake.wait(None if due is None else min(LOOK, max(0.0, due - self._recorder.clock())))

    async def round(self, now: float) -> None:
        """Let those count whose deadline has passed; what cannot be journalled is tried again soon."""
        if now < self._looked_at:
            self._bring_forward(now)
        self._looked_at = now
        due: dict[str, None] = {}
        while len(due) < AT_ONCE and (device_id := self._agenda.pop_due(now)) is not None:
            due[device_id] = None
        done = await asyncio.gather(*(self._promote(device_id, now) for device_id in due), return_exceptions=True)
        for device_id, error in zip(due, done, strict=True):
            if isinstance(error, (JournalUnavailable, Overloaded)):
                self._agenda.add(now + RETRY, device_id)
            elif error is not None:
                raise error
        with contextlib.suppress(JournalUnavailable, Overloaded):  # else they are kept later
            await self.reasons.save()

    def _bring_forward(self, now: float) -> None:
        """Let nothing wait longer than if it had been heard now: the clock may have been ahead when it was."""
        for device_id in self.waiting.devices():
            latest = now + max(SETTLE, self._soft_after(device_id.partition(":")[0]))
            self.waiting.bring_forward(device_id, latest)
            self._agenda.add(latest, device_id)

    # -- states -------------------------------------------------------------------------------------------------------

    async def _up(self, event: SessionEvent) -> str:
        device_id = event.identity.device_id
        device = self._recorder.fleet.devices.get(device_id)
        over = self.waiting.remove(device_id, event.at_ms)
        if over:
            await self._forget(device_id, event.at_ms)
            if device is not None and device.timeline.up:
                self._reconnects.labels(event.identity.engine, event.identity.gateway).inc()
        outcome = await self._submit(event.identity, event.at_ms, up=True)
        for soft in self.waiting.of(device_id):  # later ones, of which the device was down till now
            self._remind(soft)
            await self._recorder.transact(store.PIECE.name, partial(store.save_soft, soft=soft))
        return outcome

    async def _gone(self, event: SessionEvent) -> str:
        device_id = event.identity.device_id
        if self.waiting.remove(device_id, event.at_ms):
            await self._forget(device_id, event.at_ms)
        return ACCEPTED if await self._recorder.forget(device_id) else IGNORED

    async def _hard(self, event: SessionEvent) -> str:
        device_id = event.identity.device_id
        softs = [soft for soft in self._living(device_id) if soft.at_ms < event.at_ms]
        self.reasons.tell(device_id, self._earliest(device_id, event.at_ms), event.reason)
        for soft in softs:
            await self._submit(event.identity, soft.at_ms, up=False)
        outcome = await self._submit(event.identity, event.at_ms, up=False)
        if self.waiting.remove(device_id, event.at_ms):
            await self._forget(device_id, event.at_ms)
        self.reasons.keep(device_id)
        return outcome

    async def _soft(self, event: SessionEvent) -> str:
        device_id = event.identity.device_id
        device = self._recorder.fleet.devices.get(device_id)
        if device is None:
            return IGNORED
        if device.timeline.up and self._is_over(device, event.at_ms):
            return REDUNDANT
        if not device.timeline.up and event.at_ms // 1000 < device.timeline.since:
            return await self._late_soft(device, event)
        deadline = self._recorder.clock() + self._soft_after(event.identity.gateway)
        soft = Soft(device_id, event.at_ms, deadline, event.reason)
        added = self.waiting.add(soft)
        if not device.timeline.up:
            return REDUNDANT  # it matters only where an `up` of before it is still on its way
        if added:
            self._remind(soft)
            try:
                await self._recorder.transact(store.PIECE.name, partial(store.save_soft, soft=soft))
            except BaseException:
                self.waiting.remove(device_id, event.at_ms)  # the sender must say it again
                raise
        return ACCEPTED if added else REDUNDANT

    def _remind(self, soft: Soft) -> None:
        self._agenda.add(soft.deadline, soft.device_id)
        self._wake.set()

    async def _late_soft(self, device: Device, event: SessionEvent) -> str:
        """Take a soft state that began an outage whose hard state came first."""
        second, since = event.at_ms // 1000, device.timeline.since
        if second < device.timeline.first_seen:
            return REDUNDANT
        came_up = partial(store.happened, device_id=device.identity.device_id, start=second, end=since, up=True)
        if await self._recorder.transact(store.PIECE.name, came_up):
            return REDUNDANT
        return await self._submit(event.identity, event.at_ms, up=False)

    async def _promote(self, device_id: str, now: float) -> None:
        async with self._turns.of(device_id):
            device, softs = self._recorder.fleet.devices.get(device_id), self._living(device_id)
            if device is not None and device.timeline.up and softs:
                first = min(soft.deadline for soft in softs)
                if first > now:
                    self._agenda.add(first, device_id)
                    return
                self.reasons.tell(device_id, self._earliest(device_id, softs[-1].at_ms), softs[0].reason)
                with contextlib.suppress(InvalidEvent):  # older than the journal: nobody can use it any more
                    for soft in softs:
                        await self._submit(device.identity, soft.at_ms, up=False)
            over = self.waiting.of(device_id)
            if over:
                self.waiting.remove(device_id, over[-1].at_ms)
                await self._forget(device_id, over[-1].at_ms)
            self.reasons.keep(device_id)

    def _living(self, device_id: str) -> list[Soft]:
        """Return the soft states of a device that no `up` is known to have ended, whoever heard of it."""
        device = self._recorder.fleet.devices.get(device_id)
        found = self.waiting.of(device_id)
        if device is None or not device.timeline.up:
            return found
        return [soft for soft in found if not self._is_over(device, soft.at_ms)]

    def _is_over(self, device: Device, at_ms: int) -> bool:
        """Return whether a device that is up came up at that time or later."""
        newest = device.timeline.newest
        known = self._recent.get(device.identity.device_id, NEVER)
        return at_ms <= known.at_ms if known.second == newest else at_ms // 1000 <= newest

    def _in_order(self, event: SessionEvent) -> SessionEvent:
        """Return an event as it is, or later than all that is known of its session where it is known to be later."""
        newest_ms = self._newest_ms(event.identity.device_id) if event.heard else 0
        return event if event.at_ms > newest_ms else msgspec.structs.replace(event, at_ms=newest_ms + 1)

    def _newest_ms(self, device_id: str) -> int:
        device, known = self._recorder.fleet.devices.get(device_id), self._recent.get(device_id, NEVER)
        newest = device.timeline.newest if device is not None else 0
        told = known.at_ms if known.second >= newest else newest * 1000 + 999
        return max([told, *(soft.at_ms for soft in self.waiting.of(device_id))])

    # -- the journal --------------------------------------------------------------------------------------------------

    async def _submit(self, identity: Identity, at_ms: int, *, up: bool) -> str:
        device_id = identity.device_id
        second = await self._second(device_id, at_ms, up=up)
        if second is None:
            return REDUNDANT
        known = self._recent.get(device_id, NEVER)
        held = self._is(device_id, up=known.up)
        outcome = await self._recorder.submit(DeviceEvent(second, up, identity))
        if at_ms < known.at_ms:
            if held and not self._is(device_id, up=known.up):
                await self._stand(identity, known)
            return outcome
        self._recent.pop(device_id, None)
        both = at_ms == known.at_ms and (known.both or up != known.up)
        self._recent[device_id] = Recent(at_ms, up, second, both)
        if len(self._recent) > RECENT:
            del self._recent[next(iter(self._recent))]
        return outcome

    async def _stand(self, identity: Identity, known: Recent) -> None:
        """Let the latest state hold again: an earlier one that came after it has turned its second round."""
        await self._recorder.submit(DeviceEvent(known.second + 1, known.up, identity))
        self._recent[identity.device_id] = known._replace(second=known.second + 1)

    def _is(self, device_id: str, *, up: bool) -> bool:
        device = self._recorder.fleet.devices.get(device_id)
        return device is not None and device.timeline.up == up

    def _earliest(self, device_id: str, at_ms: int) -> int:
        """Return the second of a state, but none before that of an earlier state that had to make way."""
        known = self._recent.get(device_id, NEVER)
        return max(at_ms // 1000, known.second) if at_ms >= known.at_ms else at_ms // 1000

    async def _second(self, device_id: str, at_ms: int, *, up: bool) -> int | None:
        """Return the second to journal a state at, None for one that a later state of its second has overtaken.

        In one second the journal lets the state of before it hold; here the later one must: it makes way to the next.
        """
        second = self._earliest(device_id, at_ms)
        device, known = self._recorder.fleet.devices.get(device_id), self._recent.get(device_id, NEVER)
        if device is None or device.timeline.newest != second or device.timeline.up == up:
            return second
        if known.both and at_ms == known.at_ms:
            return None
        later = at_ms >= known.at_ms
        if await self._holds(device) == (up if later else device.timeline.up):
            return second
        return second + 1 if later else None

    async def _holds(self, device: Device) -> bool:
        """Return which state holds after a device's newest second once both are journalled in it."""
        timeline = device.timeline
        if timeline.first_seen == timeline.newest:
            return True  # with nothing before it, the connect comes second
        if timeline.since != timeline.newest:
            return timeline.up
        second, other = timeline.newest, not timeline.up
        both = partial(store.happened, device_id=device.identity.device_id, start=second, end=second, up=other)
        return timeline.up if await self._recorder.transact(store.PIECE.name, both) else other

    async def _forget(self, device_id: str, until_ms: int) -> None:
        forget = partial(store.drop_soft, device_id=device_id, until_ms=until_ms)
        await self._recorder.transact(store.PIECE.name, forget)
