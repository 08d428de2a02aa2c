"""Which alerts fire: derived from the fleet alone, so that a restart derives the same.

Guarantees: a device that is down past its policy's threshold has a firing DeviceDown, past its escalation a firing
DeviceDownEscalated, each with the labels and the threshold of its first post, until it is up or forgotten: another
policy is for the next outage. Only the current state alerts. Alerts that mute others come out ahead of them.

Planned windows: nothing begins to fire for a device inside of one; what outlasts it counts its threshold from its end
(`exporter.domain.thresholds`). What fired when the window began was no part of the plan, and goes on.

Not durable and without a clock: `now` is an argument (Unix seconds), the outboxes do the posting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from exporter.alerting.alert import INHIBITORS, Alert, device_labels, device_names, engine_labels
from exporter.alerting.bursts import MASS_CALM, Bursts, EngineCounts, Flaps
from exporter.alerting.ended import EndedAlerts
from exporter.conventions import ALERT_DEVICE_FLAPPING, ALERT_ENGINE_OUTAGE
from exporter.domain.thresholds import OF_ALERTS, Thresholds
from exporter.lib.agenda import Agenda

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from exporter.alerting.alert import Key
    from exporter.domain.accounts import Device
    from exporter.domain.fleet import Change, Fleet
    from exporter.domain.policy import Policies


class _Due(NamedTuple):
    device_id: str
    since: int
    name: str
    received_at: float | None


class FleetAlerts:
    """The alerts of one fleet."""

    def __init__(
        self,
        fleet: Fleet,
        policies: Callable[[], Policies],
        *,
        planned_until: Callable[[Device, float], float | None] = lambda _device, _now: None,
        impact: Callable[[Device], Mapping[str, int] | None] = lambda _device: None,
    ) -> None:
        self._fleet = fleet
        self._thresholds = Thresholds(policies)
        self._planned_until = planned_until
        self._impact = impact
        self.firing: dict[Key, Alert] = {}
        self.ended = EndedAlerts()
        self._due: Agenda[_Due] = Agenda()
        self._heard: dict[str, tuple[int, float]] = {}  # device: begin of its outage, when we heard of it
        self._counts = EngineCounts()
        self._flaps = Flaps()
        self._bursts = Bursts()
        self._calm: dict[str, float] = {}  # engine in a mass outage: since when its condition is over
        self._out: list[Alert] = []

    # -- what happens -------------------------------------------------------------------------------------------------

    def load(self, now: float, disconnects: Iterable[tuple[str, int]], resolved_within: float) -> None:
        """Derive everything from the fleet as it was loaded.

        `disconnects` are (device id, event time) of the last while. What may have ended within the last
        `resolved_within` seconds without having been told is ended again.
        """
        self._counts.recount(self._fleet)
        for device_id, at in disconnects:
            device = self._fleet.devices.get(device_id)
            if device is not None and self._flaps.add(device_id, at):
                self._set_flapping(device, at, now, None)
        for engine in self._counts.engines():
            if self._counts.is_mass_outage(engine):
                self._fire(Alert(engine_labels(engine), now, now, None))
            else:
                self._end(Alert(engine_labels(engine), now, now, None), now, now)
        for device in self._fleet.devices.values():
            if not device.timeline.up:
                self._schedule(device, now, None)
            elif device.timeline.since >= now - resolved_within:
                self._end_unseen(device, now)

    def adopt(self, labels: Mapping[str, str], starts_at: float, now: float) -> None:
        """Take over an alert that an Alertmanager has from before this start, as it is there; end it if it is over."""
        device = self._fleet.devices.get(labels.get("device_id", ""))
        names = {} if device is None else device_names(device.identity)
        alert = Alert(labels, starts_at, starts_at, None, names)
        name, subject = alert.key
        ours = self.firing.get(alert.key)
        if ours is not None and ours.fingerprint == alert.fingerprint:
            return
        if name == ALERT_ENGINE_OUTAGE and subject in self._counts.engines():
            self._fire(alert)
            self._calm[subject] = now
        elif name == ALERT_DEVICE_FLAPPING and device is not None and ours is None:
            self._fire(alert)  # `tidy` ends it when it is quiet
        elif name in OF_ALERTS and device is not None and alert.fingerprint not in self.ended:
            self._adopt_outage(alert, ours, device, now)

    def change(self, change: Change, now: float) -> None:
        """Take in what an event did to a device."""
        device, before, after = change.device, change.before, change.after
        engine = device.identity.engine
        self._counts.change(engine, before, after)
        moved = before is None or after is None or after.since != before.since
        if moved and after is not None and after.outages > (before.outages if before is not None else 0):
            self._count_flap(device, after.since, change.received_at, now)
        self._judge_engine(engine, change.received_at, now)
        if after is None:
            self._forget(device.identity.device_id, now)
        elif after.up:
            self._end_device(device.identity.device_id, after.since, now)
        else:
            if moved:
                self._heard[device.identity.device_id] = after.since, change.received_at
                self._end_early(device, now)
            self._schedule(device, now, change.received_at)

    def reconsider(self, now: float) -> None:
        """Schedule anew: the policies or the planned windows are others than before. What fires goes on as it is."""
        self._due.clear()
        for device in self._fleet.down.values():
            self._schedule(device, now, now)  # a threshold that was lowered counts from now

    def advance(self, now: float) -> list[Alert]:
        """Do what is due at `now`; return what must be posted, in order."""
        while (due := self._due.pop_due(now)) is not None:
            self._fire_due(due, now)
        self._out += self._bursts.release(now, self._is_in_mass_outage)
        for engine, since in list(self._calm.items()):
            if since + MASS_CALM <= now:
                del self._calm[engine]
                self._resolve((ALERT_ENGINE_OUTAGE, engine), now, now)
        out, self._out = self._out, []
        for alert in out:
            if alert.name == ALERT_ENGINE_OUTAGE and alert.ends_at is None:
                self._count_down(alert)
        self._note_known(out)
        return out

    def next_due(self) -> float | None:
        """Return when `advance` has something to do next."""
        times = [since + MASS_CALM for since in self._calm.values()]
        times += (at for at in (self._due.next_at(), self._bursts.next_release()) if at is not None)
        return min(times, default=None)

    def standing(self) -> list[Alert]:
        """Return what must be repeated: all that fires and is not held back, and what ended lately."""
        held = self._bursts.held()
        return [*(alert for alert in self.firing.values() if alert not in held), *self.ended.all()]

    def tidy(self, now: float) -> None:
        """End what is quiet, count anew, drop what is long over. Call it once a re-send interval."""
        for name, device_id in [key for key in self.firing if key[0] == ALERT_DEVICE_FLAPPING]:
            if self._flaps.quiet_at(device_id) <= now:
                self._resolve((name, device_id), now, now)
        self._flaps.drop_quiet(now)
        self._bursts.tidy(now)
        self._counts.recount(self._fleet)
        for engine in self._counts.engines():
            self._judge_engine(engine, now, now)
            if self._is_in_mass_outage(engine):
                self._count_down(self.firing[ALERT_ENGINE_OUTAGE, engine])
        self._note_known(self.firing.values())
        self._drop_old(now)

    # -- devices ------------------------------------------------------------------------------------------------------

    def _due_at(self, device: Device, name: str, now: float) -> float | None:
        heard_at = self._heard_at(device)
        return self._thresholds.due(device, name, planned_until=self._planned_until(device, now), heard_at=heard_at)

    def _is_early(self, device: Device, name: str, now: float) -> bool:
        at = self._due_at(device, name, now)
        return at is None or at > now

    def _heard_at(self, device: Device) -> float | None:
        """Return when we heard of the running outage; None: before this process started."""
        since, at = self._heard.get(device.identity.device_id, (None, None))
        return at if since == device.timeline.since else None

    def _schedule(self, device: Device, now: float, received_at: float | None) -> None:
        device_id = device.identity.device_id
        for name in OF_ALERTS:
            at = self._due_at(device, name, now)
            if at is not None and (name, device_id) not in self.firing:
                self._due.add(at, _Due(device_id, device.timeline.since, name, received_at))

    def _fire_due(self, due: _Due, now: float) -> None:
        device = self._still_due(due)
        at = None if device is None else self._due_at(device, due.name, now)
        if device is None or at is None:
            return
        if at > now:  # a planned window began in the meantime
            self._due.add(at, due)
            return
        labels = device_labels(due.name, device.identity, self._thresholds.severity(device))
        since = min(device.timeline.since, self._heard_at(device) or now)  # a sender's clock may be ahead
        alert = Alert(labels, since, at, due.received_at, device_names(device.identity), facts=self._impact(device))
        self._fire(alert, now)

    def _still_due(self, due: _Due) -> Device | None:
        """Return the device if the outage that was scheduled still runs and its alert does not fire yet."""
        device = self._fleet.down.get(due.device_id)
        if device is None or device.timeline.since != due.since or (due.name, due.device_id) in self.firing:
            return None
        return device

    def _end_device(self, device_id: str, at: float, now: float) -> None:
        self._heard.pop(device_id, None)
        for name in OF_ALERTS:
            self._resolve((name, device_id), at, now)

    def _end_early(self, device: Device, now: float) -> None:
        """End what fires too early now that a correction let the outage begin later."""
        for name in OF_ALERTS:
            if self._is_early(device, name, now):
                self._resolve((name, device.identity.device_id), device.timeline.since, now)

    def _forget(self, device_id: str, now: float) -> None:
        """End what fires; it is not over, but nobody watches the device any more."""
        for name in (*OF_ALERTS, ALERT_DEVICE_FLAPPING):
            alert = self.firing.get((name, device_id))
            if alert is not None:
                alert.forgotten = True
                self._resolve(alert.key, now, now)
        self._heard.pop(device_id, None)
        self._flaps.forget(device_id)

    def _end_unseen(self, device: Device, now: float) -> None:
        since = min(device.timeline.since, now)
        for name in OF_ALERTS:
            if self._thresholds.has(device, name):
                labels = device_labels(name, device.identity, self._thresholds.severity(device))
                self._end(Alert(labels, since, since, None, device_names(device.identity)), since, now)

    def _adopt_outage(self, alert: Alert, ours: Alert | None, device: Device, now: float) -> None:
        since = device.timeline.since
        is_running = not device.timeline.up and alert.starts_at >= min(since, now)
        alert.known = True
        if not is_running:
            self._end(alert, min(since, now), now)
        elif ours is None:
            self._fire(alert)  # by the policy of before the start; it goes on
        elif ours.acknowledged_at is None:
            ours.take_labels(alert.labels)  # as it was when it was first posted
        else:
            self._end(alert, now, now)

    # -- flapping and mass outages -------------------------------------------------------------------------------------

    def _count_flap(self, device: Device, at: int, received_at: float, now: float) -> None:
        device_id = device.identity.device_id
        is_planned = device.timeline.in_window or self._planned_until(device, now) is not None
        if is_planned and (ALERT_DEVICE_FLAPPING, device_id) not in self.firing:
            return
        if self._flaps.add(device_id, at):
            self._set_flapping(device, at, now, received_at)

    def _set_flapping(self, device: Device, at: float, now: float, received_at: float | None) -> None:
        device_id = device.identity.device_id
        if (ALERT_DEVICE_FLAPPING, device_id) in self.firing or self._flaps.quiet_at(device_id) <= now:
            return
        labels = device_labels(ALERT_DEVICE_FLAPPING, device.identity, self._thresholds.severity(device))
        self._fire(Alert(labels, min(at, now), at, received_at, device_names(device.identity)))

    def _judge_engine(self, engine: str, received_at: float, now: float) -> None:
        if self._counts.is_mass_outage(engine):
            self._calm.pop(engine, None)
            if not self._is_in_mass_outage(engine):
                self._fire(Alert(engine_labels(engine), received_at, received_at, received_at))
        elif self._is_in_mass_outage(engine):
            self._calm.setdefault(engine, now)

    def _is_in_mass_outage(self, engine: str) -> bool:
        return (ALERT_ENGINE_OUTAGE, engine) in self.firing

    def _count_down(self, alert: Alert) -> None:
        devices, down = self._counts.of(alert.engine)
        alert.facts = {"devices": devices, "devices_down": down}

    # -- firing and over -----------------------------------------------------------------------------------------------

    def _fire(self, alert: Alert, now: float | None = None) -> None:
        """Fire and post; with `now` only as fast as single outages come."""
        self.firing[alert.key] = alert
        self.ended.discard(alert.key)
        engine = alert.engine
        if now is None or self._is_in_mass_outage(engine) or self._bursts.admit(engine, alert, now):
            self._out.append(alert)

    def _resolve(self, key: Key, at: float, now: float) -> None:
        alert = self.firing.pop(key, None)
        if alert is not None:
            self._end(alert, at, now)

    def _end(self, alert: Alert, at: float, now: float) -> None:
        self.ended.end(alert, at, now)
        self._out.append(alert)

    def _drop_old(self, now: float) -> None:
        """Forget what was repeated long enough, and outages that were scheduled and are over."""
        self.ended.drop_old(now)
        if len(self._due) > 1000 + 4 * len(self._fleet.down):
            self._due.thin(lambda due: (due.device_id, due.name) if self._still_due(due) is not None else None)

    def _note_known(self, alerts: Iterable[Alert]) -> None:
        for alert in alerts:
            if alert.ends_at is None and not alert.known:
                alert.known = not self._is_muted(alert)

    def _is_muted(self, alert: Alert) -> bool:
        flapping = (ALERT_DEVICE_FLAPPING, alert.labels.get("device_id", ""))
        return alert.name not in INHIBITORS and (self._is_in_mass_outage(alert.engine) or flapping in self.firing)
