"""Alerts that speak for many devices, while they run. No clock: times are arguments, Unix seconds.

Guarantees: each ends a minute after what it is about, so that its last devices do not speak one by one. One that grows
is posted once more a little later, with what holds by then: Alertmanager waits with a digest.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.alerting.alert import Alert, Key

CALM: Final = 60.0
"""How long what it is about must be over before it ends."""
AGAIN: Final = 3.0
"""Seconds after which it is posted once more."""


class RunningAlerts:
    """By what they say of whom. `fire` is called with what is to be posted, `resolve(key, at, now)` with what ends."""

    def __init__(self, fire: Callable[[Alert], None], resolve: Callable[[Key, float, float], None]) -> None:
        self._fire = fire
        self._resolve = resolve
        self._alerts: dict[Key, Alert] = {}
        self._calm: dict[Key, float] = {}  # since when what it is about is over
        self._again: dict[Key, float] = {}
        self._gone: Counter[Key] = Counter()  # how many more devices were forgotten than came up

    def __contains__(self, key: Key) -> bool:
        """Return whether it runs."""
        return key in self._alerts

    def __iter__(self) -> Iterator[Key]:
        """Yield what runs."""
        return iter(list(self._alerts))

    def __getitem__(self, key: Key) -> Alert:
        """Return the alert."""
        return self._alerts[key]

    def alerts(self) -> list[Alert]:
        """Return all."""
        return list(self._alerts.values())

    def begin(self, alert: Alert) -> None:
        """Let it run."""
        self._alerts[alert.key] = alert
        self._calm.pop(alert.key, None)
        self._fire(alert)

    def adopt(self, alert: Alert, now: float) -> None:
        """Let one run that was there before; it ends in a minute if nothing says that it goes on."""
        self.begin(alert)
        self._calm[alert.key] = now

    def judge(self, key: Key, now: float, *, holds: bool) -> None:
        """Take in whether what it is about goes on."""
        if holds:
            self._calm.pop(key, None)
        else:
            self._calm.setdefault(key, now)

    def left(self, key: Key, *, forgotten: bool) -> None:
        """Count a device that is no part of it any more, as it is up or watched no longer."""
        self._gone[key] += 1 if forgotten else -1

    def post_again(self, key: Key, now: float) -> None:
        """Post it once more in a moment, as it is then."""
        self._again.setdefault(key, now + AGAIN)

    def advance(self, now: float) -> None:
        """End what is over, and post again what is to be."""
        for key, since in list(self._calm.items()):
            if since + CALM <= now:
                self._alerts[key].forgotten = self._gone.pop(key, 0) > 0
                del self._calm[key], self._alerts[key]
                self._again.pop(key, None)
                self._resolve(key, now, now)
        for key, at in list(self._again.items()):
            if at <= now:
                del self._again[key]
                self._fire(self._alerts[key])

    def next_due(self) -> float | None:
        """Return when `advance` has something to do next."""
        times = [since + CALM for since in self._calm.values()]
        return min([*times, *self._again.values()], default=None)
