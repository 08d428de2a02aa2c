"""`GET /api/v1/status`: whether the exporter works and whom it would tell, in one answer.

It answers at all times: what is not known, as before the journal is loaded, is null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter import __version__
from exporter.errors import JournalUnavailable
from exporter.web import answers
from exporter.web.admin import NOT_LOADED
from exporter.web.api_types import STATUS_PATH, AlertmanagerState, BlindSpan, Status
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
    loaded: Callable[[], bool],
    ready: Callable[[], bool],
    last_event: Callable[[], float],
) -> Operation:
    """Return the operation."""

    async def handle(_: web.Request) -> web.StreamResponse:
        present, alerts = config(), alerting.service
        fleet = recorder.fleet if loaded() else None
        blind = await _blind(recorder)
        return answers.json(
            Status(
                version=__version__,
                ready=ready(),
                timezone=present.alerts.timezone,
                language=present.alerts.language,
                devices=None if fleet is None else len(fleet.devices),
                down=None if fleet is None else len(fleet.down),
                in_maintenance=None if fleet is None else len(fleet.planned),
                last_event=last_event() or None,
                last_blind=blind,
                direct_alerts=alerts.enabled,
                alertmanagers=[AlertmanagerState(one.url, one.reached_at, one.failing) for one in alerts.outboxes],
                unknown_names=list(alerting.members.unknown) if alerts.enabled else [],
                targets=sorted(present.notify.targets),
                trouble=recorder.trouble or ("" if ready() else NOT_LOADED),
            )
        )

    summary = "State of the exporter, and of its ways to tell"
    return Operation("GET", STATUS_PATH, handle, summary, {200: Status}, always=True)


async def _blind(recorder: Recorder) -> BlindSpan | None:
    if not recorder.healthy:  # a disk that hangs would let whoever asks what is wrong wait for ever
        return None
    try:
        blind = await recorder.read(lambda reader: reader.blind_intervals())
    except JournalUnavailable:
        return None
    return BlindSpan(*blind[-1]) if blind else None
