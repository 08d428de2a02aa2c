"""Which alerts fire: derived from the fleet alone, so that a restart derives the same.

Guarantees: a device that is down past its policy's threshold has a firing DeviceDown, past its escalation a firing
DeviceDownEscalated, each with the labels and the threshold of its first post, until it is up or forgotten: another
policy is for the next outage. Only the current state alerts. Alerts that mute others come out ahead of them.

Planned windows: nothing begins to fire for a device inside of one; what outlasts it counts its threshold from its end
(`exporter.domain.thresholds`). What fired when the window began was no part of the plan, and goes on.

Not durable and without a clock: `now` is an argument (Unix seconds), the outboxes do the posting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.alerting.alert import INHIBITORS, Alert, device_labels, device_names
from exporter.alerting.bursts import Bursts
from exporter.alerting.digest import Digests
from exporter.alerting.due import DueOutages
from exporter.alerting.ended import EndedAlerts
from exporter.alerting.firing import Firing
from exporter.alerting.flapping import Flapping
from exporter.alerting.mass_counts import MASS_KINDS
from exporter.alerting.mass_outages import MassOutages
from exporter.alerting.taken import NO_ENDS, Taken, TakenOutages
from exporter.conventions import ALERT_DEVICE_DOWN, ALERT_DEVICE_FLAPPING, ALERT_MANY_DEVICES_DOWN
from exporter.domain.thresholds import OF_ALERTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from exporter.alerting.alert import Facts, Key
    from exporter.alerting.due import Due
    from exporter.domain.accounts import Device
    from exporter.domain.fleet import Change, Fleet
    from exporter.domain.policy import Policies


class FleetAlerts:
    """The alerts of one fleet."""

    def __init__(
        self,
        fleet: Fleet,
        policies: Callable[[], Policies],
        *,
        planned_until: Callable[[Device, float], float | None] = lambda _device, _now: None,
        impact: Callable[[Device], Facts | None] = lambda _device: None,
        link: Callable[[Alert], str] = lambda _alert: "",
    ) -> None:
        self._fleet = fleet
        self._impact = impact
        self._link = link
        self.firing = Firing()
        self.ended = EndedAlerts()
        self._due = DueOutages(fleet, policies, planned_until, self.firing)
        self._mass = MassOutages(fleet, self._fire, self._resolve)
        self._digests = Digests(fleet, self._fire, self._resolve)
        severity = self._due.thresholds.severity
        self.taken = TakenOutages(fleet, self.firing, severity, self._fire, self._resolve)
        self._due.postponed = self.taken.postponed
        self._flapping = Flapping(self.firing, severity, self._fire, self._resolve)
        self._bursts = Bursts()
        self._out: list[Alert] = []

    # -- what happens -------------------------------------------------------------------------------------------------

    def load(self, now: float, disconnects: Iterable[tuple[str, int]], resolved_within: float) -> None:
        """Derive everything from the fleet as it was loaded.

        `disconnects` are (device id, event time) of the last while. What may have ended within the last
        `resolved_within` seconds without having been told is ended again.
        """
        for alert in self._mass.load(now):
            self._end(alert, now, now)
        for device_id, at in disconnects:
            device = self._fleet.devices.get(device_id)
            if device is not None:
                self._flapping.count(device, at, None, now)
        for device in self._fleet.devices.values():
            if not device.timeline.up:
                if device.timeline.since > now:  # heard by a clock that was ahead: it is down all the same
                    self._due.heard(device, device.timeline.since, now)
                self._due.schedule(device, now, None)
            elif device.timeline.since >= now - resolved_within:
                self._end_unseen(device, now)

    def adopt(
        self, labels: Mapping[str, str], starts_at: float, now: float, beside: Mapping[str, str] | None = None
    ) -> None:
        """Take over an alert that an Alertmanager has from before this start, as it is there; end it if it is over.

        `beside` are labels that the configuration gave it.
        """
        device = self._fleet.devices.get(labels.get("device_id", ""))
        names = {} if device is None else device_names(device.identity)
        alert = Alert(labels, starts_at, starts_at, None, names, beside=beside)
        name = alert.name
        ours = self.firing.get(alert.key)
        same = ours if ours is not None and ours.fingerprint == alert.fingerprint else self.ended.get(alert.fingerprint)
        if same is not None and same.acknowledged_at is None:
            same.beside = beside
        if same is not None and same is ours:
            return
        if name in MASS_KINDS:
            self._mass.adopt(alert, now)
        elif name == ALERT_MANY_DEVICES_DOWN:
            self._digests.adopt(alert, now)
        elif name == ALERT_DEVICE_FLAPPING and device is not None and ours is None:
            self._fire(alert)  # `tidy` ends it when it is quiet
        elif name in OF_ALERTS and device is not None and same is None:
            self._adopt_outage(alert, ours, device, now)

    def change(self, change: Change, now: float) -> None:
        """Take in what an event did to a device."""
        device, before, after = change.device, change.before, change.after
        moved = before is None or after is None or after.since != before.since
        if moved and after is not None and not after.up:
            self._due.heard(device, after.since, change.received_at)
        self._mass.change(change, now, self._due.counts_at(device, now))
        if moved and after is not None and after.outages > (before.outages if before is not None else 0):
            planned = self._due.is_planned(device, now)
            self._flapping.count(device, after.since, change.received_at, now, planned=planned)
        if after is None:
            self._forget(device.identity.device_id, now)
        elif after.up:
            self._end_device(device.identity.device_id, after.since, now)
        else:
            if moved:
                self._end_early(device, now)
            self._due.schedule(device, now, change.received_at)

    def run_out(self, taken: Taken, now: float) -> None:
        """Go on with an outage whose time with somebody is over; see `TakenOutages`."""
        device = self._fleet.down.get(taken.key[1]) if taken.of_device else None
        self.taken.run_out(taken, self._due.thresholds.rungs(device) if device is not None else [], now)

    def reconsider(self, now: float) -> None:
        """Schedule anew: the policies or the planned windows are others than before. What fires goes on as it is."""
        self._due.clear()
        for device in self._fleet.down.values():
            self._due.schedule(device, now, now)  # a threshold that was lowered counts from now

    def turned_back(self, now: float) -> None:
        """Schedule anew where the clock was ahead and has been set right: by it a true outage was old news."""
        self._due.turned_back(now)
        self.reconsider(now)

    def advance(self, now: float) -> list[Alert]:
        """Do what is due at `now`; return what must be posted, in order."""
        self.taken.advance(now)
        while (found := self._due.pop(now)) is not None:
            self._fire_due(*found, now)
        began = self._mass.advance(now)
        for alert in self._bursts.release(now, began=began, covered=self._is_muted, waits=self._mass.may_cover):
            self._speak(alert, now)
        self._digests.advance(now)
        out, self._out = list(dict.fromkeys(self._out)), []
        for alert in out:
            self._measure(alert)
        self._note_known(out)
        return out

    def next_due(self, now: float = 0.0) -> float | None:
        """Return when `advance` has something to do next."""
        parts = (self._mass, self._digests, self.taken)
        times = (self._due.next_at(), self._bursts.next_release(now), *(part.next_due() for part in parts))
        return min((at for at in times if at is not None), default=None)

    def standing(self) -> list[Alert]:
        """Return what must be repeated: all that fires and is not held back, and what ended lately."""
        held = self._bursts.held()
        return [*(alert for alert in self.firing.values() if alert not in held), *self.ended.all()]

    def tidy(self, now: float) -> None:
        """End what is quiet, count anew, drop what is long over. Call it once a re-send interval."""
        self._flapping.tidy(now)
        self._mass.tidy(now)
        self._digests.tidy()
        self.taken.tidy(now)
        self._note_known(self.firing.values())
        self._drop_old(now)

    # -- devices ------------------------------------------------------------------------------------------------------

    def _fire_due(self, due: Due, device: Device, at: float, now: float) -> None:
        labels = device_labels(due.rung.alert, device.identity, self._due.thresholds.severity(device), due.rung.to)
        since = min(device.timeline.since, self._due.heard_at(device) or now)  # a sender's clock may be ahead
        alert = Alert(labels, since, at, due.received_at, device_names(device.identity), facts=self._impact(device))
        self._begin(alert)
        if alert.name == ALERT_DEVICE_DOWN and alert.severity == "critical":
            self._mass.speaks(device, now, due.received_at)
        if due.received_at is None or self._is_muted(alert):  # it may have been told before the start
            self._out.append(alert)
        elif self._bursts.admit(alert, now, waits=self._mass.may_cover(alert)):
            self._speak(alert, now)

    def _end_device(self, device_id: str, at: float, now: float) -> None:
        self._due.over(device_id)
        for key in self.firing.about_outage(device_id):
            self._resolve(key, at, now)

    def _end_early(self, device: Device, now: float) -> None:
        """End what fires too early now that a correction let the outage begin later."""
        reached = self._due.reached(device, now)
        for key in self.firing.about_outage(device.identity.device_id):
            at = reached.get(key[0])
            if at is None or at > now:
                self._resolve(key, device.timeline.since, now)

    def _forget(self, device_id: str, now: float) -> None:
        """End what fires; it is not over, but nobody watches the device any more."""
        for key in (*self.firing.about_outage(device_id), (ALERT_DEVICE_FLAPPING, device_id)):
            if key in self.firing:
                self.firing[key].forgotten = True
                self._resolve(key, now, now)
        self._due.over(device_id)
        self._flapping.forget(device_id)

    def _end_unseen(self, device: Device, now: float) -> None:
        since = min(device.timeline.since, now)
        for rung in self._due.thresholds.rungs(device):
            labels = device_labels(rung.alert, device.identity, self._due.thresholds.severity(device), rung.to)
            self._end(Alert(labels, since, since, None, device_names(device.identity)), since, now)

    def _adopt_outage(self, alert: Alert, ours: Alert | None, device: Device, now: float) -> None:
        since = device.timeline.since
        is_running = not device.timeline.up and (since > now or alert.starts_at >= since)
        alert.known = True
        if not is_running:
            self._end(alert, min(since, now), now)
        elif ours is None:
            self._digests.adopt(alert, now)
            self._fire(alert)  # by the policy of before the start; it goes on
        elif ours.acknowledged_at is None:
            ours.take_labels(alert.labels)  # as it was when it was first posted
            ours.beside = alert.beside
            self._digests.adopt(ours, now)
        else:
            self._end(alert, now, now)

    # -- firing and over -----------------------------------------------------------------------------------------------

    def _fire(self, alert: Alert) -> None:
        """Fire and post."""
        self._begin(alert)
        self._out.append(alert)

    def _begin(self, alert: Alert) -> None:
        device = self._fleet.down.get(alert.labels.get("device_id", "")) if alert.name in OF_ALERTS else None
        alert.outage = device.timeline.since if device is not None else None
        self.firing.begin(alert)
        self.ended.discard(alert.key)
        alert.ack_url = self._link(alert)
        alert.holder = self.taken.by(alert)

    def _speak(self, alert: Alert, now: float) -> None:
        """Post an alert about a device, alone or as one of many."""
        if not self._is_muted(alert):
            self._digests.take(alert, now)
        self._out.append(alert)

    def _measure(self, alert: Alert) -> None:
        if alert.ends_at is None and alert.name in MASS_KINDS:
            self._mass.measure(alert)
        elif alert.ends_at is None and alert.name == ALERT_MANY_DEVICES_DOWN:
            self._digests.measure(alert)

    def _resolve(self, key: Key, at: float, now: float) -> None:
        alert = self.firing.end(key)
        was_taken = key in self.taken.active
        if alert is not None:
            self._end(alert, at, now)
        if was_taken and key[0] in MASS_KINDS:
            self.reconsider(now)  # nobody has those that are still down

    def _end(self, alert: Alert, at: float, now: float) -> None:
        self.ended.end(alert, at, now)
        self._digests.over(alert)
        self.taken.ended(alert, now)
        self._out.append(alert)

    def _drop_old(self, now: float) -> None:
        """Forget what was repeated long enough, and outages that were scheduled and are over."""
        self.ended.drop_old(now)
        self._due.drop_old()

    def _note_known(self, alerts: Iterable[Alert]) -> None:
        for alert in alerts:
            if alert.ends_at is None and not alert.known and alert.name not in NO_ENDS:
                alert.known = not self._is_muted(alert)

    def _is_muted(self, alert: Alert) -> bool:
        return bool(self.muting(alert))

    def muting(self, alert: Alert) -> str:
        """Return the name of the alert that mutes this one at Alertmanager; empty: none does."""
        if alert.name in INHIBITORS:
            return ""
        flapping = (ALERT_DEVICE_FLAPPING, alert.labels.get("device_id", ""))
        if name := self._mass.covering(alert):
            return name
        if self._digests.cover(alert):
            return ALERT_MANY_DEVICES_DOWN
        return ALERT_DEVICE_FLAPPING if flapping in self.firing else ""
