"""Fleet to checkpoint and back. No clock, no I/O.

A checkpoint is the state at one moment, but a large one is taken in slices between which events go on being applied:
what is about to change while it waits for its slice is taken just before (copy on write).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.domain.accounts import Device, Group
from exporter.domain.records import Checkpoint, SavedDevice, SavedGroup, SavedHistogram
from exporter.domain.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.domain.fleet import Fleet
    from exporter.domain.identity import Identity
    from exporter.lib.pace import Pace


class Snapshot:
    """What changed in a fleet since the last snapshot, as it was when this one was begun. One at a time."""

    def __init__(self, fleet: Fleet, seq: int, saved_ms: int) -> None:
        """Begin at record `seq`; everything counts as saved from now on, `give_back` takes that back."""
        histograms = [
            SavedHistogram(engine, list(found.counts), found.total, list(found.floor), found.floor_sum, found.held_at)
            for engine, found in fleet.histograms.items()
        ]
        self._fleet = fleet
        self._result = Checkpoint(seq, saved_ms, [], [], [], histograms)
        self._devices, fleet.unsaved = fleet.unsaved, set()
        self._groups, fleet.unsaved_groups = fleet.unsaved_groups, set()
        fleet.before_change = self._keep

    async def complete(self, pace: Pace) -> Checkpoint:
        """Take what is left, and return the whole."""
        pace.start()
        while self._devices:
            self._keep_device(self._devices.pop())
            if pace.spent():
                await pace.rest()
        while self._groups:
            self._keep_group(self._groups.pop())
            if pace.spent():
                await pace.rest()
        self._fleet.before_change = None
        return self._result

    def give_back(self) -> None:
        """Mark everything as unsaved again: it could not be written. Saving something twice does no harm."""
        result, fleet = self._result, self._fleet
        fleet.before_change = None
        fleet.unsaved |= self._devices
        fleet.unsaved.update(state.identity.device_id for state in result.devices)
        fleet.unsaved.update(result.forgotten)
        fleet.unsaved_groups |= self._groups
        fleet.unsaved_groups.update(fleet.group(state.engine, state.business_id) for state in result.groups)

    def _keep(self, device_id: str, group: Group) -> None:
        if device_id in self._devices:
            self._devices.remove(device_id)
            self._keep_device(device_id)
        if group in self._groups:
            self._groups.remove(group)
            self._keep_group(group)

    def _keep_device(self, device_id: str) -> None:
        device = self._fleet.devices.get(device_id)
        if device is None:
            self._result.forgotten.append(device_id)
        else:
            self._result.devices.append(_save_device(device))

    def _keep_group(self, group: Group) -> None:
        self._result.groups.append(_save_group(group))


def restore(fleet: Fleet, checkpoint: Checkpoint, identities: Mapping[str, Identity]) -> None:
    """Fill an empty fleet. `identities` are shared where they are equal, to save memory."""
    for group_state in checkpoint.groups:
        _restore_group(fleet.group(group_state.engine, group_state.business_id), group_state)
    for histogram_state in checkpoint.histograms:
        histogram = fleet.histogram(histogram_state.engine)
        histogram.counts, histogram.total = list(histogram_state.counts), histogram_state.total
        histogram.floor, histogram.floor_sum = list(histogram_state.floor), histogram_state.floor_sum
        histogram.held_at = histogram_state.held_at
    for state in checkpoint.devices:
        known = identities.get(state.identity.device_id)
        identity = known if known == state.identity else state.identity
        group = fleet.group(identity.engine, identity.business_id)
        fleet.restore(_restore_device(state, identity, group), checkpoint.saved_ms)
    fleet.unsaved_groups.clear()


def _save_device(device: Device) -> SavedDevice:
    timeline = device.timeline
    return SavedDevice(
        device.identity,
        device.identity_at,
        timeline.first_seen,
        timeline.newest,
        timeline.up,
        timeline.since,
        timeline.outages,
        timeline.closed_downtime,
        device.downtime_floor,
        device.observed_from,
        device.base_downtime,
        device.base_outages,
        held_at=device.held_at,
        planned=timeline.planned,
        base_planned=device.base_planned,
    )


def _restore_device(state: SavedDevice, identity: Identity, group: Group) -> Device:
    timeline = Timeline(
        state.first_seen, state.newest, state.up, state.since, state.outages, state.closed_downtime, state.planned
    )  # fmt: skip
    device = Device(identity, state.identity_at, timeline, group)
    device.downtime_floor = state.downtime_floor
    device.observed_from = state.observed_from
    device.base_downtime = state.base_downtime
    device.base_outages = state.base_outages
    device.held_at = state.held_at
    device.base_planned = state.base_planned
    return device


def _save_group(group: Group) -> SavedGroup:
    return SavedGroup(
        group.engine,
        group.business_id,
        group.up,
        group.down,
        group.outages,
        group.closed_ms,
        group.down_since_ms,
        group.observed_ms,
        group.observed_from_ms,
        group.downtime_floor_ms,
        group.observed_floor_ms,
        held_at=group.held_at,
        paused=group.paused,
        paused_down=group.paused_down,
        paused_while_down=group.paused_while_down,
    )


def _restore_group(group: Group, state: SavedGroup) -> None:
    group.up, group.down, group.outages = state.up, state.down, state.outages
    group.paused, group.paused_down = state.paused, state.paused_down
    group.paused_while_down = state.paused_while_down
    group.closed_ms, group.down_since_ms = state.closed_ms, state.down_since_ms
    group.observed_ms, group.observed_from_ms = state.observed_ms, state.observed_from_ms
    group.downtime_floor_ms, group.observed_floor_ms = state.downtime_floor_ms, state.observed_floor_ms
    group.held_at = state.held_at
