"""Planned maintenance as a feature: its windows are marked in the journal, shown as gauges, and kept by an API."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from exporter.conventions import DEVICE_MAINTENANCE, DEVICE_MAINTENANCE_END
from exporter.lib.tasks import Task
from exporter.maintenance.api import MaintenanceApi
from exporter.maintenance.service import Maintenance
from exporter.maintenance.store import PIECE
from exporter.metrics.gauges import Gauge, OfDevices

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.config import Config
    from exporter.journal.port import Piece
    from exporter.recording.recorder import Recorder
    from exporter.web.operations import Operation


FOLLOW: Final = 5.0
"""Seconds until a window that another exporter was given is known here."""


class MaintenanceFeature:
    """`service.on_change` are those who are told whenever the windows are others than before."""

    name: ClassVar[str] = PIECE.name
    piece: ClassVar[Piece] = PIECE

    def __init__(self, recorder: Recorder, config: Callable[[], Config]) -> None:
        self._recorder = recorder
        self.service = Maintenance(recorder, config)
        self._api = MaintenanceApi(self.service, recorder, lambda: config().alerts.timezone)

    async def start(self) -> None:
        """Load the windows and make up for the time of the stop."""
        await self.service.start()

    async def lead(self) -> None:
        """Go on where another exporter stopped."""
        await self.service.lead()

    def tasks(self) -> list[Task]:
        """Mark what is due, on one exporter; where there are others, hear of the windows that they were given."""
        marking = Task("maintenance", self.service.run, leading=True)
        if not self._recorder.following.shared:
            return [marking]
        return [marking, Task("maintenance_windows", self.service.follow, FOLLOW)]

    def gauges(self) -> list[Gauge]:
        """Show who is inside, and whose outage outlasted a window."""
        return [
            OfDevices(DEVICE_MAINTENANCE, self.service.inside),
            OfDevices(DEVICE_MAINTENANCE_END, self.service.outlasted),
        ]

    def operations(self) -> list[Operation]:
        """Return list, add and end."""
        return self._api.operations()

    async def reload(self, _: Config) -> None:
        """Take the file's windows into use."""
        await self.service.reload()
