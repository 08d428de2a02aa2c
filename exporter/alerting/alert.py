"""One alert from its first post to its last. Pure. Times are Unix seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from exporter.conventions import (
    ACK_LABEL,
    ALERT_BUSINESS_OUTAGE,
    ALERT_DEVICE_FLAPPING,
    ALERT_ENGINE_OUTAGE,
    ALERT_GATEWAY_OUTAGE,
    ALERT_MANY_DEVICES_DOWN,
    ESCALATION_LABEL,
)
from exporter.domain.thresholds import rung_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.alerting.extent import Extent
    from exporter.domain.identity import Identity

    Facts = Mapping[str, int | str]
    Fingerprint = frozenset[tuple[str, str]]
    Key = tuple[str, str]
    """(alert name, whom it is about: the value of its subject's label)"""

SOURCE: Final = "exporter"
RULES_SOURCE: Final = "prometheus"
SUBJECT_LABELS: Final = {
    ALERT_GATEWAY_OUTAGE: "gateway",
    ALERT_ENGINE_OUTAGE: "engine",
    ALERT_BUSINESS_OUTAGE: "business_id",
    ALERT_MANY_DEVICES_DOWN: "severity",
}
"""The label that says whom an alert is about that speaks for many devices; of all others it is `device_id`."""
INHIBITORS: Final = frozenset({*SUBJECT_LABELS, ALERT_DEVICE_FLAPPING})
"""They mute others at Alertmanager."""


@dataclass(slots=True, eq=False)
class Alert:
    """An alert that fires or is over. Its labels are its identity at Alertmanager; empty ones do not count there."""

    labels: Mapping[str, str]
    starts_at: float
    """Event time."""
    due_at: float
    """Event time plus the policy's threshold."""
    received_at: float | None
    """When we heard of it. None: before this process started, so it may have been posted already."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What people call it, for annotations: a device that is renamed is no other alert."""
    ends_at: float | None = None
    """None while it fires."""
    acknowledged_at: float | None = None
    """When an Alertmanager last took it."""
    repeat_until: float = 0.0
    """How long one that is over is repeated."""
    known: bool = False
    """Whether people may know of it: it fired without being muted by another."""
    muted_by: str = ""
    """The name of the alert that mutes it at Alertmanager, as far as we know."""
    forgotten: bool = False
    """Whether it ended because the device is watched no longer; of many, because more were forgotten than came up."""
    outage: int | None = None
    """Of an alert about an outage: since when the device was down when it began to fire."""
    ack_url: str = ""
    """Where people say that they have it."""
    holder: str = ""
    """Who has what it is about; empty: nobody."""
    facts: Facts | None = None
    """Numbers and texts for the annotations: conversations affected, the reason and what helps."""
    extent: Extent | None = None
    """Whom it hits, of an alert that speaks for many devices; brought up to date while it fires."""
    beside: Mapping[str, str] | None = None
    """The configuration's labels (`alerts.labels`) of its first post, which it keeps; None: not posted yet."""
    fingerprint: Fingerprint = field(init=False)

    def __post_init__(self) -> None:
        self.take_labels(self.labels)

    def take_labels(self, labels: Mapping[str, str]) -> None:
        """Set the labels."""
        self.labels = {name: value for name, value in labels.items() if value}
        self.fingerprint = frozenset(self.labels.items())

    @property
    def name(self) -> str:
        """The alert's name."""
        return self.labels["alertname"]

    @property
    def severity(self) -> str:
        """The policy's severity at the time."""
        return self.labels.get("severity", "")

    @property
    def key(self) -> Key:
        """What it says of whom, whatever else its labels say. An escalation is one for each whom it is for.

        What is said of an acknowledgement is said of its number.
        """
        subject = ACK_LABEL if ACK_LABEL in self.labels else SUBJECT_LABELS.get(self.name, "device_id")
        return rung_key(self.name, self.labels.get(ESCALATION_LABEL, "")), self.labels.get(subject, "")

    @property
    def wanted_at(self) -> float | None:
        """When it had to be posted; None if that was before this process started."""
        return None if self.received_at is None else max(self.due_at, self.received_at)

    def unheard_for(self, now: float) -> float:
        """Return for how many seconds no Alertmanager has been known to know of it, by event time."""
        if self.acknowledged_at is not None:
            return now - self.acknowledged_at
        return now if self.received_at is None else now - self.due_at


def device_labels(name: str, identity: Identity, severity: str, to: str = "") -> dict[str, str]:
    """Return the labels of an alert about a device; `to` is whom it escalates to."""
    labels = {
        "alertname": name,
        "device_id": identity.device_id,
        "engine": identity.engine,
        "gateway": identity.gateway,
        "channel_id": identity.channel_id,
        "business_id": identity.business_id,
        "severity": severity,
        "source": SOURCE,
    }
    return {**labels, ESCALATION_LABEL: to} if to else labels


def device_names(identity: Identity) -> dict[str, str]:
    """Return what people call a device and those whom it concerns; nothing where a name is empty."""
    names = {
        "device_name": identity.device_name,
        "channel_name": identity.channel_name,
        "business_name": identity.business_name,
        "user_name": identity.user_name,
    }
    return {key: name for key, name in names.items() if name}


def mass_labels(name: str, subject: str) -> dict[str, str]:
    """Return the labels of an alert that speaks for many devices."""
    return {"alertname": name, "severity": "critical", "source": SOURCE, SUBJECT_LABELS[name]: subject}
