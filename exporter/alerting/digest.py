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
from exporter.alerting.mass_outages import CALM
from exporter.conventions import ALERT_DEVICE_DOWN, ALERT_MANY_DEVICES_DOWN, DIGEST_LABEL

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.alerting.alert import Key
    from exporter.domain.fleet import Fleet

MOST_SINGLE: Final = 6
MINUTE: Final = 60.0
LEAST: Final = 3
COUNT_EVERY: Final = 3.0
"""While it grows it is brought up to date so often: Alertmanager waits a little longer before it tells people."""


class Digests:
    """One for each severity. `fire` and `resolve` are called with what begins and ends."""

    def __init__(
        self, fleet: Fleet, fire: Callable[[Alert], None], resolve: Callable[[Key, float, float], None]
    ) -> None:
        self._fleet = fleet
        self._fire = fire
        self._resolve = resolve
        self._told: dict[str, deque[float]] = {}
        self._running: dict[str, Alert] = {}
        self._members: dict[str, dict[str, Alert]] = {}  # by severity and device, while they fire
        self._grown_at: dict[str, float] = {}
        self._calm: dict[str, float] = {}
        self._recount_at: dict[str, float] = {}

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
            self._recount_at.setdefault(alert.severity, now + COUNT_EVERY)
            self._begin(alert.severity, now)
        else:
            self._told.setdefault(alert.severity, deque(maxlen=MOST_SINGLE)).append(now)

    def adopt(self, alert: Alert, now: float) -> None:
        """Take over what an Alertmanager has from before the start: a digest or a member."""
        if alert.name == ALERT_MANY_DEVICES_DOWN:
            self._running[alert.severity] = alert
            self._calm[alert.severity] = now
            self._fire(alert)
        elif alert.name == ALERT_DEVICE_DOWN and DIGEST_LABEL in alert.labels:
            self._members.setdefault(alert.severity, {})[alert.labels["device_id"]] = alert

    def over(self, alert: Alert) -> None:
        """Drop an alert that has ended."""
        members = self._members.get(alert.severity, {})
        if members.get(alert.labels.get("device_id", "")) is alert:
            del members[alert.labels["device_id"]]

    def advance(self, now: float) -> None:
        """End what is over at `now`."""
        for severity in list(self._running):
            if len(self._members.get(severity, ())) >= LEAST:
                self._calm.pop(severity, None)
            elif self._calm.setdefault(severity, now) + CALM <= now:
                del self._calm[severity], self._running[severity]
                self._recount_at.pop(severity, None)
                self._resolve((ALERT_MANY_DEVICES_DOWN, severity), now, now)
        for severity, at in list(self._recount_at.items()):
            if at <= now:
                del self._recount_at[severity]
                self._fire(self._running[severity])

    def next_due(self) -> float | None:
        """Return when `advance` has something to do next."""
        times = [since + CALM for since in self._calm.values()]
        return min([*times, *self._recount_at.values()], default=None)

    def tidy(self) -> None:
        """Bring up to date what is said of those that run."""
        for alert in self._running.values():
            self.measure(alert)

    def cover(self, alert: Alert) -> bool:
        """Whether a digest speaks for an alert about a device."""
        return DIGEST_LABEL in alert.labels and alert.severity in self._running

    def measure(self, alert: Alert) -> None:
        """Set whom a digest speaks for now, the newest first."""
        ids = reversed(self._members.get(alert.severity, {}))
        devices = [self._fleet.devices[device_id] for device_id in ids if device_id in self._fleet.devices]
        alert.extent = extent_of(device.identity for device in devices)

    def _is_open(self, severity: str, now: float) -> bool:
        if severity in self._running and now - self._grown_at.get(severity, 0.0) < MINUTE:
            return True
        told = self._told.get(severity)
        return told is not None and len(told) == MOST_SINGLE and now - told[0] < MINUTE

    def _begin(self, severity: str, now: float) -> None:
        if severity not in self._running:
            self._running[severity] = Alert(mass_labels(ALERT_MANY_DEVICES_DOWN, severity), now, now, now)
            self._fire(self._running[severity])
