"""Fleet to checkpoint and back. Pure: no clock, no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.fleet import Device, Fleet, Group
from exporter.journal.records import Checkpoint, SavedDevice, SavedGroup, SavedHistogram
from exporter.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.identity import Identity


def take(fleet: Fleet, seq: int, now_ms: int) -> Checkpoint:
    """Return what changed since the last call as a checkpoint at record `seq`, and mark it as saved."""
    devices, forgotten = [], []
    for device_id in fleet.unsaved:
        device = fleet.devices.get(device_id)
        if device is None:
            forgotten.append(device_id)
        else:
            devices.append(_save_device(device))
    fleet.unsaved = set()
    groups = [_save_group(group) for group in fleet.unsaved_groups]
    fleet.unsaved_groups = set()
    histograms = [
        SavedHistogram(engine, list(found.counts), found.total, list(found.floor), found.floor_sum, found.held_at)
        for engine, found in fleet.histograms.items()
    ]
    return Checkpoint(seq, now_ms, devices, forgotten, groups, histograms)


def give_back(fleet: Fleet, checkpoint: Checkpoint) -> None:
    """Mark what a checkpoint held as unsaved again: it could not be written."""
    fleet.unsaved.update(state.identity.device_id for state in checkpoint.devices)
    fleet.unsaved.update(checkpoint.forgotten)
    fleet.unsaved_groups.update(fleet.group(state.engine, state.business_id) for state in checkpoint.groups)


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
        fleet.restore(_restore_device(state, known if known == state.identity else state.identity), checkpoint.saved_ms)
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


def _restore_device(state: SavedDevice, identity: Identity) -> Device:
    timeline = Timeline(
        state.first_seen, state.newest, state.up, state.since, state.outages, state.closed_downtime, state.planned
    )  # fmt: skip
    device = Device(identity, state.identity_at, timeline)
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
