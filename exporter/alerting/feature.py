"""Direct alerts as a feature: posted to every Alertmanager, which gauges tell of."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from exporter.alerting.direct import DirectAlerts
from exporter.alerting.members import Members
from exporter.alerting.ways import Ways
from exporter.conventions import DEVICE_ALERT_DELIVERED
from exporter.lib.tasks import Task
from exporter.metrics.gauges import Gauge, OfDevices

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.alerting.alert import Facts
    from exporter.config import Config
    from exporter.domain.accounts import Device
    from exporter.metrics.own import SelfMetrics
    from exporter.recording.recorder import Recorder


class AlertingFeature:
    """`service.on_acknowledged` hear when an Alertmanager takes an alert; `ways` knows whether people do.

    `members` are the Alertmanagers that there are.
    """

    name: ClassVar[str] = "alerting"

    def __init__(
        self,
        recorder: Recorder,
        config: Callable[[], Config],
        metrics: SelfMetrics,
        *,
        impact: Callable[[Device], Facts | None],
        planned_until: Callable[[Device, float], float | None],
    ) -> None:
        self.members = Members(config, metrics)
        self.service = DirectAlerts(
            recorder, config, metrics, lambda: self.members.now, impact=impact, planned_until=planned_until
        )
        self.members.changed = self.service.reconsider
        self.ways = Ways(config, metrics, lambda: self.members.now)

    def tasks(self) -> list[Task]:
        """Post, on every exporter: Alertmanager takes what is equal for one."""
        return [
            Task("alerts", self.service.run),
            Task("alertmanager_names", self.members.run),
            Task("notification_ways", self.ways.ask, 60.0, 1.0),
        ]

    def gauges(self) -> list[Gauge]:
        """Show whose alert was taken."""
        return [OfDevices(DEVICE_ALERT_DELIVERED, self.service.delivered)]

    async def reload(self, _: Config) -> None:
        """Judge every device anew, and post where the configuration says now."""
        self.members.reconsider()
        self.service.reconsider()
