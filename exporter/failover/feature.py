"""Failover as a feature: its pairs are driven and accounted for, and shown as gauges."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from exporter.conventions import (
    CHANNEL_FAILOVER_ACTIVE,
    CHANNEL_FAILOVER_FAILED,
    CHANNEL_FAILOVER_NO_BACKUP,
    CHANNEL_FAILOVER_PENDING,
    FAILOVER_LABELS,
)
from exporter.failover.sender import HookSender
from exporter.failover.service import FailoverService
from exporter.failover.store import PIECE
from exporter.lib.tasks import Task
from exporter.metrics.gauges import Gauge, OfLabels

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry

    from exporter.config import Config
    from exporter.domain.accounts import Device
    from exporter.journal.port import Piece
    from exporter.recording.recorder import Recorder


class FailoverFeature:
    """`service.on_switch` are those who are told of each switch."""

    name: ClassVar[str] = PIECE.name
    piece: ClassVar[Piece] = PIECE

    def __init__(
        self,
        recorder: Recorder,
        config: Callable[[], Config],
        registry: CollectorRegistry,
        *,
        planned_until: Callable[[Device, float], float | None],
    ) -> None:
        self._recorder = recorder
        self._hooks = HookSender(recorder.clock)
        self.service = FailoverService(
            recorder,
            lambda: config().failover,
            self._hooks,
            registry,
            retention=lambda: config().storage.retention,
            planned_until=planned_until,
        )

    async def start(self) -> None:
        """Load what was decided."""
        await self.service.start()

    async def lead(self) -> None:
        """Go on where another exporter stopped."""
        await self.service.lead()

    def tasks(self) -> list[Task]:
        """Call the hooks and settle the sums, on one exporter."""
        return [
            Task("failover", self.service.run, leading=True),
            Task("failover_groups", self.service.groups.run, leading=True),
        ]

    def gauges(self) -> list[Gauge]:
        """Show where every pair is."""
        service, with_action = self.service, (*FAILOVER_LABELS, "action")
        return [
            OfLabels(CHANNEL_FAILOVER_ACTIVE, FAILOVER_LABELS, service.active),
            OfLabels(CHANNEL_FAILOVER_PENDING, with_action, service.pending),
            OfLabels(CHANNEL_FAILOVER_FAILED, with_action, service.failed),
            OfLabels(CHANNEL_FAILOVER_NO_BACKUP, FAILOVER_LABELS, service.no_backup),
        ]

    async def reload(self, _: Config) -> None:
        """Take changed pairs into use, and try again what was given up."""
        self.service.reconfigure()

    async def stop(self) -> None:
        """Close the hooks' connections, and keep the sums."""
        await self._hooks.close()
        if self._recorder.leading.leads:
            await self.service.groups.save()
