"""The daily sums as a feature: they follow the journal, on one exporter."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from exporter.days.service import DaySums
from exporter.days.store import PIECE
from exporter.lib.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.config import Config
    from exporter.journal.port import Piece
    from exporter.recording.recorder import Recorder

INTERVAL: Final = 2.0
PRUNE_INTERVAL: Final = 86_400.0
FIRST_PRUNE: Final = 600.0
"""Seconds; not while the start's backlog comes in."""


class DaysFeature:
    """Days of the zone that alerts are told in, and of those of status pages."""

    name: ClassVar[str] = PIECE.name
    piece: ClassVar[Piece] = PIECE

    def __init__(self, recorder: Recorder, config: Callable[[], Config]) -> None:
        self._config = config
        self.service = DaySums(recorder, self._zones, lambda: config().storage.retention)

    async def lead(self) -> None:
        """Go on where another exporter stopped."""
        self.service.begin_anew()

    def tasks(self) -> list[Task]:
        """Follow the journal, and delete what retention passes by."""
        return [
            Task("days", self.service.catch_up, INTERVAL, leading=True),
            Task("day_retention", self.service.prune, PRUNE_INTERVAL, FIRST_PRUNE, leading=True),
        ]

    def _zones(self) -> set[str]:
        config = self._config()
        return {config.alerts.timezone, *(page.timezone for page in config.pages.items)}
