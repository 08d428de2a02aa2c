"""One alert from its first post to its last, and the JSON that Alertmanager's API v2 takes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from exporter.conventions import (
    ALERT_DEVICE_DOWN_ESCALATED,
    ALERT_DEVICE_FLAPPING,
    ALERT_ENGINE_OUTAGE,
)
from exporter.durations import format_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.config_schema import Alerts
    from exporter.identity import Identity

SOURCE: Final = "exporter"
INHIBITORS: Final = frozenset({ALERT_ENGINE_OUTAGE, ALERT_DEVICE_FLAPPING})
"""Posted ahead of the alerts that they mute."""


@dataclass(slots=True, eq=False)
class Alert:
    """An alert that fires or is over. Labels never change in its life: they are its identity at Alertmanager."""

    labels: Mapping[str, str]
    starts_at: float
    """Event time, Unix seconds."""
    wanted_at: float
    """When it should have been posted: the event's receipt or the threshold's end, whichever was later."""
    ends_at: float | None = None
    """None while it fires."""
    acknowledged_at: float | None = None
    """When an Alertmanager last took it, Unix seconds."""
    facts: Mapping[str, int] | None = None
    """Numbers for the annotations: conversations affected, devices down."""

    @property
    def name(self) -> str:
        """The alert's name."""
        return self.labels["alertname"]


def device_labels(name: str, identity: Identity, severity: str) -> dict[str, str]:
    """Return the labels of an alert about a device."""
    labels = {
        "alertname": name,
        "device_id": identity.device_id,
        "device_name": identity.device_name,
        "engine": identity.engine,
        "channel_id": identity.channel_id,
        "channel_name": identity.channel_name,
        "business_id": identity.business_id,
        "business_name": identity.business_name,
        "severity": severity,
        "source": SOURCE,
    }
    if name == ALERT_DEVICE_DOWN_ESCALATED:
        labels["escalation"] = "management"
    return labels


def engine_labels(engine: str) -> dict[str, str]:
    """Return the labels of a mass outage."""
    return {"alertname": ALERT_ENGINE_OUTAGE, "engine": engine, "severity": "critical", "source": SOURCE}


def payload(alert: Alert, now: float, ends_ahead: float, settings: Alerts) -> dict[str, Any]:
    """Return the alert as Alertmanager's API takes it. A firing one ends `ends_ahead` from now unless it is re-sent."""
    annotations = {**_texts(alert, now), "runbook_url": f"{settings.runbook_url or 'docs/runbook.md'}#{_anchor(alert)}"}
    device_id = alert.labels.get("device_id")
    if settings.dashboard_url and device_id:
        annotations["dashboard_url"] = settings.dashboard_url.replace("{device_id}", device_id)
    if alert.facts:
        annotations |= {name: str(number) for name, number in alert.facts.items()}
    return {
        "labels": alert.labels,
        "annotations": annotations,
        "startsAt": _rfc3339(alert.starts_at),
        "endsAt": _rfc3339(now + ends_ahead if alert.ends_at is None else alert.ends_at),
    }


def _texts(alert: Alert, now: float) -> dict[str, str]:
    """Summary and description in English and, with the suffix _id, in Indonesian."""
    labels = alert.labels
    engine = labels["engine"]
    who = labels.get("device_name") or labels.get("device_id", engine)
    business = labels.get("business_name") or labels.get("business_id", "")
    lasted = format_duration(int(max(0.0, (now if alert.ends_at is None else alert.ends_at) - alert.starts_at)))
    if alert.name == ALERT_ENGINE_OUTAGE:
        facts = alert.facts or {}
        down, total = facts.get("devices_down", 0), facts.get("devices", 0)
        return {
            "summary": f"{engine}: {down} devices down at once",
            "summary_id": f"{engine}: {down} perangkat mati bersamaan",
            "description": f"{down} of {total} {engine} devices are disconnected. "
            "Alerts of its single devices are muted until it ends.",
            "description_id": f"{down} dari {total} perangkat {engine} terputus. "
            "Peringatan per perangkat dibisukan sampai gangguan ini selesai.",
        }
    if alert.name == ALERT_DEVICE_FLAPPING:
        return {
            "summary": f"{who} keeps disconnecting",
            "summary_id": f"{who} berkali-kali terputus",
            "description": f"{who} ({engine}) of {business} disconnected more than 5 times in 30 minutes. "
            "Its single outages are muted until 30 minutes are quiet.",
            "description_id": f"{who} ({engine}) milik {business} terputus lebih dari 5 kali dalam 30 menit. "
            "Peringatan tiap gangguannya dibisukan sampai 30 menit tenang.",
        }
    return {
        "summary": f"{who} is down",
        "summary_id": f"{who} mati",
        "description": f"{who} ({engine}) of {business} is disconnected.",
        "description_id": f"{who} ({engine}) milik {business} terputus.",
        "downtime": lasted,
    }


def _anchor(alert: Alert) -> str:
    return alert.name.lower()


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
