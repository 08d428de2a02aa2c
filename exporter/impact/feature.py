"""Impact as a feature: counted conversations, saved now and then, as gauges."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from exporter.conventions import CHANNEL_ACTIVE_CONVERSATIONS, CHANNEL_LABELS, DEVICE_AFFECTED_CONVERSATIONS
from exporter.impact.hashing import ConversationHasher
from exporter.impact.service import ImpactService
from exporter.impact.store import PIECE
from exporter.lib.tasks import Task
from exporter.metrics.gauges import Gauge, OfDevices, OfLabels

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.config import Config
    from exporter.journal.port import Piece
    from exporter.recording.recorder import Recorder

SAVE_INTERVAL: Final = 15.0
"""Seconds; what a SIGKILL may lose of the counts, which span many minutes."""


class ImpactFeature:
    """The window and the number of conversations are those of the start: what is kept in memory depends on them."""

    name: ClassVar[str] = PIECE.name
    piece: ClassVar[Piece] = PIECE

    def __init__(self, recorder: Recorder, config: Callable[[], Config], key: bytes) -> None:
        self.service = ImpactService(recorder, config().impact, ConversationHasher(key))

    async def start(self) -> None:
        """Load what was known."""
        await self.service.start()

    def tasks(self) -> list[Task]:
        """Save, on every exporter, what it heard."""
        return [Task("impact", self.service.save, SAVE_INTERVAL)]

    def gauges(self) -> list[Gauge]:
        """Show what is active and what outages affected."""
        return [
            OfDevices(DEVICE_AFFECTED_CONVERSATIONS, self.service.affected),
            OfLabels(CHANNEL_ACTIVE_CONVERSATIONS, CHANNEL_LABELS, self.service.active),
        ]

    async def stop(self) -> None:
        """Save."""
        await self.service.save()
