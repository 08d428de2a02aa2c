"""Which mass outages run. No clock: times are arguments, Unix seconds.

Guarantees: one begins as `MASS_KINDS` says and goes on while its condition holds or at least as many devices as it
takes for one went down in it and still are. No two begin with the same devices: those of which one speaks are not
counted for another. A gateway whose engine is in a mass outage without it, too, is part of that one. What is said of
whom it hits is true when it is posted and at each repetition, and its numbers add up: it is posted once nobody joins it
for HOLD seconds, SETTLED_AFTER at most. It begins when its devices went down, however late that was heard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from exporter.alerting.alert import SUBJECT_LABELS, Alert, mass_labels
from exporter.alerting.bursts import HOLD
from exporter.alerting.extent import began, extent_of
from exporter.alerting.mass_counts import MASS_KINDS, TOGETHER, MassCounts, is_mass, keys_of
from exporter.alerting.running import RunningAlerts
from exporter.conventions import ALERT_BUSINESS_OUTAGE, ALERT_GATEWAY_OUTAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.alerting.alert import Key
    from exporter.domain.accounts import Device
    from exporter.domain.fleet import Change, Fleet

SETTLED_AFTER: Final = 5.0
"""Seconds after which one is posted although devices still join it."""


class _Pending(NamedTuple):
    """One that is waited for: since when, when the first device of it went down, when the newest one was heard of."""

    at: float
    since: int
    joined: float


class MassOutages:
    """`fire` and `resolve` are called with what begins and ends; `resolve(key, at, now)`."""

    def __init__(
        self, fleet: Fleet, fire: Callable[[Alert], None], resolve: Callable[[Key, float, float], None]
    ) -> None:
        self._fleet = fleet
        self._counts = MassCounts()
        self._running = RunningAlerts(fire, resolve)
        self._pending: dict[Key, _Pending] = {}

    # -- what happens -------------------------------------------------------------------------------------------------

    def load(self, now: float) -> list[Alert]:
        """Count the fleet as it was loaded; return what would be over if it ran before the start."""
        self._counts.load(self._fleet)
        over: list[Alert] = []
        for key in self._counts.subjects():
            if not MASS_KINDS[key[0]].at_once:
                continue
            if self._is_mass(key) and self._larger(key) == key:
                self._begin(key, now, None)
            else:
                over.append(Alert(mass_labels(*key), now, now, None))
        return over

    def adopt(self, alert: Alert, now: float) -> None:
        """Go on with one that an Alertmanager has from before the start; it ends if it is over."""
        if alert.key in self._counts.subjects():
            self._running.adopt(alert, now)

    def change(self, change: Change, now: float, counts_at: float | None) -> None:
        """Take in what an event did to a device; with `counts_at` its outage is old news until then."""
        self._counts.change(change, counts_at)
        for key in keys_of(change.former) if change.former is not None else ():
            self._judge(key, now)
        is_down = change.after is not None and not change.after.up
        was_down = change.before is not None and not change.before.up
        for key in keys_of(change.device.identity):
            self._judge(key, now)
            if was_down and not is_down and key in self._running:
                self._running.left(key, forgotten=change.after is None)
            if is_down and key in self._pending:
                self._pending[key] = self._pending[key]._replace(joined=now)
            self._wait_at_once(key, now, change.device.timeline.since)

    def speaks(self, device: Device, now: float, received_at: float | None) -> None:
        """Judge whether a device that is about to be told of is part of a mass outage."""
        self._counts.was_waited_for(device)
        since = device.timeline.since
        for key in keys_of(device.identity):
            if key in self._running or key in self._pending or not self._begins(key, since):
                continue
            if received_at is None and not MASS_KINDS[key[0]].wait:
                self._begin(key, now, None)  # its devices were down before the start, and speak at once
            else:
                self._pending[key] = _Pending(now, since, now)

    def advance(self, now: float) -> bool:
        """Begin and end what is due at `now`; return whether any began."""
        began_any = False
        for key, pending in list(self._pending.items()):
            if _due(key, pending) <= now:
                del self._pending[key]
                larger = self._larger(key)
                if larger not in self._running and self._begins(key, pending.since):
                    self._begin(larger, pending.at, now)
                    began_any = True
        self._running.advance(now)
        return began_any

    def next_due(self) -> float | None:
        """Return when `advance` has something to do next."""
        times = [_due(*waited) for waited in self._pending.items()]
        due = self._running.next_due()
        return min(times if due is None else [*times, due], default=None)

    def tidy(self, now: float) -> None:
        """Count what was waited for, and bring up to date what is said of those that run."""
        self._counts.count_old(self._fleet, now)
        for key in self._counts.subjects():
            self._judge(key, now)
            self._wait_at_once(key, now, int(now))
        for alert in self._running.alerts():
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
        down = [device.identity for device in self._down(alert.key)]
        devices, _ = self._counts.of(alert.key)
        alert.extent = extent_of(down, devices)
        if alert.name == ALERT_BUSINESS_OUTAGE and down:
            alert.names = {"business_name": down[-1].business_name} if down[-1].business_name else {}

    def _down(self, key: Key) -> list[Device]:
        """Return the devices that are down of which a mass outage speaks."""
        label = SUBJECT_LABELS[key[0]]
        found = [device for device in self._fleet.down.values() if getattr(device.identity, label) == key[1]]
        return [device for device in found if self._counts.speaks_for(key, device.timeline)]

    def _is_mass(self, key: Key) -> bool:
        return is_mass(key[0], *self._counts.of(key, self._beside(key)))

    def _begins(self, key: Key, since: int) -> bool:
        if self._is_mass(key):
            return True
        together = MASS_KINDS[key[0]].together
        return together is not None and self._counts.together(key, since, self._beside(key)) >= together

    def _beside(self, key: Key) -> set[Key]:
        """Return the mass outages, waited for or running, whose devices do not count for this one."""
        kinds = MASS_KINDS[key[0]].beside
        return {other for other in (*self._running, *self._pending) if other[0] in kinds}

    def _larger(self, key: Key) -> Key:
        """Return the mass outage of its engine that a gateway's is part of, else the key itself."""
        if key[0] == ALERT_GATEWAY_OUTAGE:
            beside = {key, *(other for other in self._running if other[0] == ALERT_GATEWAY_OUTAGE)}
            for engine in self._counts.engines_of(key):
                if is_mass(engine[0], *self._counts.of(engine, beside)):
                    return engine
        return key

    def _judge(self, key: Key, now: float) -> None:
        if key in self._running:
            begun, enough = self._running[key].starts_at - TOGETHER, MASS_KINDS[key[0]].devices
            is_on = is_mass(key[0], *self._counts.of(key)) or self._counts.down_since(key, begun) >= enough
            self._running.judge(key, now, holds=is_on)

    def _wait_at_once(self, key: Key, now: float, since: int) -> None:
        if not MASS_KINDS[key[0]].at_once or key in self._running or key in self._pending or not self._is_mass(key):
            return
        self._pending[key] = _Pending(now, since, now)

    def _begin(self, key: Key, at: float, received_at: float | None) -> None:
        self._pending.pop(key, None)
        since = began((device.timeline.since for device in self._down(key)), TOGETHER)
        starts_at = at if since is None else min(at, since)
        self._running.begin(Alert(mass_labels(*key), starts_at, at, received_at))


def _due(key: Key, pending: _Pending) -> float:
    """Return when one that is waited for is posted."""
    earliest = pending.at + MASS_KINDS[key[0]].wait
    return min(max(earliest, pending.joined + HOLD), pending.at + SETTLED_AFTER)


def _keys(alert: Alert) -> list[Key]:
    return [(name, alert.labels.get(SUBJECT_LABELS[name], "")) for name in MASS_KINDS]
