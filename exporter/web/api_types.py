"""What the API of devices and of the exporter's state gives, shared by the server and the command line."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from exporter.gateways.reasons import UNKNOWN
from exporter.report.availability import Row

DEVICES_PATH: Final = "/api/v1/devices"
STATUS_PATH: Final = "/api/v1/status"


class DeviceState(msgspec.Struct, frozen=True):
    """A device as it is known now. Times are event times."""

    device_id: str
    device_name: str
    engine: str
    gateway: str
    channel_id: str
    channel_name: str
    business_id: str
    business_name: str
    state: Literal["up", "down"]
    reason: str | None
    """Why it is down: the class of what its gateway told, `unknown` where nothing did; null while it is up."""
    since: int
    first_seen: int
    disconnects: int
    downtime_seconds: float


class DevicesPage(msgspec.Struct, frozen=True):
    """Devices in the order of their ids; `next` is the cursor of the following page, null on the last one."""

    devices: list[DeviceState]
    next: str | None


class OutageSpan(msgspec.Struct, frozen=True):
    """One outage; `end` is null while it runs, and its duration then counts up to now."""

    start: int
    end: int | None
    duration_seconds: float
    reason: str = UNKNOWN
    """Why it began: the class of what the gateway told."""


class Outages(msgspec.Struct, frozen=True):
    """The outages of one device in order; those that overlap the window, at their full length."""

    device_id: str
    outages: list[OutageSpan]


class Availability(msgspec.Struct, frozen=True):
    """Availability in [start, end) by one key."""

    start: float
    end: float
    by: str
    rows: list[Row]


class BlindSpan(msgspec.Struct, frozen=True):
    """A time in which events could be lost unheard."""

    start: float
    end: float


class AlertmanagerState(msgspec.Struct, frozen=True):
    """One Alertmanager on the direct path."""

    url: str
    reached_at: float | None
    """When it last took a post, null if it has not since the start."""
    failing: bool


class Status(msgspec.Struct, frozen=True):
    """The exporter's state. Times are Unix seconds."""

    version: str
    ready: bool
    timezone: str
    """`alerts.timezone`, in which the command line shows times."""
    language: str
    devices: int | None
    """Null, like the next two, until the journal is loaded."""
    down: int | None
    in_maintenance: int | None
    last_event: float | None
    """When the last valid event was received, null if there was none since the start."""
    last_blind: BlindSpan | None
    """The last time in which events could be lost unheard; null also while the journal cannot be read."""
    direct_alerts: bool
    alertmanagers: list[AlertmanagerState]
    unknown_names: list[str]
    """Of `alertmanager.urls` those by DNS whose name cannot be looked up now."""
    targets: list[str]
    """Names under `notify.targets`, which Alertmanager's receivers use."""
    trouble: str = ""
    """Why it is not ready or not healthy, in a sentence; empty where all is well."""
