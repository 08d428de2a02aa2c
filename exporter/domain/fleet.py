"""All devices in memory, and the sums over them, kept incrementally.

Guarantees: every operation costs O(1) in devices; the exposed counters never decrease (see `exporter.domain.accounts`).

Not thread-safe: the recorder's event loop is the only writer. No clock: times are arguments, in Unix seconds;
`exposed_at` is the time of the last exposition before a change, 0 if there was none. It grows with every exposition:
two changes with the same one had none between them, and what only the first of them made true was seen by nobody. Only
where the clock was set back it falls, and `turn_back` comes first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from exporter.domain.accounts import Device, Group, OutageHistogram, Share
from exporter.domain.identity import Identity
from exporter.domain.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable


class Change(msgspec.Struct, frozen=True, gc=False):
    """What one journalled event did to one device. `before` or `after` is None where the device was or is unknown."""

    device: Device
    before: Timeline | None
    after: Timeline | None
    received_at: float
    """When the event reached us, Unix seconds."""
    live: bool
    """False while the journal is replayed at start: then nothing must be sent anywhere."""
    former: Identity | None = None
    """Who it was before, where it belongs to another engine, business or gateway from now on."""


class Fleet:
    """All devices, groups and histograms."""

    def __init__(self) -> None:
        self.devices: dict[str, Device] = {}
        self.down: dict[str, Device] = {}
        self.planned: dict[str, Device] = {}
        """Devices inside a planned window."""
        self.groups: dict[tuple[str, str], Group] = {}
        self.histograms: dict[str, OutageHistogram] = {}
        self.dirty: set[Device] = set()
        """Devices that changed since the exposition last looked; forgotten ones included (it empties the set)."""
        self.unsaved: set[str] = set()
        """Ids of devices that changed since the last checkpoint."""
        self.unsaved_groups: set[Group] = set()
        self.before_change: Callable[[str, Group], None] | None = None
        """Told the id of a device and its group before they change, while a checkpoint is being taken."""
        self.newest_event = 0
        """Event time of the newest device event."""

    def clear(self) -> None:
        """Forget everything: it is loaded anew."""
        for part in (self.devices, self.down, self.planned, self.groups, self.histograms):
            part.clear()
        for changed in (self.dirty, self.unsaved, self.unsaved_groups):
            changed.clear()

    def group(self, engine: str, business_id: str) -> Group:
        """Return the group, made at its first use."""
        group = self.groups.get((engine, business_id))
        if group is None:
            group = self.groups[engine, business_id] = Group(engine, business_id)
            self.histogram(engine)
        return group

    def histogram(self, engine: str) -> OutageHistogram:
        """Return the engine's outage durations, made at their first use."""
        found = self.histograms.get(engine)
        if found is None:
            found = self.histograms[engine] = OutageHistogram()
        return found

    def put(
        self, identity: Identity, identity_at: int, timeline: Timeline, *, received_at: float, exposed_at: float
    ) -> Device:
        """Set a device's timeline, and its identity where `identity_at` is not older than the one it has."""
        device = self.devices.get(identity.device_id)
        if device is None:
            return self._add(identity, identity_at, timeline, received_at, exposed_at)
        group, before = device.group, device.timeline
        if self.before_change is not None:
            self.before_change(identity.device_id, group)
        if exposed_at > group.held_at:
            group.hold(exposed_at)
        if exposed_at > device.held_at:
            device.hold(exposed_at)
        if (
            identity is device.identity
            and timeline.first_seen == before.first_seen
            and timeline.planned is None
            and before.planned is None
        ):
            group.move(before, timeline)
            device.timeline = timeline
            device.identity_at = max(device.identity_at, identity_at)
        else:
            group = self._replace(device, identity, identity_at, timeline, received_at, exposed_at)
        self._mark(device, group, received_at)
        return device

    def _add(
        self, identity: Identity, identity_at: int, timeline: Timeline, received_at: float, exposed_at: float
    ) -> Device:
        group = self.group(identity.engine, identity.business_id)
        if self.before_change is not None:
            self.before_change(identity.device_id, group)
        device = self.devices[identity.device_id] = Device(identity, identity_at, timeline, group)
        device.held_at = exposed_at
        group.hold(exposed_at)
        group.add(device)
        self._mark(device, group, received_at)
        return device

    def _replace(
        self,
        device: Device,
        identity: Identity,
        identity_at: int,
        timeline: Timeline,
        received_at: float,
        exposed_at: float,
    ) -> Group:
        """Change anything of a device; return its group, which is another one if engine or business changed."""
        group = device.group
        group.add(device, -1)
        if device.observed_from == device.timeline.first_seen:
            device.observed_from = timeline.first_seen
        device.timeline = timeline
        if identity is device.identity:
            device.identity_at = max(device.identity_at, identity_at)
        elif identity_at >= device.identity_at:
            group = self._rename(device, group, identity, identity_at, received_at, exposed_at)
        group.add(device)
        return group

    def forget(self, device: Device, *, received_at: float, exposed_at: float) -> None:
        """Drop a device from the metrics; the sums of its group keep what it contributed."""
        group = device.group
        if self.before_change is not None:
            self.before_change(device.identity.device_id, group)
        self.unsaved_groups.add(group)
        group.hold(exposed_at)
        group.add(device, -1)
        group.freeze(device, received_at)
        group.future.discard(device)
        device_id = device.identity.device_id
        del self.devices[device_id]
        self.down.pop(device_id, None)
        self.planned.pop(device_id, None)
        self.dirty.add(device)
        self.unsaved.add(device_id)

    def correct(self, group: Group, share: Share, device_id: str, moved: Device | None, *, exposed_at: float) -> None:
        """Book what a late event changes in a group that the device has left; `moved` is the device if it lives on.

        What changes there is none of its present group's business, although its timeline has it. The time observed and
        planned there is as it was: no event of a device that lives on comes before its first one.
        """
        for changed in {group, group if moved is None else moved.group}:
            if self.before_change is not None:
                self.before_change(device_id, changed)
            changed.hold(exposed_at)
            self.unsaved_groups.add(changed)
        group.correct(share)
        if moved is None:
            return
        moved.group.correct(Share(-share.downtime_ms, 0, -share.outages))
        moved.base_downtime += share.downtime_ms / 1000
        moved.base_outages += share.outages
        self.unsaved.add(device_id)

    def turn_back(self, exposed_at: float) -> None:
        """Hold everything as it was exposed at `exposed_at`, before expositions at earlier times follow.

        The clock was ahead and has been set right. O(devices), and as rare as that.
        """
        if self.before_change is not None:
            for device_id, device in self.devices.items():
                self.before_change(device_id, device.group)
        accounts: list[Device | Group | OutageHistogram] = [*self.devices.values(), *self.groups.values()]
        for account in (*accounts, *self.histograms.values()):
            account.hold(exposed_at)
            account.held_at = 0.0
        self.unsaved.update(self.devices)
        self.unsaved_groups.update(self.groups.values())
        self.dirty.update(self.devices.values())

    def look_ahead(self, now: float) -> None:
        """Take in that it is earlier than it seemed: what was heard meanwhile may lie ahead. O(devices), and rare."""
        for device in self.devices.values():
            if max(device.timeline.newest, device.observed_from) > now:
                device.group.future.add(device)

    def restore(self, device: Device, saved_ms: int) -> None:
        """Take in a device from a checkpoint of that time, whose group sums are restored by the caller."""
        self.devices[device.identity.device_id] = device
        if max(device.timeline.newest, device.observed_from) * 1000 > saved_ms:
            device.group.future.add(device)
        if not device.timeline.up:
            self.down[device.identity.device_id] = device
        if device.timeline.in_window:
            self.planned[device.identity.device_id] = device
        self.dirty.add(device)
        self.newest_event = max(self.newest_event, device.timeline.newest)

    def _rename(
        self, device: Device, group: Group, identity: Identity, identity_at: int, received_at: float, exposed_at: float
    ) -> Group:
        """Give a device its newer identity; return its group, which is another one if engine or business changed."""
        moved = (identity.engine, identity.business_id) != (group.engine, group.business_id)
        if identity != device.identity:
            device.identity = identity
        device.identity_at = identity_at
        if not moved:
            return group
        self.unsaved_groups.add(group)
        group.freeze(device, received_at)
        group.future.discard(device)
        device.base_downtime = device.timeline.counted_downtime(received_at)
        device.base_outages = device.timeline.outages
        device.base_planned = device.timeline.planned_time(received_at)
        device.observed_from = max(device.observed_from, received_at)
        group = device.group = self.group(identity.engine, identity.business_id)
        if self.before_change is not None:
            self.before_change(identity.device_id, group)
        group.hold(exposed_at)
        return group

    def _mark(self, device: Device, group: Group, received_at: float) -> None:
        timeline, device_id = device.timeline, device.identity.device_id
        if timeline.up:
            self.down.pop(device_id, None)
        else:
            self.down[device_id] = device
        if timeline.planned is not None and timeline.in_window:
            self.planned[device_id] = device
        elif self.planned:
            self.planned.pop(device_id, None)
        newest = timeline.newest
        if newest > received_at or device.observed_from > received_at:
            group.future.add(device)
        elif group.future:
            group.future.discard(device)
        self.newest_event = max(self.newest_event, newest)
        self.dirty.add(device)
        self.unsaved.add(device_id)
        self.unsaved_groups.add(group)
