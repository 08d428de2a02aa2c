"""An alert as Alertmanager's API v2 takes it. Pure.

https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml (`postableAlert`)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from exporter.alerting.texts import hit, listed, texts
from exporter.conventions import (
    ACK_URL_ANNOTATION,
    BUSINESSES_ANNOTATION,
    FORGOTTEN_ANNOTATION,
    HELD_BY_ANNOTATION,
)
from exporter.lib.durations import format_duration
from exporter.lib.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.alerting.alert import Alert
    from exporter.alerting.extent import Extent
    from exporter.config.schema import Alerts


def payload(alert: Alert, now: float, ends_ahead: float, settings: Alerts) -> dict[str, Any]:
    """Return the alert. One that fires ends `ends_ahead` seconds from now unless it is re-sent."""
    return {
        "labels": labels_of(alert, settings.labels),
        "annotations": _annotations(alert, now, settings),
        "startsAt": _time(alert.starts_at),
        "endsAt": _time(now + ends_ahead if alert.ends_at is None else alert.ends_at),
    }


def labels_of(alert: Alert, extra: Mapping[str, str]) -> dict[str, str]:
    """Return an alert's labels at Alertmanager; `extra` are the configuration's, for one that was not posted yet."""
    return {**(extra if alert.beside is None else alert.beside), **alert.labels}


def _time(at: float) -> str:
    return rfc3339(at, timespec="milliseconds")


def _annotations(alert: Alert, now: float, settings: Alerts) -> dict[str, str]:
    facts = {name: str(fact) for name, fact in (alert.facts or {}).items() if fact}
    annotations = {**alert.names, **texts(alert), **_extent(alert.extent), **facts}
    if alert.forgotten and alert.ends_at is not None:
        annotations[FORGOTTEN_ANNOTATION] = "true"
    annotations["runbook_url"] = f"{settings.runbook_url or 'docs/runbook.md'}#{alert.name.lower()}"
    if alert.ends_at is None:
        links = {ACK_URL_ANNOTATION: alert.ack_url, HELD_BY_ANNOTATION: alert.holder}
        annotations |= {name: text for name, text in links.items() if text}
    lasted = int((now if alert.ends_at is None else alert.ends_at) - alert.starts_at)
    if lasted > 0:
        annotations["downtime"] = format_duration(lasted)
    device_id = alert.labels.get("device_id")
    if settings.dashboard_url and device_id:
        annotations["dashboard_url"] = settings.dashboard_url.replace("{device_id}", quote(device_id, safe=""))
    return annotations


def _extent(extent: Extent | None) -> dict[str, str]:
    if extent is None:
        return {}
    facts = {"devices_down": str(extent.down), "devices": str(extent.of or "")}
    facts[BUSINESSES_ANNOTATION], facts[f"{BUSINESSES_ANNOTATION}_id"] = hit(extent)
    facts["down_devices"] = listed(extent.devices, extent.down - len(extent.devices))
    return {name: fact for name, fact in facts.items() if fact}
