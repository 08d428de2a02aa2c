"""The incidents as a feature: an incident for each long outage, with its API and pages, and what others did in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from exporter.conventions import ALERT_DEVICE_DOWN_ESCALATED, ESCALATION_LABEL
from exporter.domain.policy import MANAGEMENT
from exporter.domain.thresholds import OF_ALERTS
from exporter.failover.machine import SWITCH
from exporter.incidents.api import IncidentApi
from exporter.incidents.model import ALERTED, ESCALATED, MUTED, REASON, SENT, SWITCHED, SWITCHED_BACK
from exporter.incidents.pages import IncidentPages
from exporter.incidents.schema import PIECE
from exporter.incidents.service import Incidents
from exporter.incidents.wording import Wording
from exporter.lib.tasks import Task
from exporter.lib.times import zone_of
from exporter.look.rendering import Renderer
from exporter.web.basicauth import credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aiohttp import web

    from exporter.alerting.alert import Alert
    from exporter.config import Config
    from exporter.domain.accounts import Device
    from exporter.failover.driver import Switched
    from exporter.journal.port import Piece
    from exporter.lib.words import Language
    from exporter.recording.recorder import Recorder
    from exporter.web.operations import Operation

PRUNE_INTERVAL: Final = 86_400.0
FIRST_PRUNE: Final = 600.0
"""Seconds; not while the start's backlog comes in."""


class IncidentsFeature:
    """`authenticated` tells whether requests carry a user's name that was checked: notes carry it then."""

    name: ClassVar[str] = PIECE.name
    piece: ClassVar[Piece] = PIECE

    def __init__(
        self,
        recorder: Recorder,
        config: Callable[[], Config],
        *,
        impact: Callable[[Device], dict[str, int] | None],
        planned_until: Callable[[Device, float], float | None],
        authenticated: Callable[[], bool],
        nobody: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.service = Incidents(recorder, lambda: config().policies, impact=impact, planned_until=planned_until)
        self._recorder = recorder
        self._config = config
        self._authenticated = authenticated
        self._nobody = nobody

    # -- what others did ----------------------------------------------------------------------------------------------

    def acknowledged(self, alert: Alert) -> None:
        """Let the timeline show that Alertmanager has an alert, or what mutes it there."""
        if alert.name not in OF_ALERTS:
            return
        at, device_id = alert.acknowledged_at or 0.0, alert.labels["device_id"]
        if alert.muted_by:
            self.service.note_event(MUTED, at, alert.muted_by, device_id=device_id)
        elif alert.name == ALERT_DEVICE_DOWN_ESCALATED:
            to = alert.labels.get(ESCALATION_LABEL, MANAGEMENT)
            self.service.note_event(ESCALATED, at, "" if to == MANAGEMENT else to, device_id=device_id)
        else:
            self.service.note_event(ALERTED, at, device_id=device_id)

    def explained(self, device_id: str, at: int, reason: str) -> None:
        """Let the timeline show why the device is down."""
        self.service.note_event(REASON, at, reason, device_id=device_id)

    def sent(self, target: str, at: float, device_ids: Iterable[str]) -> None:
        """Let the timelines show that the relay sent a text about devices that are down."""
        for device_id in device_ids:
            self.service.note_event(SENT, at, target, device_id=device_id)

    def switched(self, told: Switched) -> None:
        """Let the timelines show that a channel was switched."""
        kind = SWITCHED if told.action == SWITCH else SWITCHED_BACK
        self.service.note_event(kind, told.at, f"{told.channel} → {told.backup}", channel_id=told.channel)

    # -- the feature --------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Load what is open and find what is missing."""
        await self.service.start()

    async def lead(self) -> None:
        """Go on where another exporter stopped."""
        await self.service.lead()

    def tasks(self) -> list[Task]:
        """Open, close and delete incidents, on one exporter; write down what each did."""
        return [
            Task("incident_lines", self.service.write_lines, 1.0),
            Task("incidents", self.service.run, leading=True),
            Task("incident_retention", self._prune, PRUNE_INTERVAL, FIRST_PRUNE, leading=True),
        ]

    def operations(self) -> list[Operation]:
        """Return the API."""
        read, clock = self._recorder.read, self._recorder.clock
        return IncidentApi(self.service, read, clock, author=self.author, wording=self._wording).operations()

    def routes(self) -> list[web.RouteDef]:
        """Return the pages."""
        return IncidentPages(
            self.service,
            self._recorder.read,
            self._recorder.clock,
            author=self.author,
            renderer=Renderer("exporter.incidents", self._wording, nobody=self._nobody),
            zone=lambda: zone_of(self._config().alerts.timezone),
            least=lambda: self._config().incidents.min_duration,
            planned=self._planned,
        ).routes()

    async def reload(self, _: Config) -> None:
        """Judge every device that is down anew: policies or windows may be others."""
        self.service.reconsider()

    async def stop(self) -> None:
        """Make durable what happened, and how far the journal is known."""
        await self.service.write_lines()
        if self._recorder.leading.leads:
            await self.service.flush(final=True)

    async def _prune(self) -> None:
        await self.service.prune(self._recorder.clock() - self._config().storage.retention)

    def _planned(self, device_id: str) -> bool:
        device = self._recorder.fleet.devices.get(device_id)
        return device is not None and device.timeline.in_window

    def _wording(self, language: Language | None) -> Wording:
        alerts = self._config().alerts
        return Wording(language or alerts.language, zone_of(alerts.timezone))

    def author(self, request: web.Request) -> str:
        """Return who sent a request, as far as it was checked; empty where nobody was."""
        given = credentials(request.headers.get("Authorization", "")) if self._authenticated() else None
        return given[0] if given is not None else ""
