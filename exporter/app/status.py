"""`GET /api/v1/status`: whether the exporter works and whom it would tell, in one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter import __version__
from exporter.web import answers
from exporter.web.api_types import STATUS_PATH, AlertmanagerState, BlindSpan, Status
from exporter.web.openapi import Error
from exporter.web.operations import Operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from exporter.alerting.feature import AlertingFeature
    from exporter.config import Config
    from exporter.recording.recorder import Recorder


def status_operation(
    recorder: Recorder,
    config: Callable[[], Config],
    alerting: AlertingFeature,
    *,
    ready: Callable[[], bool],
    last_event: Callable[[], float],
) -> Operation:
    """Return the operation."""

    async def handle(_: web.Request) -> web.StreamResponse:
        present, fleet, alerts = config(), recorder.fleet, alerting.service
        blind = await recorder.read(lambda reader: reader.blind_intervals())
        return answers.json(
            Status(
                version=__version__,
                ready=ready(),
                timezone=present.alerts.timezone,
                language=present.alerts.language,
                devices=len(fleet.devices),
                down=len(fleet.down),
                in_maintenance=len(fleet.planned),
                last_event=last_event() or None,
                last_blind=BlindSpan(*blind[-1]) if blind else None,
                direct_alerts=alerts.enabled,
                alertmanagers=[AlertmanagerState(one.url, one.reached_at, one.failing) for one in alerts.outboxes],
                unknown_names=list(alerting.members.unknown) if alerts.enabled else [],
                targets=sorted(present.notify.targets),
            )
        )

    found = {200: Status, 503: Error}
    return Operation("GET", STATUS_PATH, handle, "State of the exporter, and of its ways to tell", found)
