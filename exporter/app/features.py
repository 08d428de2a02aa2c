"""All features, in their order, and how they are joined."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exporter.acknowledge.feature import AcknowledgeFeature
from exporter.alerting.feature import AlertingFeature
from exporter.days.feature import DaysFeature
from exporter.failover.feature import FailoverFeature
from exporter.impact.feature import ImpactFeature
from exporter.incidents.feature import IncidentsFeature
from exporter.maintenance.feature import MaintenanceFeature
from exporter.notify.feature import NotifyFeature
from exporter.operators.feature import OperatorsFeature
from exporter.operators.sources import Sources
from exporter.sessions.feature import SessionsFeature
from exporter.status_pages.feature import StatusPagesFeature
from exporter.telegram.feature import TelegramFeature

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.app.feature import Feature
    from exporter.config import Config
    from exporter.domain.accounts import Device
    from exporter.journal.port import Piece
    from exporter.metrics.own import SelfMetrics
    from exporter.recording.recorder import Recorder

ORDER: Final = {
    "maintenance": "before all: at its start it asks when the journal was last in use, which the first heartbeat hides",
    "sessions": "before all that tell why an outage began: it must hear of the outage first",
    "impact": "before those who tell how many conversations an outage affects: it must hear of the outage first",
    "alerting": "anywhere after maintenance and impact, whose answers its alerts carry",
    "notify": "anywhere",
    "failover": "after maintenance, which it asks whether a channel is down as planned",
    "days": "anywhere",
    "operators": "anywhere: it keeps nothing and asks the others when somebody looks",
    "status_pages": "anywhere: they keep their addresses only, and ask the others when somebody looks",
    "incidents": "after those that it writes down: what the others did, also what they do when they start",
    "acknowledge": "after the incidents: it puts lines into them, and its start asks which there are",
    "telegram": "anywhere after those whose state it shows",
}
"""In this order features are made, hear of each change, start and are reloaded; they stop in the reverse one."""

PIECES: Final[tuple[Piece, ...]] = tuple(
    feature.piece
    for feature in (
        MaintenanceFeature,
        SessionsFeature,
        ImpactFeature,
        NotifyFeature,
        FailoverFeature,
        DaysFeature,
        IncidentsFeature,
        StatusPagesFeature,
        AcknowledgeFeature,
        TelegramFeature,
    )
)
"""Their parts of the schema, which the journal is built with; they do not build on each other."""


class Features:
    """Makes the features and joins them; `all` has them in their order."""

    def __init__(
        self,
        recorder: Recorder,
        config: Callable[[], Config],
        metrics: SelfMetrics,
        *,
        conversation_key: bytes,
        authenticated: Callable[[], bool],
    ) -> None:
        self.maintenance = MaintenanceFeature(recorder, config)
        self.sessions = SessionsFeature(recorder, config, metrics.registry)
        self.impact = ImpactFeature(recorder, config, conversation_key)
        planned_until, facts_of = self.maintenance.service.planned_until, self.impact.service.facts_of
        self.alerting = AlertingFeature(recorder, config, metrics, impact=self._facts, planned_until=planned_until)
        self.notify = NotifyFeature(recorder, config, metrics.registry)
        self.failover = FailoverFeature(recorder, config, metrics.registry, planned_until=planned_until)
        self.days = DaysFeature(recorder, config)
        self.incidents = IncidentsFeature(
            recorder,
            config,
            impact=facts_of,
            planned_until=planned_until,
            authenticated=authenticated,
            nobody=lambda: self.alerting.ways.nobody,
        )
        self.acknowledge = AcknowledgeFeature(
            recorder, config, metrics.registry, alerts=self.alerting.service, incidents=self.incidents.service
        )
        self.telegram = TelegramFeature(
            recorder,
            config,
            metrics.registry,
            alerts=self.alerting.service,
            service=self.acknowledge.service,
            find=self.acknowledge.find,
        )
        self.operators = OperatorsFeature(
            Sources(
                recorder=recorder,
                config=config,
                maintenance=self.maintenance.service,
                explain=self.sessions.explain,
                holder=self.acknowledge.holder,
                ack_url=self.acknowledge.ack_url,
                last_messages=self.impact.service.last_messages.of,
            ),
            nobody=lambda: self.alerting.ways.nobody,
            author=self.incidents.author,
        )
        failover = self.failover.service
        self.status_pages = StatusPagesFeature(
            recorder,
            config,
            windows=self.maintenance.service.coming,
            covered=lambda: {pair[0] for pair, on in failover.active(recorder.clock()) if on},
        )
        self.all: tuple[Feature, ...] = tuple(getattr(self, name) for name in ORDER)
        self._join()

    def _facts(self, device: Device) -> dict[str, int | str]:
        """Return what an outage's alert carries: what it affects, why it began, and what helps."""
        return {**(self.impact.service.facts_of(device) or {}), **self.sessions.explain(device)}

    def _join(self) -> None:
        alerting, failover, incidents = self.alerting.service, self.failover.service, self.incidents
        self.sessions.service.reasons.on_known.append(incidents.explained)
        alerting.on_acknowledged.append(incidents.acknowledged)
        self.notify.on_sent.append(incidents.sent)
        failover.on_switch.append(incidents.switched)
        self.maintenance.service.on_change += [
            alerting.reconsider,
            incidents.service.reconsider,
            failover.reconsider,
        ]
