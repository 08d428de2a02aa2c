"""One message for many single outages, which share no engine or business. No clock: times are arguments, Unix seconds.

Guarantees: no more than MOST_SINGLE devices of a severity are told of one by one within a minute; the next ones carry a
label by which ManyDevicesDown speaks for them, until fewer than LEAST of them are down for a minute: those then speak
for themselves. What goes down after the pile has not grown for a minute is told of by itself again.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from exporter.alerting.alert import Alert, mass_labels
from exporter.alerting.extent import extent_of
from exporter.alerting.running import RunningAlerts
from exporter.conventions import ALERT_DEVICE_DOWN, ALERT_MANY_DEVICES_DOWN, DIGEST_LABEL

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.alerting.alert import Key
    from exporter.domain.fleet import Fleet

MOST_SINGLE: Final = 6
MINUTE: Final = 60.0
LEAST: Final = 3


class Digests:
    """One for each severity. `fire` and `resolve` are called with what begins and ends."""

    def __init__(
        self, fleet: Fleet, fire: Callable[[Alert], None], resolve: Callable[[Key, float, float], None]
    ) -> None:
        self._fleet = fleet
        self._running = RunningAlerts(fire, resolve)
        self._told: dict[str, deque[float]] = {}
        self._members: dict[str, dict[str, Alert]] = {}  # by severity and device, while they fire
        self._grown_at: dict[str, float] = {}
        self._most: dict[str, int] = {}  # members at once

    def take(self, alert: Alert, now: float) -> None:
        """Count an alert about a device that is about to be posted first, or make it a member."""
        members = self._members.setdefault(alert.severity, {})
        if alert.name != ALERT_DEVICE_DOWN:
            if alert.labels["device_id"] in members:
                alert.take_labels({**alert.labels, DIGEST_LABEL: "yes"})
        elif self._is_open(alert.severity, now):
            alert.take_labels({**alert.labels, DIGEST_LABEL: "yes"})
            members[alert.labels["device_id"]] = alert
            self._grown_at[alert.severity] = now
            if _key(alert.severity) not in self._running:
                self._running.begin(Alert(mass_labels(*_key(alert.severity)), min(now, alert.starts_at), now, now))
                self._most[alert.severity] = 0
            self._running.post_again(_key(alert.severity), now)
        else:
            self._told.setdefault(alert.severity, deque(maxlen=MOST_SINGLE)).append(now)

    def adopt(self, alert: Alert, now: float) -> None:
        """Take over what an Alertmanager has from before the start: a digest or a member."""
        if alert.name == ALERT_MANY_DEVICES_DOWN:
            self._running.adopt(alert, now)
        elif alert.name == ALERT_DEVICE_DOWN and DIGEST_LABEL in alert.labels:
            self._members.setdefault(alert.severity, {})[alert.labels["device_id"]] = alert

    def over(self, alert: Alert) -> None:
        """Drop an alert that has ended."""
        members = self._members.get(alert.severity, {})
        if members.get(alert.labels.get("device_id", "")) is alert:
            del members[alert.labels["device_id"]]

    def advance(self, now: float) -> None:
        """End what is over at `now`."""
        for key in self._running:
            self._running.judge(key, now, holds=len(self._members.get(key[1], ())) >= LEAST)
        self._running.advance(now)

    def next_due(self) -> float | None:
        """Return when `advance` has something to do next."""
        return self._running.next_due()

    def tidy(self) -> None:
        """Bring up to date what is said of those that run."""
        for alert in self._running.alerts():
            self.measure(alert)

    def cover(self, alert: Alert) -> bool:
        """Whether a digest speaks for an alert about a device."""
        return DIGEST_LABEL in alert.labels and _key(alert.severity) in self._running

    def measure(self, alert: Alert) -> None:
        """Set whom a digest speaks for now, the newest first, and of how many once some of them are back."""
        ids = reversed(self._members.get(alert.severity, {}))
        devices = [self._fleet.devices[device_id] for device_id in ids if device_id in self._fleet.devices]
        most = self._most[alert.severity] = max(self._most.get(alert.severity, 0), len(devices))
        alert.extent = extent_of((device.identity for device in devices), most if most > len(devices) else 0)

    def _is_open(self, severity: str, now: float) -> bool:
        if _key(severity) in self._running and now - self._grown_at.get(severity, 0.0) < MINUTE:
            return True
        told = self._told.get(severity)
        return told is not None and len(told) == MOST_SINGLE and now - told[0] < MINUTE


def _key(severity: str) -> Key:
    return ALERT_MANY_DEVICES_DOWN, severity
