"""Acknowledgement as a feature: links in alerts, the page behind them, and what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from prometheus_client import Histogram

from exporter.acknowledge.links import KEPT_FOR, PATH, Links, Scope
from exporter.acknowledge.pages import AckPages
from exporter.acknowledge.service import Acknowledgements
from exporter.acknowledge.store import PIECE, prune
from exporter.alerting.taken import NO_ENDS, anchor_of, scope_of
from exporter.conventions import ALERT_DEVICE_DOWN, DEVICE_ACKNOWLEDGED, HELP, INCIDENT_ACKNOWLEDGE
from exporter.incidents.model import SILENCED
from exporter.incidents.view import View
from exporter.lib.tasks import Task
from exporter.lib.times import zone_of
from exporter.lib.words import read_texts
from exporter.look.rendering import Renderer
from exporter.look.wording import Wording
from exporter.metrics.gauges import Gauge, OfDevices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aiohttp import web
    from prometheus_client import CollectorRegistry

    from exporter.alerting.alert import Alert
    from exporter.alerting.client import Silence
    from exporter.alerting.direct import DirectAlerts
    from exporter.config import Config
    from exporter.incidents.service import Incidents
    from exporter.journal.port import Piece
    from exporter.lib.words import Language
    from exporter.recording.recorder import Recorder

HOUR: Final = 3600.0
REFRESH: Final = 30.0
"""Seconds after which what another exporter wrote is known."""
_TEXTS: Final = read_texts("exporter.acknowledge")
_BUCKETS: Final = (30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 43_200.0)


class AcknowledgeFeature:
    """`service` knows who has what."""

    name: ClassVar[str] = PIECE.name
    piece: ClassVar[Piece] = PIECE

    def __init__(
        self,
        recorder: Recorder,
        config: Callable[[], Config],
        registry: CollectorRegistry,
        *,
        alerts: DirectAlerts,
        incidents: Incidents,
    ) -> None:
        self._recorder = recorder
        self._config = config
        self._alerts = alerts
        self._incidents = incidents
        self._links = Links(lambda: config().pages.secret)
        self.find = self._links.find
        """Returns the outage of a token; None where there is none."""
        self.service = Acknowledgements(recorder, config, alerts, incidents)
        self.service.on_taken = Histogram(
            INCIDENT_ACKNOWLEDGE, HELP[INCIDENT_ACKNOWLEDGE], buckets=_BUCKETS, registry=registry
        ).observe
        alerts.link = self.link
        alerts.on_silences = self._silenced

    def link(self, alert: Alert) -> str:
        """Return where people say that they have what an alert is about; empty without pages."""
        pages = self._config().pages
        if alert.name in NO_ENDS and alert.labels.get("severity") == "notice":
            return ""
        if pages.listen_address is None or not pages.external_url:
            return ""
        key = scope_of(alert)
        known = self._alerts.alerts.firing.get(key, alert)
        token = self._learn(Scope(key, anchor_of(known)))
        return f"{pages.external_url.rstrip('/')}{PATH}{token}" if token else ""

    def holder(self, device_id: str) -> str:
        """Return who has the outage of a device; empty: nobody."""
        device = self._recorder.fleet.down.get(device_id)
        found = self.service.of_device(device) if device is not None else None
        return found.author if found is not None else ""

    def ack_url(self, device_id: str) -> str:
        """Return where people say that they have the outage of a device; empty: nowhere."""
        alert = self._alerts.alerts.firing.get((ALERT_DEVICE_DOWN, device_id))
        return alert.ack_url if alert is not None else ""

    async def start(self) -> None:
        """Load who has what, and which links there are."""
        await self.service.start()
        since = self._recorder.clock() - KEPT_FOR
        begins = await self._recorder.read(lambda tables: View(tables).begins(since))
        for device_id, outage, start in begins:
            for anchor in {outage, start}:
                self._learn(Scope((ALERT_DEVICE_DOWN, device_id), anchor))

    def tasks(self) -> list[Task]:
        """End what ran out, follow the other exporters, forget what is long over."""
        return [
            Task("acknowledgements", self.service.run),
            Task("acknowledgements_of_others", self.service.refresh, REFRESH, REFRESH),
            Task("acknowledgement_retention", self._tidy, HOUR, HOUR),
        ]

    def gauges(self) -> list[Gauge]:
        """Show whose outage somebody has."""
        return [OfDevices(DEVICE_ACKNOWLEDGED, self.service.acknowledged)]

    def outside(self) -> list[web.RouteDef]:
        """Return the page."""
        renderer = Renderer("exporter.acknowledge", self._wording)
        return AckPages(self.service, self._links, self._alerts, self._recorder, renderer, self._incidents).routes()

    def _learn(self, scope: Scope) -> str:
        now = self._recorder.clock()
        if scope.key[0] != ALERT_DEVICE_DOWN:  # its anchor is a day, and it may go on over midnight
            self._links.learn(Scope(scope.key, scope.anchor - 1), now)
        return self._links.learn(scope, now)

    async def _tidy(self) -> None:
        now = self._recorder.clock()
        self._links.forget_old(self.service.runs, now)
        before = now - self._config().storage.retention
        await self._recorder.transact(PIECE.name, lambda transaction: prune(transaction, before))

    def _silenced(self, silences: Sequence[Silence]) -> None:
        """Let timelines show what somebody silenced in Alertmanager itself: nobody has it by that."""
        if not silences:
            return
        for key, alert in list(self._alerts.alerts.firing.items()):
            if key[0] != ALERT_DEVICE_DOWN:
                continue
            for silence in silences:
                if all(matcher.holds(alert.labels) for matcher in silence.matchers):
                    at, until = silence.starts_at.timestamp(), silence.ends_at.timestamp()
                    text = f"{until:.0f} {silence.created_by}"
                    self._incidents.note_event(SILENCED, max(at, alert.starts_at), text, device_id=key[1])

    def _wording(self, language: Language | None) -> Wording:
        alerts = self._config().alerts
        return Wording(language or alerts.language, zone_of(alerts.timezone), _TEXTS)
