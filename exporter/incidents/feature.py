"""The incidents as one feature of the admin listener: its service, operations, pages and link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exporter.conventions import ALERT_DEVICE_DOWN, ALERT_DEVICE_DOWN_ESCALATED
from exporter.failover.machine import SWITCH
from exporter.incidents.api import IncidentApi
from exporter.incidents.model import ALERTED, ESCALATED, SWITCHED, SWITCHED_BACK
from exporter.incidents.pages import PATH, IncidentPages
from exporter.incidents.rendering import PageRenderer
from exporter.incidents.wording import Wording
from exporter.lib.times import zone_of
from exporter.web.basicauth import credentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from exporter.alerting.alert import Alert
    from exporter.alerting.direct import DirectAlerts
    from exporter.config.schema import Config
    from exporter.failover.driver import Switched
    from exporter.failover.service import FailoverService
    from exporter.incidents.service import Incidents
    from exporter.journal.port import Read
    from exporter.lib.words import Language
    from exporter.web.operations import Operation

_KINDS: Final = {ALERT_DEVICE_DOWN: ALERTED, ALERT_DEVICE_DOWN_ESCALATED: ESCALATED}
LINK: Final = ("Incidents", PATH)
"""For the landing page."""


def follow(incidents: Incidents, alerts: DirectAlerts, failover: FailoverService) -> None:
    """Let timelines show that people were told and that channels were switched."""

    def acknowledged(alert: Alert) -> None:
        kind = _KINDS.get(alert.name)
        if kind is not None:
            incidents.note_event(kind, alert.acknowledged_at or 0.0, device_id=alert.labels["device_id"])

    def switched(told: Switched) -> None:
        kind = SWITCHED if told.action == SWITCH else SWITCHED_BACK
        incidents.note_event(kind, told.at, f"{told.channel} → {told.backup}", channel_id=told.channel)

    alerts.on_acknowledged.append(acknowledged)
    failover.on_switch.append(switched)


def operations_and_routes(
    incidents: Incidents,
    read: Read,
    config: Callable[[], Config],
    clock: Callable[[], float],
    *,
    authenticated: Callable[[], bool],
) -> tuple[list[Operation], list[web.RouteDef]]:
    """Return the API's operations and the pages' routes.

    `config` is asked anew each time. Where requests are authenticated, notes carry the user's name.
    """

    def wording(language: Language | None) -> Wording:
        alerts = config().alerts
        return Wording(language or alerts.language, zone_of(alerts.timezone))

    def author(request: web.Request) -> str:
        given = credentials(request.headers.get("Authorization", "")) if authenticated() else None
        return given[0] if given is not None else ""

    api = IncidentApi(incidents, read, clock, author=author, wording=wording)
    pages = IncidentPages(
        incidents,
        read,
        clock,
        author=author,
        renderer=PageRenderer(wording),
        zone=lambda: zone_of(config().alerts.timezone),
    )
    return api.operations(), pages.routes()
