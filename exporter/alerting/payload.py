"""An alert as Alertmanager's API v2 takes it. Pure.

https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml (`postableAlert`)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from exporter.alerting.bursts import FLAP_WINDOW, FLAPS
from exporter.conventions import (
    ALERT_DEVICE_DOWN_ESCALATED,
    ALERT_DEVICE_FLAPPING,
    ALERT_ENGINE_OUTAGE,
    FORGOTTEN_ANNOTATION,
)
from exporter.lib.durations import format_duration
from exporter.lib.times import rfc3339
from exporter.lib.words import ENGINE_NAMES

if TYPE_CHECKING:
    from exporter.alerting.alert import Alert
    from exporter.config.schema import Alerts


def payload(alert: Alert, now: float, ends_ahead: float, settings: Alerts) -> dict[str, Any]:
    """Return the alert. One that fires ends `ends_ahead` seconds from now unless it is re-sent."""
    return {
        "labels": alert.labels,
        "annotations": _annotations(alert, now, settings),
        "startsAt": _time(alert.starts_at),
        "endsAt": _time(now + ends_ahead if alert.ends_at is None else alert.ends_at),
    }


def _time(at: float) -> str:
    return rfc3339(at, timespec="milliseconds")


def _annotations(alert: Alert, now: float, settings: Alerts) -> dict[str, str]:
    facts = {name: str(number) for name, number in (alert.facts or {}).items() if number}
    annotations = {**alert.names, **_texts(alert), **facts}
    if alert.forgotten:
        annotations[FORGOTTEN_ANNOTATION] = "true"
    annotations["runbook_url"] = f"{settings.runbook_url or 'docs/runbook.md'}#{alert.name.lower()}"
    lasted = int((now if alert.ends_at is None else alert.ends_at) - alert.starts_at)
    if lasted > 0:
        annotations["downtime"] = format_duration(lasted)
    device_id = alert.labels.get("device_id")
    if settings.dashboard_url and device_id:
        annotations["dashboard_url"] = settings.dashboard_url.replace("{device_id}", quote(device_id, safe=""))
    return annotations


def _texts(alert: Alert) -> dict[str, str]:
    """Summary and description in English and, with the suffix _id, in Indonesian."""
    labels = {**alert.labels, **alert.names}
    engine = ENGINE_NAMES.get(labels.get("engine", ""), labels.get("engine", ""))
    who = labels.get("device_name") or labels.get("device_id", engine)
    business = labels.get("business_name") or labels.get("business_id")
    whose = f"{who} ({engine})" + (f" of {business}" if business else "")
    whose_id = f"{who} ({engine})" + (f" milik {business}" if business else "")
    facts = alert.facts or {}
    match alert.name:
        case name if name == ALERT_ENGINE_OUTAGE:
            down, total = facts.get("devices_down", 0), facts.get("devices", 0)
            summary, summary_id = f"{engine}: {down} devices down at once", f"{engine}: {down} perangkat mati bersamaan"
            text = (
                f"{down} of {total} {engine} devices are disconnected. "
                "Alerts of its single devices are muted until it ends."
            )
            text_id = (
                f"{down} dari {total} perangkat {engine} terputus. "
                "Peringatan per perangkat dibisukan sampai gangguan ini selesai."
            )
        case name if name == ALERT_DEVICE_FLAPPING:
            minutes = int(FLAP_WINDOW / 60)
            summary, summary_id = f"{who} keeps disconnecting", f"Koneksi {who} tidak stabil"
            text = (
                f"{whose} disconnected more than {FLAPS} times within {minutes} minutes. "
                f"Its single outages are muted until {minutes} minutes have none."
            )
            text_id = (
                f"{whose_id} terputus lebih dari {FLAPS} kali dalam {minutes} menit. "
                f"Peringatan tiap gangguannya dibisukan sampai {minutes} menit tanpa putus."
            )
        case name if name == ALERT_DEVICE_DOWN_ESCALATED:
            summary, summary_id = f"{who} ({engine}) is down", f"{who} ({engine}) mati"
            text = f"{whose} has been disconnected for longer than the policy lets pass without management."
            text_id = f"{whose_id} terputus melewati batas eskalasi ke manajemen."
        case _:
            summary, summary_id = f"{who} ({engine}) is down", f"{who} ({engine}) mati"
            text, text_id = f"{whose} is disconnected.", f"{whose_id} terputus."
    return {"summary": summary, "summary_id": summary_id, "description": text, "description_id": text_id}
