"""Compares one gateway's own word with what its webhooks told, and mends what they lost.

Guarantees:
- A single read changes nothing: two that agree with each other, an interval apart, correct a device, unless it had an
  event meanwhile or waits in a soft state, of which the webhooks will tell more.
- A correction has the gateway's own time where it lies between the last read that agreed and now, else it is of now;
  and the time since that read is kept as a time in which nothing was known of the device.
- A session that the gateway's list had before and has no more was stopped, as if the list said so.
- A gateway that does not answer changes nothing: its devices keep their state. An empty list while several sessions are
  up is no answer: a gateway that lost its memory is no reason to call all its devices down.
"""

from __future__ import annotations

import asyncio
import logging
import random
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from exporter.errors import InvalidEvent, JournalUnavailable, Overloaded
from exporter.gateways.events import SessionEvent
from exporter.gateways.reasons import STOPPED
from exporter.gateways.state_api import BadAnswer, Reading
from exporter.lib.logs import RateLimited, fields
from exporter.lib.pace import Pace
from exporter.sessions import client, store
from exporter.sessions.client import Unreachable
from exporter.sessions.silence import Silence

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from exporter.domain.accounts import Device
    from exporter.gateways.preset import Preset
    from exporter.gateways.state_api import StateReader
    from exporter.recording.recorder import Recorder
    from exporter.sessions.service import Sessions

log = logging.getLogger(__name__)

JITTER: Final = 0.1
BETWEEN: Final = 1.0
"""Seconds at most between two requests where sessions are asked one by one."""


class Suspect(NamedTuple):
    """A session of which a read said something else than we know."""

    state: str
    read_at: float
    newest: int
    """Our newest event of the device then; -1 where it was not known."""


class Poller:
    """One gateway's. `round` once an interval."""

    def __init__(
        self,
        preset: Preset,
        reader: StateReader,
        recorder: Recorder,
        sessions: Sessions,
        *,
        every: float,
        poll_only: bool,
        corrected: Callable[[str], None],
        blind: Callable[[int], None] = lambda _: None,
        silent_after: float = 0.0,
    ) -> None:
        self.name = preset.name
        self._preset, self._reader, self._recorder, self._sessions = preset, reader, recorder, sessions
        self._every, self._poll_only, self._corrected, self._blind = every, poll_only, corrected, blind
        self.up: bool | None = None
        """Whether the gateway answered when it was last asked; None before that."""
        self.read_at: float | None = None
        """When it last answered, Unix seconds."""
        self._listed: set[str] = set()
        """Sessions that the list had while we asked: of others it may be that this key does not show them."""
        self._agreed: dict[str, float] = {}
        self._suspects: dict[str, Suspect] = {}
        self._softened: set[str] = set()
        self._settings: dict[str, bool] = {}
        self.silence = Silence(silent_after)
        self._warn = RateLimited(log)

    @property
    def configured(self) -> bool | None:
        """Whether the webhook settings that were seen are still there; None where none were seen."""
        return all(self._settings.values()) if self._settings else None

    @property
    def pause(self) -> float:
        """Seconds until the next round: a gateway that does not answer is asked half as often, and no less."""
        return self._every * (2 if self.up is False else 1)

    async def run(self) -> None:
        """Ask until cancelled."""
        async with client.client() as session:
            while True:
                await self.round(session)
                await asyncio.sleep(self.pause * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - no secret

    async def round(self, session: aiohttp.ClientSession) -> None:
        """Ask once, and mend what two reads agree on."""
        started = self._recorder.clock()
        try:
            readings = await self._ask(session)
            readings += self._missing(readings)
        except (Unreachable, BadAnswer) as error:
            self.up = False
            self._warn.warning(f"unreachable {self.name}", "a gateway's state API does not answer", reason=str(error))
            return
        self.up, self.read_at = True, started
        for silent in self.silence.listen(readings, started):
            told = fields(device_id=f"{self.name}:{silent}", gateway=self.name)
            log.warning("the gateway calls a session connected, but no message goes through", extra=told)
        try:
            pace = Pace()
            for reading in readings:
                await self._judge(reading, started)
                if pace.spent():  # ten thousand sessions must not hold webhooks up
                    await pace.rest()
        except (InvalidEvent, JournalUnavailable, Overloaded) as error:  # the next round says it again
            self._warn.warning("not_stored", "a gateway's word could not be stored", reason=error.code)

    def _devices(self) -> list[Device]:
        fleet = self._recorder.fleet
        return [device for device in list(fleet.devices.values()) if device.identity.gateway == self.name]

    async def _ask(self, session: aiohttp.ClientSession) -> list[Reading]:
        reader = self._reader
        await self._look_at_settings(session)
        if not reader.one_by_one:
            return await asyncio.to_thread(reader.read, await client.ask(session, reader.call()))
        found: list[Reading] = []
        names = [self._preset.session_of(device.identity.device_id) for device in self._devices()]
        for name in names:
            found += reader.read(await client.ask(session, reader.call(name)), name)
            await asyncio.sleep(min(BETWEEN, self._every / 2 / len(names)))
        return found

    def _missing(self, readings: list[Reading]) -> list[Reading]:
        """Return what it means that sessions are not in the list any more. Raises BadAnswer if it cannot be so."""
        listed = {reading.session for reading in readings}
        if self._reader.one_by_one or "" in listed:  # one without a name may be any of them
            return []
        devices = {self._preset.session_of(device.identity.device_id): device for device in self._devices()}
        up = sum(device.timeline.up for device in devices.values())
        if not listed and up > 1:
            raise BadAnswer(f"the list of sessions is empty, but {up} are up: forget them if they were deleted")
        missing = (self._listed & devices.keys()) - listed
        self._listed = listed | missing
        return [Reading(session, "", "hard", STOPPED, None, None) for session in missing]

    async def _look_at_settings(self, session: aiohttp.ClientSession) -> None:
        """Look at one session's webhook settings: once they were ours, they must not be gone."""
        devices = self._devices()
        if not self._reader.tells_settings or not devices:
            return
        name = self._preset.session_of(random.choice(devices).identity.device_id)  # noqa: S311
        try:
            url = self._reader.settings_of(await client.ask(session, self._reader.settings_call(name)))
        except (Unreachable, BadAnswer):
            return  # the states tell whether it is there
        ours = f"/webhook/{self.name}" in url
        if ours or name in self._settings:
            self._settings[name] = ours

    # -- what two reads agree on --------------------------------------------------------------------------------------

    async def _judge(self, reading: Reading, read_at: float) -> None:
        if reading.state == "ignored":
            return
        device_id = f"{self.name}:{reading.session}"
        device = self._recorder.fleet.devices.get(device_id)
        if device is None and reading.state != "up":
            return  # a session that is being set up
        waits = self._sessions.waits(device_id)
        if not waits:
            self._softened.discard(device_id)
        elif device_id not in self._softened:
            self._suspects.pop(device_id, None)
            return
        elif reading.state == "up" and device is not None:
            await self._sessions.take(SessionEvent(round(read_at * 1000), "up", device.identity))
        if self._agrees(device, reading.state, waits=waits):
            self._agreed[device_id] = read_at
            self._suspects.pop(device_id, None)
            return
        newest = -1 if device is None else device.timeline.newest
        suspect = self._suspects.get(device_id)
        if suspect is None or (suspect.state, suspect.newest) != (reading.state, newest) or read_at < suspect.read_at:
            # the first of two, or the clock was ahead when that was read
            self._suspects[device_id] = Suspect(reading.state, read_at, newest)
        elif read_at - suspect.read_at >= self._every * (1 - 2 * JITTER):
            del self._suspects[device_id]
            await self._correct(reading, read_at, suspect)

    def _agrees(self, device: Device | None, state: str, *, waits: bool) -> bool:
        if device is None:
            return False
        if state == "soft":
            return waits or not device.timeline.up
        return device.timeline.up == (state == "up")

    async def _correct(self, reading: Reading, now: float, suspect: Suspect) -> None:
        device_id, agreed = f"{self.name}:{reading.session}", self._agreed.get(f"{self.name}:{reading.session}")
        known = self._recorder.fleet.devices.get(device_id)
        try:
            identity = self._preset.identify(
                reading.session, reading.name, None, self._engine(known, reading), self._recorder.identity_of
            )
        except InvalidEvent:
            return  # no name that a device can have
        at = now
        if reading.at is not None and reading.state == "hard" and (agreed or suspect.newest) < reading.at <= now:
            at = reading.at
        elif reading.state == "soft":
            at = suspect.read_at
        state: Literal["up", "hard", "soft"] = reading.state if reading.state in ("up", "hard") else "soft"
        if known is not None and agreed is not None and agreed < now:  # else by a clock that was ahead then
            await self._recorder.transact(
                store.PIECE.name, partial(store.save_blind, device_id=device_id, start=int(agreed), end=int(now))
            )
            self._blind(int(now) - int(agreed))
        newest = -1 if known is None else known.timeline.newest
        if newest != suspect.newest:
            return  # a webhook has just told
        heard = at != reading.at  # later than all that is known: both reads came after it
        await self._sessions.take(SessionEvent(round(at * 1000), state, identity, reading.reason, heard=heard))
        if state == "soft":
            self._softened.add(device_id)
            return
        self._agreed[device_id] = now
        if known is not None and not self._poll_only:
            self._corrected("up" if state == "up" else "down")
            told = fields(device_id=device_id, state=state, gateway=self.name)
            log.warning("corrected by the gateway's own word: a webhook was lost", extra=told)

    def _engine(self, known: Device | None, reading: Reading) -> str:
        return known.identity.engine if known is not None else self._preset.engine_of(reading.root)
