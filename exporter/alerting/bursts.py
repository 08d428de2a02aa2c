"""What tells a burst from single outages. Pure: times are arguments, Unix seconds."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from exporter.conventions import ALERT_DEVICE_DOWN

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.alerting.alert import Alert

FREE_DEVICES: Final = 3
"""Devices, each of another business, that alert at once; when more go down within BURST seconds, the next ones wait."""
BURST: Final = 2.0
HOLD: Final = 0.5
"""They wait until nobody joined them for so long, or a mass outage shows,"""
LONGEST_HOLD: Final = 10.0
"""but no longer than this."""


class Bursts:
    """Lets the first devices alert at once and holds the next ones until it shows what they are part of."""

    def __init__(self) -> None:
        self._told: deque[tuple[float, str]] = deque(maxlen=FREE_DEVICES)  # when, and of which business
        self._held: list[Alert] = []
        self._since = 0.0
        self._newest = 0.0

    def admit(self, alert: Alert, now: float, *, waits: bool) -> bool:
        """Return whether the alert may be posted now; otherwise, as where it `waits`, it is kept for `release`."""
        if not self._held:
            is_free = alert.name != ALERT_DEVICE_DOWN or self._is_free(alert.labels.get("business_id", ""), now)
            if is_free and not waits:
                return True
            self._since = now
        self._held.append(alert)
        self._newest = now
        return False

    def release(
        self, now: float, *, began: bool, covered: Callable[[Alert], bool], waits: Callable[[Alert], bool]
    ) -> list[Alert]:
        """Return what need not wait any longer, as the time is over or what covers it `began`.

        What was over before it was posted never will be.
        """
        over = self._held_until <= now
        if not over and not began:
            return []
        held = [alert for alert in self._held if alert.ends_at is None]
        self._held = [alert for alert in held if not covered(alert) and (not over or waits(alert))]
        kept = set(self._held)
        return [alert for alert in held if alert not in kept]

    def next_release(self, now: float) -> float | None:
        """Return when `release` has something next by itself; what waits for others is theirs to say."""
        return self._held_until if self._held and self._held_until > now else None

    def held(self) -> set[Alert]:
        """Return what waits."""
        return set(self._held)

    @property
    def _held_until(self) -> float:
        return min(self._newest + HOLD, self._since + LONGEST_HOLD)

    def _is_free(self, business: str, now: float) -> bool:
        recent = [(at, of) for at, of in self._told if now - at < BURST]
        if len(recent) == FREE_DEVICES or any(of == business for _, of in recent if of):
            return False
        self._told.append((now, business))
        return True
