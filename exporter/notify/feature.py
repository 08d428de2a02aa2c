"""The relay as a feature: one operation for Alertmanager, and what was sent in the journal."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, Final

from exporter.notify.deliveries import PIECE, JournalDeliveries, SharedDeliveries
from exporter.notify.http import operations
from exporter.notify.relay import Relay
from exporter.notify.sending import ThreadedSender, load_apprise

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry

    from exporter.config import Config
    from exporter.journal.port import Piece
    from exporter.recording.recorder import Recorder
    from exporter.web.operations import Operation

PATIENCE: Final = 5.0
"""Seconds for what is on its way at a stop."""


class NotifyFeature:
    """The relay and its memory."""

    name: ClassVar[str] = PIECE.name
    piece: ClassVar[Piece] = PIECE

    def __init__(self, recorder: Recorder, config: Callable[[], Config], registry: CollectorRegistry) -> None:
        self._clock = recorder.clock
        shared = recorder.following.shared
        transact, clock = recorder.transact, recorder.clock
        self._deliveries = SharedDeliveries(transact, clock) if shared else JournalDeliveries(transact)
        self._relay = Relay(
            config().notify,
            config().alerts,
            sender=ThreadedSender(),
            deliveries=self._deliveries,
            registry=registry,
            clock=recorder.clock,
            on_sent=self._sent,
        )
        self.on_sent: list[Callable[[str, float, list[str]], None]] = []
        """Called with (target, time, ids of devices that are down) when a text was sent; must not raise."""

    async def start(self) -> None:
        """Learn what was sent, and make the first text as fast as the others."""
        await self._deliveries.load(self._clock() - self._relay.notify.repeat_window)
        if self._relay.notify.targets:
            await asyncio.to_thread(load_apprise)  # its first use costs a third of a second

    def operations(self) -> list[Operation]:
        """Return what Alertmanager's webhook calls."""
        return operations(self._relay)

    async def reload(self, config: Config) -> None:
        """Take the targets into use."""
        self._relay.reconfigure(config.notify, config.alerts)

    def _sent(self, target: str, at: float, device_ids: list[str]) -> None:
        for listener in self.on_sent:
            listener(target, at, device_ids)

    async def stop(self) -> None:
        """Let what is on its way finish."""
        await self._relay.close(PATIENCE)
