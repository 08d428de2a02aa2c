"""The open incidents in memory, and when the next ones open. No I/O and no clock: `now` is an argument, Unix seconds.

Guarantees: a device that is down past its threshold, outside planned windows, has exactly one open incident, and one
that is up has none. Events in order are decided here; for a device whose past changed (`unclear`), memory does not
hold enough, and `settle` takes in what was decided from the journal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exporter.conventions import AFFECTED_ANNOTATION, WAITING_ANNOTATION
from exporter.domain.thresholds import Thresholds, running_due
from exporter.incidents.model import FORGOTTEN, Add, Close, Held, Open
from exporter.incidents.reconcile import resolution_of
from exporter.lib.agenda import Agenda

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from exporter.domain.accounts import Device
    from exporter.domain.fleet import Change, Fleet
    from exporter.domain.policy import Policies
    from exporter.domain.timeline import Timeline
    from exporter.incidents.model import Step


SPARE: Final = 1000
"""Due times of outages that are over, kept until they are due or the devices that are down are as many."""


class OpenIncidents:
    """The incidents of one fleet. `steps` must be made durable in their order."""

    def __init__(
        self,
        fleet: Fleet,
        policies: Callable[[], Policies],
        *,
        impact: Callable[[Device], dict[str, int] | None] = lambda _device: None,
        planned_until: Callable[[Device], float | None] = lambda _device: None,
    ) -> None:
        """`planned_until` is the end of the planned window that a device is in now, in its timeline or not yet."""
        self._fleet = fleet
        self.thresholds = Thresholds(policies)
        self._impact = impact
        self._planned_until = planned_until
        self.by_device: dict[str, Held] = {}
        self.unclear: set[str] = set()
        """Devices whose incidents must be compared with the journal."""
        self.steps: list[Step] = []
        self._due: Agenda[tuple[Device, int]] = Agenda()  # since when down

    def forget(self) -> None:
        """Forget everything: another exporter goes on."""
        self.by_device.clear()
        self.unclear.clear()
        self.steps.clear()
        self._due.clear()

    def load(self, held: Iterable[tuple[str, Held]]) -> None:
        """Take in the incidents that are open in the store; what does not fit the loaded fleet is unclear."""
        for device_id, incident in held:
            device = self._fleet.down.get(device_id)
            if device_id in self.by_device or device is None or device.timeline.since != incident.started_at:
                self.unclear.add(device_id)
            self.by_device[device_id] = incident
        for device in self._fleet.down.values():
            self._schedule(device)

    def change(self, change: Change, now: float) -> None:
        """Take in what an event did to a device."""
        device, before, after = change.device, change.before, change.after
        device_id = device.identity.device_id
        if device_id in self.unclear:
            return
        if after is None:
            self._forgotten(device_id, now)
        elif before is None:
            self._expect(device, now)
        elif after.planned is not before.planned and after.in_window != before.in_window:
            self._boundary(device, after, now)
        elif after.newest <= before.newest:
            self.unclear.add(device_id)
        elif after.since != before.since:
            if after.up:
                self._ended(device, before, after.since, now)
            else:
                self._expect(device, now)

    def advance(self, now: float) -> None:
        """Open what is due at `now`."""
        while (due := self._due.pop_due(now)) is not None:
            known, since = due
            device_id = known.identity.device_id
            device = self._fleet.down.get(device_id)
            if device is None or device.timeline.since != since or self._is_settled(device_id):
                continue
            at = self._due_at(device)
            if at is not None and at <= now:
                self._open(device, since, now)
            elif at is not None:  # a planned window began in the meantime
                self._due.add(at, due)

    def next_due(self) -> float | None:
        """Return when `advance` has something to do next."""
        return self._due.next_at()

    def reconsider(self) -> None:
        """Compute every due time anew: the policies or the planned windows changed. What is open stays open."""
        self._due.clear()
        for device in self._fleet.down.values():
            self._schedule(device)

    def settle(self, device_id: str, held: Held | None) -> None:
        """Take in which incident of an unclear device is open after its steps were made durable."""
        self.unclear.discard(device_id)
        if held is not None:
            self.by_device[device_id] = held
            return
        self.by_device.pop(device_id, None)
        device = self._fleet.down.get(device_id)
        if device is not None:
            self._schedule(device)

    def facts(self, device: Device) -> tuple[int | None, int | None]:
        """Return how many conversations the running outage of a device affects, and how many of them wait."""
        found = self._impact(device) or {}
        return found.get(AFFECTED_ANNOTATION), found.get(WAITING_ANNOTATION)

    def line(self, device_id: str, key: str, at: float, kind: str, text: str) -> Add:
        """Return the step that puts a line where it belongs: the open incident, the one to come, or the last one."""
        held = self.by_device.get(device_id)
        early = held is None and device_id in self._fleet.down
        return Add(device_id, held.outage if held is not None else None, key, at, kind, text, early)

    def _is_settled(self, device_id: str) -> bool:
        return device_id in self.by_device or device_id in self.unclear

    def _expect(self, device: Device, now: float) -> None:
        """Open the incident of a device now or when it is due, if it is down."""
        self._schedule(device)
        self.advance(now)

    def _boundary(self, device: Device, after: Timeline, now: float) -> None:
        """Judge a device anew at a window's begin or end: what outlasts one, or was due before it, opens then."""
        planned = after.planned
        if after.up and planned is not None and after.in_window and planned.newest <= after.newest:
            self.unclear.add(device.identity.device_id)  # an outage that is over began before we knew of the window
        else:
            self._expect(device, now)

    def _due_at(self, device: Device) -> float | None:
        after, planned_until = self.thresholds.alert_after(device), self._planned_until(device)
        return self.thresholds.due(device, after, planned_until=planned_until)

    def _awaits_window(self, device: Device, timeline: Timeline) -> bool:
        """Whether a device is in a window whose begin its timeline does not have yet."""
        return not timeline.in_window and self._planned_until(device) is not None

    def _schedule(self, device: Device) -> None:
        if self._is_settled(device.identity.device_id):
            return
        at = self._due_at(device)
        if at is not None:
            self._due.add(at, (device, device.timeline.since))
            if len(self._due) > 4 * len(self._fleet.down) + SPARE:
                self.reconsider()  # most are of outages that are over

    def _open(self, device: Device, start: int, now: float) -> None:
        affected, waiting = self.facts(device)
        self.by_device[device.identity.device_id] = Held(start, start, now)
        self.steps.append(Open(device.identity, start, now, self.thresholds.severity(device), affected, waiting))

    def _ended(self, device: Device, before: Timeline, end: int, now: float) -> None:
        """Close the incident; where none was opened yet, the outage may have been long enough all the same."""
        known = device.identity.device_id in self.by_device
        after = self.thresholds.alert_after(device)
        if not known and end - before.since < after:
            return  # the usual short outage; windows only put off what is due
        due = running_due(before, after)
        if not known and due is not None and due <= end and not self._awaits_window(device, before):
            self._open(device, before.since, now)
        self._close(device.identity.device_id, end, due, now)

    def _forgotten(self, device_id: str, now: float) -> None:
        held = self.by_device.pop(device_id, None)
        if held is not None:
            self.steps.append(Close(device_id, held.outage, now, FORGOTTEN, now))

    def _close(self, device_id: str, end: float, due: float | None, now: float) -> None:
        held = self.by_device.pop(device_id, None)
        if held is not None:
            resolution = resolution_of(held, end, due)
            self.steps.append(Close(device_id, held.outage, end, resolution, now))
