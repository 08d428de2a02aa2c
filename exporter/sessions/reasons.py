"""Why each device that is down is down, for alerts, incidents and the API; kept for every outage.

Kept a moment after the event, with the reasons of others, so that it costs a webhook nothing: a kill within that moment
leaves the outage without one.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from prometheus_client import Counter

from exporter.conventions import DEVICE_DISCONNECT_REASONS, HELP
from exporter.errors import JournalUnavailable, Overloaded
from exporter.gateways.reasons import CONNECTION_LOST, UNKNOWN
from exporter.lib.waiting import Wake
from exporter.sessions import store

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry

    from exporter.domain.accounts import Device
    from exporter.domain.fleet import Change
    from exporter.recording.recorder import Recorder

GATHER: Final = 0.3
"""Seconds for which reasons are gathered."""
RETRY: Final = 5.0
_VAGUE = frozenset((UNKNOWN, CONNECTION_LOST))
"""What a more telling reason takes the place of, while the outage lasts."""


class Reasons:
    """Hears of each reason before the outage is in the fleet, so that its first alert has it."""

    def __init__(self, recorder: Recorder, registry: CollectorRegistry) -> None:
        self._recorder = recorder
        self._told: dict[str, tuple[int, str]] = {}  # device id: event time of the telling event, class
        self._kept: dict[str, tuple[str, int, str]] = {}
        self._unsaved: dict[str, tuple[str, int, str]] = {}
        self._wake = Wake()
        self.on_known: list[Callable[[str, int, str], None]] = []
        """Called with device, start and class once the reason of an outage is durable; must not raise."""
        self._outages = Counter(
            DEVICE_DISCONNECT_REASONS.removesuffix("_total"),
            HELP[DEVICE_DISCONNECT_REASONS],
            ("engine", "reason"),
            registry=registry,
        )
        recorder.subscribe(self._changed)

    async def start(self) -> None:
        """Load the reasons of what is down. JournalUnavailable if it cannot be read."""
        down = self._recorder.fleet.down
        for device_id, start, reason in await self._recorder.transact(store.PIECE.name, store.load_reasons):
            device = down.get(device_id)
            if device is not None and device.timeline.since == start:
                self._told[device_id] = (start, reason)
                self._kept[device_id] = (device_id, start, reason)

    def of(self, device: Device) -> str:
        """Return the class of a down device's reason."""
        at, reason = self._told.get(device.identity.device_id, (0, UNKNOWN))
        return reason if not device.timeline.up and at >= device.timeline.since else UNKNOWN

    def tell(self, device_id: str, second: int, reason: str) -> None:
        """Take a reason that an event has, before the event is journalled."""
        device = self._recorder.fleet.down.get(device_id)
        at = second + 1  # the second after it may be the one in the journal
        if device is None or (at >= device.timeline.since and self.of(device) in _VAGUE):
            self._told[device_id] = (at, reason)

    def keep(self, device_id: str) -> None:
        """Let the reason of an outage that runs be kept soon."""
        device = self._recorder.fleet.down.get(device_id)
        if device is None or self.of(device) == UNKNOWN:
            return
        row = (device_id, device.timeline.since, self.of(device))
        if self._kept.get(device_id) != row:
            self._unsaved[device_id] = row
            self._wake.set()

    async def run(self) -> None:
        """Keep what is new, many at a time, until cancelled; what cannot be stored is tried again."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER)
            try:
                await self.save()
            except (JournalUnavailable, Overloaded):
                await asyncio.sleep(RETRY)
                self._wake.set()

    async def save(self) -> None:
        """Keep what is new now. JournalUnavailable, Overloaded."""
        rows = list(self._unsaved.values())
        if not rows:
            return
        await self._recorder.transact(store.PIECE.name, partial(store.save_reason, rows=rows))
        for row in rows:
            if self._unsaved.get(row[0]) == row:
                del self._unsaved[row[0]]
            if row[0] in self._recorder.fleet.down:
                self._kept[row[0]] = row
            for listener in self.on_known:
                listener(*row)

    def _changed(self, change: Change) -> None:
        after, identity = change.after, change.device.identity
        if after is None or after.up:
            self._told.pop(identity.device_id, None)
            self._kept.pop(identity.device_id, None)
            return
        if change.live and (change.before is None or change.before.up):
            self._outages.labels(identity.engine, self.of(change.device)).inc()
