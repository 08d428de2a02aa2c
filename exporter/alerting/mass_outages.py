"""Which mass outages run. No clock: times are arguments, Unix seconds.

Guarantees: one begins as `MASS_KINDS` says and goes on while its condition holds or at least as many devices as it
takes for one went down in it and still are; it ends a minute after that, so that its last devices do not speak one by
one. A smaller one begins only with devices whose engine is not in a mass outage itself. What it says of whom it hits is
true when it is posted and at each repetition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exporter.alerting.alert import SUBJECT_LABELS, Alert, mass_labels
from exporter.alerting.extent import extent_of
from exporter.alerting.mass_counts import MASS_KINDS, TOGETHER, MassCounts, is_mass, keys_of
from exporter.conventions import ALERT_ENGINE_OUTAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.alerting.alert import Key
    from exporter.domain.accounts import Device
    from exporter.domain.fleet import Change, Fleet

CALM: Final = 60.0
"""How long a mass outage must be over before it ends."""
SECOND_COUNT: Final = 3.0
"""So many seconds after its first post it is counted again: Alertmanager tells people a little later."""


class MassOutages:
    """`fire` and `resolve` are called with what begins and ends; `resolve(key, at, now)`."""

    def __init__(
        self, fleet: Fleet, fire: Callable[[Alert], None], resolve: Callable[[Key, float, float], None]
    ) -> None:
        self._fleet = fleet
        self._fire = fire
        self._resolve = resolve
        self._counts = MassCounts()
        self._running: dict[Key, Alert] = {}
        self._pending: dict[Key, float] = {}  # since when the condition holds that is waited with
        self._calm: dict[Key, float] = {}  # since when the condition of what runs is over
        self._recount_at: dict[Key, float] = {}

    # -- what happens -------------------------------------------------------------------------------------------------

    def load(self, now: float) -> list[Alert]:
        """Count the fleet as it was loaded; return what would be over if it ran before the start."""
        self._counts.recount(self._fleet, now)
        over: list[Alert] = []
        for name in (name for name, kind in MASS_KINDS.items() if kind.at_once):
            for key in self._counts.subjects(name):
                if is_mass(name, *self._counts.of(key)):
                    self._begin(key, now, None)
                else:
                    over.append(Alert(mass_labels(*key), now, now, None))
        return over

    def adopt(self, alert: Alert, now: float) -> None:
        """Go on with one that an Alertmanager has from before the start; it ends if it is over."""
        if alert.key in self._counts.subjects(alert.name):
            self._run(alert)
            self._calm[alert.key] = now

    def change(self, change: Change, now: float, counts_at: float | None) -> None:
        """Take in what an event did to a device; with `counts_at` its outage is old news until then."""
        self._counts.change(change.device, change.before, change.after, counts_at)
        for key in keys_of(change.device.identity):
            if key in self._running:
                self._judge_running(key, now)
            elif MASS_KINDS[key[0]].at_once and is_mass(key[0], *self._counts.of(key)):
                self._begin(key, change.received_at, change.received_at)

    def speaks(self, device: Device, now: float, received_at: float | None) -> None:
        """Judge whether a device that is about to be told of is part of a mass outage."""
        self._counts.was_waited_for(device)
        for key in keys_of(device.identity):
            if key in self._running or key in self._pending or not self._begins(key, device.timeline.since):
                continue
            if MASS_KINDS[key[0]].wait:
                self._pending[key] = now
            else:
                self._begin(key, now, received_at)

    def advance(self, now: float) -> None:
        """Begin and end what is due at `now`."""
        for key, since in list(self._pending.items()):
            if since + MASS_KINDS[key[0]].wait <= now:
                del self._pending[key]
                if key not in self._running and is_mass(key[0], *self._counts.of(key, self._engines())):
                    self._begin(key, since, now)
        for key, since in list(self._calm.items()):
            if since + CALM <= now:
                del self._calm[key], self._running[key]
                self._recount_at.pop(key, None)
                self._resolve(key, now, now)
        for key, at in list(self._recount_at.items()):
            if at <= now:
                del self._recount_at[key]
                self._fire(self._running[key])

    def next_due(self) -> float | None:
        """Return when `advance` has something to do next."""
        times = [since + CALM for since in self._calm.values()]
        times += [since + MASS_KINDS[name].wait for (name, _), since in self._pending.items()]
        return min([*times, *self._recount_at.values()], default=None)

    def tidy(self, now: float) -> None:
        """Count anew, and bring up to date what is said of those that run."""
        self._counts.recount(self._fleet, now)
        for key in self._running:
            self._judge_running(key, now)
        for name in (name for name, kind in MASS_KINDS.items() if kind.at_once):
            for key in self._counts.subjects(name):
                if key not in self._running and is_mass(name, *self._counts.of(key)):
                    self._begin(key, now, now)
        for alert in self._running.values():
            self.measure(alert)

    # -- what holds ---------------------------------------------------------------------------------------------------

    def covering(self, alert: Alert) -> str:
        """Return the name of the mass outage that speaks for an alert about a device; empty: none does."""
        return next((key[0] for key in _keys(alert) if key in self._running), "")

    def may_cover(self, alert: Alert) -> bool:
        """Whether it is waited for a mass outage that would."""
        return any(key in self._pending for key in _keys(alert))

    def measure(self, alert: Alert) -> None:
        """Set whom a mass outage hits now."""
        name, subject = alert.key
        label = SUBJECT_LABELS[name]
        down = [device.identity for device in self._fleet.down.values() if not device.timeline.in_window]
        down = [identity for identity in down if getattr(identity, label) == subject]
        devices, number = self._counts.of(alert.key)
        alert.extent = extent_of(down)._replace(down=number, of=devices)
        if name != ALERT_ENGINE_OUTAGE and down:
            alert.names = {"business_name": down[-1].business_name} if down[-1].business_name else {}

    def _begins(self, key: Key, since: int) -> bool:
        kind, without = MASS_KINDS[key[0]], self._engines() if key[0] != ALERT_ENGINE_OUTAGE else ()
        if is_mass(key[0], *self._counts.of(key, without)):
            return True
        return kind.together is not None and self._counts.together(key, since, without) >= kind.together

    def _engines(self) -> set[str]:
        """Return the engines that are in a mass outage themselves."""
        return {subject for name, subject in self._running if name == ALERT_ENGINE_OUTAGE}

    def _judge_running(self, key: Key, now: float) -> None:
        begun = self._running[key].starts_at - TOGETHER
        if is_mass(key[0], *self._counts.of(key)) or self._counts.down_since(key, begun) >= MASS_KINDS[key[0]].devices:
            self._calm.pop(key, None)
        else:
            self._calm.setdefault(key, now)

    def _begin(self, key: Key, at: float, received_at: float | None) -> None:
        self._run(Alert(mass_labels(*key), at, at, received_at))
        if received_at is not None:
            self._recount_at[key] = received_at + SECOND_COUNT

    def _run(self, alert: Alert) -> None:
        self._running[alert.key] = alert
        self._calm.pop(alert.key, None)
        self._pending.pop(alert.key, None)
        self._fire(alert)


def _keys(alert: Alert) -> list[Key]:
    return [(name, alert.labels.get(SUBJECT_LABELS[name], "")) for name in MASS_KINDS]
