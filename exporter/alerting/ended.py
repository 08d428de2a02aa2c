"""Alerts that are over, for as long as their end is repeated. No clock: `now` is an argument, Unix seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from exporter.alerting.alert import Alert, Fingerprint, Key

RESOLVED_FOR: Final = 300.0
"""How long an alert that is over is repeated: an Alertmanager that was away in the meantime hears it too."""
KNOWN_FOR: Final = 86_400.0
"""How long the end of what people may have been told is repeated: the longest repeat_interval of alertmanager.yml.
Alertmanager drops an end that is muted or silenced just then, and would take the next outage for one that it told."""
MOST_KNOWN: Final = 2000


class EndedAlerts:
    """Each alert by its labels.

    Once one fires again nothing is said of its earlier ends, whatever its labels were then: a device that moved to
    another business in between came back only once.
    """

    def __init__(self) -> None:
        self._alerts: dict[Fingerprint, Alert] = {}
        self._by_key: dict[Key, set[Fingerprint]] = {}

    def get(self, fingerprint: Fingerprint) -> Alert | None:
        """Return the alert with these labels whose end is repeated."""
        return self._alerts.get(fingerprint)

    def is_forgotten(self, key: Key) -> bool:
        """Return whether an alert is known to have ended as nobody watches what it is about any more."""
        return any(self._alerts[fingerprint].forgotten for fingerprint in self._by_key.get(key, ()))

    def all(self) -> list[Alert]:
        """Return what is repeated, in the order of the ends."""
        return list(self._alerts.values())

    def end(self, alert: Alert, at: float, now: float) -> None:
        """End an alert at a time and keep it."""
        alert.ends_at = max(alert.starts_at, min(at, now))  # an end in the future would still fire at Alertmanager
        alert.repeat_until = now + RESOLVED_FOR
        self._alerts[alert.fingerprint] = alert
        self._by_key.setdefault(alert.key, set()).add(alert.fingerprint)

    def discard(self, key: Key) -> None:
        """Forget the ends of an alert: it fires again."""
        for fingerprint in self._by_key.pop(key, ()):
            self._alerts.pop(fingerprint, None)

    def drop_old(self, now: float) -> None:
        """Forget what was repeated long enough."""
        ends = self._alerts.items()
        known = [key for key, alert in ends if alert.known and now - (alert.ends_at or now) < KNOWN_FOR]
        kept = {*known[-MOST_KNOWN:], *(key for key, alert in ends if alert.repeat_until > now)}
        self._alerts = {key: alert for key, alert in ends if key in kept}
        self._by_key = {}
        for fingerprint, alert in self._alerts.items():
            self._by_key.setdefault(alert.key, set()).add(fingerprint)
