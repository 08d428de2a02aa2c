"""Builders for tests of what the fleet counts: a fleet fed through an applier, with a journal in memory."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import strategies as st

from exporter.domain import checkpoint
from exporter.domain.accounts import Group
from exporter.domain.applying import Applier
from exporter.domain.checkpoint import Snapshot
from exporter.domain.fleet import Fleet
from exporter.domain.identity import Identity
from exporter.domain.records import Checkpoint, DeviceHistory, Record
from exporter.domain.timeline import Kind, fold, outages
from exporter.lib.pace import Pace

if TYPE_CHECKING:
    from exporter.domain.timeline import Event

START = 1_738_056_000
D, C, F, P, E = Kind.DISCONNECTED, Kind.CONNECTED, Kind.FORGOTTEN, Kind.PLANNED, Kind.PLANNED_END

numbers = st.integers(1, 2)
happenings = (
    st.tuples(st.just("event"), numbers, st.booleans(), st.integers(-30, 0), st.integers(1, 2)),
    st.tuples(st.just("boundary"), numbers, st.integers(-10, 0)),
    st.tuples(st.just("forget"), numbers),
    st.tuples(st.just("wait"), st.integers(0, 15)),
    st.tuples(st.just("scrape")),
)
steps = st.one_of(*happenings, st.tuples(st.just("restart")))
histories = st.lists(steps, min_size=20, max_size=60)  # long ones: it takes some steps to get into a window and out


def walk(events: set[Event], now: int) -> tuple[int, int]:
    """Return (downtime, observed) up to `now` outside planned windows, one second at a time."""
    cut = max((at for at, kind in events if kind is F), default=0)
    own = {event for event in events if event[0] > cut}
    timeline = fold(own)
    if timeline is None:
        return 0, 0
    downs = outages(own)
    boundaries = {at: kind for at, kind in own if kind in (P, E)}
    planned, downtime, observed = False, 0, 0
    for second in range(min(at for at, _ in own), now):
        planned = boundaries[second] is P if second in boundaries else planned
        if second < timeline.first_seen or planned:
            continue
        observed += 1
        downtime += any(outage.start <= second < (outage.end or now) for outage in downs)
    return downtime, observed


@cache
def identity(device_id: str, business: int) -> Identity:
    """Return the one object for what is equal, as the recorder does."""
    return Identity(device_id, "", "wa", "", "", f"b{business}", "", "", "")


class Site:
    """A fleet fed through an applier, with a journal in memory; `moving`: devices change their business."""

    def __init__(self, *, moving: bool) -> None:
        self.moving = moving
        self.now = START + 100
        self.events: dict[str, list[Event]] = defaultdict(list)
        self.exposed_ms = 0
        self.exposed: dict[object, tuple[float, ...]] = {}
        self.saved: list[Checkpoint] = []
        self._begin(Fleet())

    def _begin(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.applier = Applier(fleet, pytest.fail)

    def record(self, device_id: str, timestamp: int, kind: Kind, business: int = 1) -> None:
        if (timestamp, kind) in self.events[device_id]:
            return
        who = identity(device_id, business if self.moving else 1)
        record = Record(who, timestamp, kind, self.now * 1000, self.exposed_ms)
        late = self.applier.is_late(record)
        self.events[device_id].append((timestamp, kind))
        self.applier.apply(record, DeviceHistory(list(self.events[device_id]), None) if late else None, live=True)

    def event(self, number: int, up: bool, offset: int, business: int) -> None:
        self.record(f"d{number}", self.now + offset, C if up else D, business)

    def boundary(self, number: int, offset: int) -> None:
        """Begin a window where none runs, else end it; boundaries of a device come in order."""
        device = self.fleet.devices.get(f"d{number}")
        if device is None:
            return
        planned = device.timeline.planned
        at = max(self.now + offset, device.timeline.first_seen, planned.newest + 1 if planned else 0)
        if at <= self.now:
            self.record(f"d{number}", at, E if device.timeline.in_window else P)

    def forget(self, number: int) -> None:
        device = self.fleet.devices.get(f"d{number}")
        if device is not None:
            self.record(f"d{number}", self.now, F)

    def wait(self, seconds: int) -> None:
        self.now += seconds

    def scrape(self) -> None:
        self.now += 1
        self.exposed_ms = self.now * 1000
        for key, group in self.fleet.groups.items():
            shown = (group.downtime(self.now), group.observed(self.now), group.outages)
            assert all(value >= old for value, old in zip(shown, self.exposed.get(key, shown), strict=True)), key
            self.exposed[key] = shown

    def restart(self) -> None:
        """Come back from the checkpoints, as JSON."""
        self.saved.append(asyncio.run(Snapshot(self.fleet, 0, self.now * 1000).complete(Pace())))
        fleet = Fleet()
        devices = {state.identity.device_id: state for saved in self.saved for state in saved.devices}
        groups = {(state.engine, state.business_id): state for saved in self.saved for state in saved.groups}
        known = [state for key, state in devices.items() if key in self.fleet.devices]
        merged = Checkpoint(0, self.now * 1000, known, [], list(groups.values()), self.saved[-1].histograms)
        again = msgspec.json.decode(msgspec.json.encode(merged), type=Checkpoint)
        checkpoint.restore(fleet, again, {})
        assert set(fleet.planned) == set(self.fleet.planned)
        self._begin(fleet)

    def gone(self) -> int:
        """Return the downtime of devices until they were forgotten, by what is known today."""
        total = 0
        for events in self.events.values():
            start = 0
            for cut in sorted(at for at, kind in events if kind is F):
                total += walk({(at, kind) for at, kind in events if start < at < cut}, cut)[0]
                start = cut
        return total

    def true_sums(self) -> tuple[float, float]:
        groups = self.fleet.groups.values()
        downtime = sum(group.true_downtime_ms(self.now) for group in groups) / 1000
        return downtime, sum(group.true_observed_ms(self.now) for group in groups) / 1000


def picture(fleet: Fleet) -> object:
    """Everything of the fleet that a restart must bring back."""
    devices = {
        key: {name: getattr(device, name) for name in device.__slots__ if name not in ("group", "slot")}
        for key, device in fleet.devices.items()
    }
    sums = [name for name in Group.__slots__ if name not in ("future", "engine", "business_id", "held_at")]
    groups = {key: [getattr(group, name) for name in sums] for key, group in fleet.groups.items()}
    counting = {key: (found, fleet.groups[key].held_at) for key, found in groups.items() if any(found)}
    histograms = {
        engine: (list(found.counts), found.total, list(found.floor), found.floor_sum, found.held_at)
        for engine, found in fleet.histograms.items()
    }
    return devices, counting, histograms, set(fleet.down), set(fleet.planned), fleet.newest_event
