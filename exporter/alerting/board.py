"""Which alerts fire: derived from the fleet alone, so that a restart derives the same.

Guarantees: a device that is down past its policy's threshold has a firing DeviceDown, past its escalation a firing
DeviceDownEscalated, each with the labels of its first post, until it is up, forgotten or in planned maintenance. Only
the current state alerts. Alerts that mute others come out ahead of them.

Not durable and without a clock: `now` is an argument (Unix seconds), the outbox does the posting.
"""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

from exporter.alerting.alert import Alert, device_labels, engine_labels
from exporter.alerting.bursts import FLAP_WINDOW, HOLD, MASS_CALM, EngineCounts, Flaps, Pace
from exporter.conventions import (
    ALERT_DEVICE_DOWN,
    ALERT_DEVICE_DOWN_ESCALATED,
    ALERT_DEVICE_FLAPPING,
    ALERT_ENGINE_OUTAGE,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from exporter.fleet import Change, Device, Fleet
    from exporter.policy import Policies

    Key = tuple[str, str]
    """(alert name, device id or engine)"""

RESOLVED_FOR: Final = 300.0
"""How long a resolved alert is repeated: an Alertmanager that was away in the meantime hears it too."""


_OF_OUTAGES: Final = (ALERT_DEVICE_DOWN, ALERT_DEVICE_DOWN_ESCALATED)


class _Due(NamedTuple):
    at: float
    number: int  # keeps the heap's order total
    device_id: str
    since: int
    name: str


class Board:
    """The alerts of one fleet."""

    def __init__(
        self,
        fleet: Fleet,
        policies: Callable[[], Policies],
        *,
        planned_until: Callable[[Device, float], float | None] = lambda _device, _now: None,
        impact: Callable[[Device], dict[str, int] | None] = lambda _device: None,
    ) -> None:
        self._fleet = fleet
        self._policies = policies
        self._planned_until = planned_until
        self._impact = impact
        self.firing: dict[Key, Alert] = {}
        self.resolved: dict[frozenset[tuple[str, str]], Alert] = {}
        self._due: list[_Due] = []
        self._number = count()
        self._counts = EngineCounts()
        self._flaps = Flaps()
        self._pace = Pace()
        self._held: dict[str, tuple[float, list[Alert]]] = {}  # engine: (until, alerts)
        self._calm: dict[str, float] = {}  # engine in a mass outage: since when its condition is over
        self._out: list[Alert] = []

    # -- what happens -------------------------------------------------------------------------------------------------

    def load(self, now: float, disconnects: Iterable[tuple[str, int]], resolved_within: float) -> None:
        """Derive everything from the fleet as it was loaded.

        `disconnects` are (device id, event time) of the last while in order of time. What may have been resolved
        within the last `resolved_within` seconds without having been told is resolved again.
        """
        self._counts.recount(self._fleet)
        for device_id, at in disconnects:
            device = self._fleet.devices.get(device_id)
            if device is None:
                continue
            if self._flaps.add(device_id, at):
                self._set_flapping(device, at, now)
        for engine in self._counts.engines():
            if self._counts.is_mass_outage(engine):
                self._fire_mass_outage(engine, now, now)
            else:
                self._resolve_anew(Alert(engine_labels(engine), now, now, now))
        for device in self._fleet.devices.values():
            if not device.timeline.up:
                self._schedule(device, now)
            elif device.timeline.since >= now - resolved_within:
                self._resolve_unseen(device, now)

    def change(self, change: Change, now: float) -> None:
        """Take in what an event did to a device."""
        device, before, after = change.device, change.before, change.after
        engine, device_id = device.identity.engine, device.identity.device_id
        was_down = before is not None and not before.up
        is_down = after is not None and not after.up
        self._counts.add(engine, (after is not None) - (before is not None), is_down - was_down)
        moved = before is None or after is None or after.since != before.since
        if moved and after is not None and after.outages > (before.outages if before is not None else 0):
            self._count_flap(device, after.since, now)
        self._judge_engine(engine, change.received_at, now)
        if after is None:
            self._end_device(device_id, now, now)
        elif after.up:
            self._end_device(device_id, after.since, now)
        elif moved:
            self._move_start(device, now)
            self._schedule(device, now)

    def reconsider(self, now: float) -> None:
        """Judge every device anew: the policies or the planned windows are others than before."""
        self._due.clear()
        for (name, device_id), alert in list(self.firing.items()):
            if name not in _OF_OUTAGES:
                continue
            device = self._fleet.devices.get(device_id)
            due = self._due_at(device, name, now) if device is not None and not device.timeline.up else None
            severity = self._policies().for_engine(device.identity.engine).severity if device is not None else ""
            if due is None or due > now or severity != alert.labels["severity"]:
                self._resolve((name, device_id), now, now)
        for device in self._fleet.down.values():
            self._schedule(device, now)

    def advance(self, now: float) -> list[Alert]:
        """Do what is due at `now`; return what must be posted, what mutes others first."""
        while self._due and self._due[0].at <= now:
            self._fire_due(heapq.heappop(self._due), now)
        for engine, (until, alerts) in list(self._held.items()):
            if until <= now or (ALERT_ENGINE_OUTAGE, engine) in self.firing:
                del self._held[engine]
                self._out += alerts
        for engine, since in list(self._calm.items()):
            if now - since >= MASS_CALM:
                del self._calm[engine]
                self._resolve((ALERT_ENGINE_OUTAGE, engine), now, now)
        out, self._out = self._out, []
        return out

    def next_due(self) -> float | None:
        """Return when `advance` has something to do next."""
        times = [until for until, _ in self._held.values()] + [since + MASS_CALM for since in self._calm.values()]
        if self._due:
            times.append(self._due[0].at)
        return min(times, default=None)

    def tidy(self, now: float) -> None:
        """Drop what is long over, end what is quiet. Call it once a re-send interval."""
        self.resolved = {
            key: alert
            for key, alert in self.resolved.items()
            if now - max(alert.ends_at or now, alert.wanted_at) < RESOLVED_FOR
        }
        for name, device_id in [key for key in self.firing if key[0] == ALERT_DEVICE_FLAPPING]:
            if self._flaps.quiet_at(device_id) <= now:
                self._resolve((name, device_id), now, now)
        self._flaps.drop_quiet(now)
        self._counts.recount(self._fleet)
        for name, engine in [key for key in self.firing if key[0] == ALERT_ENGINE_OUTAGE]:
            self.firing[name, engine].facts = self._mass_facts(engine)
            self._judge_engine(engine, now, now)

    # -- devices ------------------------------------------------------------------------------------------------------

    def _due_at(self, device: Device, name: str, now: float) -> float | None:
        policy = self._policies().for_engine(device.identity.engine)
        after = policy.alert_after if name == ALERT_DEVICE_DOWN else policy.escalate_after
        if after is None:
            return None
        since: float = device.timeline.since
        planned_until = self._planned_until(device, now)
        if planned_until is not None:
            since = max(since, planned_until)
        return since + after

    def _schedule(self, device: Device, now: float) -> None:
        for name in _OF_OUTAGES:
            key = (name, device.identity.device_id)
            at = self._due_at(device, name, now)
            if at is not None and key not in self.firing:
                due = _Due(at, next(self._number), device.identity.device_id, device.timeline.since, name)
                heapq.heappush(self._due, due)

    def _fire_due(self, due: _Due, now: float) -> None:
        device = self._fleet.devices.get(due.device_id)
        key = (due.name, due.device_id)
        if device is None or device.timeline.up or device.timeline.since != due.since or key in self.firing:
            return
        at = self._due_at(device, due.name, now)
        if at is None:
            return
        if at > now:  # a planned window began in the meantime
            heapq.heappush(self._due, due._replace(at=at))
            return
        severity = self._policies().for_engine(device.identity.engine).severity
        labels = device_labels(due.name, device.identity, severity)
        alert = Alert(labels, device.timeline.since, now, facts=self._impact(device))
        self._fire(key, alert)
        self._post_device(device.identity.engine, alert, now)

    def _post_device(self, engine: str, alert: Alert, now: float) -> None:
        """Post at once, unless so many came just now that a mass outage may be about to show."""
        if engine in self._held:
            self._held[engine][1].append(alert)
        elif (ALERT_ENGINE_OUTAGE, engine) in self.firing or self._pace.may_post(engine, now):
            self._out.append(alert)
        else:
            self._held[engine] = (now + HOLD, [alert])

    def _end_device(self, device_id: str, at: float, now: float) -> None:
        for name in _OF_OUTAGES:
            self._resolve((name, device_id), at, now)

    def _move_start(self, device: Device, now: float) -> None:
        """End what fires too early now that a correction let the outage begin later."""
        for name in _OF_OUTAGES:
            at = self._due_at(device, name, now)
            if at is None or at > now:
                self._resolve((name, device.identity.device_id), device.timeline.since, now)

    def _resolve_unseen(self, device: Device, now: float) -> None:
        policy = self._policies().for_engine(device.identity.engine)
        names = [ALERT_DEVICE_DOWN] + [ALERT_DEVICE_DOWN_ESCALATED] * (policy.escalate_after is not None)
        for name in names:
            labels = device_labels(name, device.identity, policy.severity)
            self._resolve_anew(Alert(labels, device.timeline.since, now, min(device.timeline.since, now)))

    # -- flapping and mass outages -------------------------------------------------------------------------------------

    def _count_flap(self, device: Device, at: int, now: float) -> None:
        if now - at < FLAP_WINDOW and self._flaps.add(device.identity.device_id, at):
            self._set_flapping(device, at, now)

    def _set_flapping(self, device: Device, at: float, now: float) -> None:
        key = (ALERT_DEVICE_FLAPPING, device.identity.device_id)
        if key in self.firing or self._flaps.quiet_at(device.identity.device_id) <= now:
            return
        severity = self._policies().for_engine(device.identity.engine).severity
        alert = Alert(device_labels(ALERT_DEVICE_FLAPPING, device.identity, severity), at, now)
        self._fire(key, alert)
        self._out.append(alert)

    def _judge_engine(self, engine: str, received_at: float, now: float) -> None:
        key = (ALERT_ENGINE_OUTAGE, engine)
        if self._counts.is_mass_outage(engine):
            self._calm.pop(engine, None)
            if key not in self.firing:
                self._fire_mass_outage(engine, received_at, now)
        elif key in self.firing:
            self._calm.setdefault(engine, now)

    def _fire_mass_outage(self, engine: str, at: float, now: float) -> None:
        alert = Alert(engine_labels(engine), at, now, facts=self._mass_facts(engine))
        self._fire((ALERT_ENGINE_OUTAGE, engine), alert)
        self._out.append(alert)

    def _mass_facts(self, engine: str) -> dict[str, int]:
        devices, down = self._counts.of(engine)
        return {"devices": devices, "devices_down": down}

    # -- firing and resolved -------------------------------------------------------------------------------------------

    def _fire(self, key: Key, alert: Alert) -> None:
        self.firing[key] = alert
        self.resolved.pop(frozenset(alert.labels.items()), None)

    def _resolve(self, key: Key, at: float, now: float) -> None:
        alert = self.firing.pop(key, None)
        if alert is not None:
            alert.ends_at, alert.wanted_at = max(at, alert.starts_at), now
            self._resolve_anew(alert)

    def _resolve_anew(self, alert: Alert) -> None:
        self.resolved[frozenset(alert.labels.items())] = alert
        self._out.append(alert)
