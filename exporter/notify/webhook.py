"""Alertmanager's webhook body, version 4, strictly typed. Pure.

Source: Alertmanager's documentation of `webhook_config`. Unknown extra fields are ignored, as newer versions add some.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from exporter.conventions import ACK_URL_ANNOTATION
from exporter.errors import ExporterError

LARGEST_BODY: Final = 8 * 1024 * 1024
"""Bytes; a group of several thousand alerts."""

_Moment = Annotated[datetime, msgspec.Meta(tz=True)]
_Status = Literal["firing", "resolved"]
_EPOCH_YEAR: Final = 1970  # Alertmanager writes the year 1 where a time is not known
_FAR_FUTURE: Final = 4102444800.0  # 2100: later times would overflow in some zones


class InvalidNotification(ExporterError):
    """The body is not what Alertmanager sends. Permanent: the same bytes fail again."""

    code = "invalid_notification"


class Alert(msgspec.Struct, frozen=True, rename="camel"):
    """One alert of a notification."""

    status: _Status
    labels: dict[str, str]
    starts_at: _Moment
    fingerprint: Annotated[str, msgspec.Meta(min_length=1)]
    annotations: dict[str, str] = {}
    ends_at: _Moment | None = None

    @property
    def firing(self) -> bool:
        """Whether the alert is still active."""
        return self.status == "firing"

    @property
    def start(self) -> float:
        """Unix seconds; 0 if unknown."""
        return _seconds(self.starts_at)

    @property
    def end(self) -> float:
        """Unix seconds; 0 if unknown."""
        return _seconds(self.ends_at) if self.ends_at else 0.0


class Notification(msgspec.Struct, frozen=True):
    """One delivery of Alertmanager: a group and its alerts."""

    version: Literal["4"]
    status: _Status
    alerts: Annotated[list[Alert], msgspec.Meta(min_length=1)]
    group_key: Annotated[str, msgspec.Meta(min_length=1)] = msgspec.field(name="groupKey")
    receiver: str = ""
    truncated: Annotated[int, msgspec.Meta(ge=0)] = msgspec.field(name="truncatedAlerts", default=0)
    """Alerts of the group that `max_alerts` left out."""

    def devices_down(self) -> list[str]:
        """Return the ids of the devices that its firing alerts are about."""
        down = (alert.labels.get("device_id", "") for alert in self.alerts if alert.firing)
        return list(dict.fromkeys(device_id for device_id in down if device_id))

    @property
    def ack_url(self) -> str:
        """Where somebody says that they have what it is about; empty where it is about several outages, or none."""
        links = {alert.annotations.get(ACK_URL_ANNOTATION, "") for alert in self.alerts if alert.firing}
        return links.pop() if len(links) == 1 else ""

    def identity(self, target: str) -> bytes:
        """Return 32 bytes that are equal for two deliveries of the same notification to a target.

        `endsAt` is left out: of a firing alert it moves, and of a resolved one two Alertmanagers of a cluster may
        disagree about it.
        """
        alerts = sorted((alert.fingerprint, alert.starts_at.timestamp(), alert.status) for alert in self.alerts)
        known = (target, self.group_key, self.status, self.truncated, alerts)
        return hashlib.blake2b(msgspec.json.encode(known), digest_size=32).digest()


_decoder = msgspec.json.Decoder(Notification)


def parse(body: bytes) -> Notification:
    """Return the notification; raise InvalidNotification naming the offending path."""
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidNotification(f"not an Alertmanager webhook body of version 4: {error}") from None


def _seconds(moment: datetime) -> float:
    return min(moment.timestamp(), _FAR_FUTURE) if moment.year >= _EPOCH_YEAR else 0.0
