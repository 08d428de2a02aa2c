"""Planned windows in the account: the fleet's sums equal a walk through every second, whatever comes late."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from itertools import zip_longest
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.domain import checkpoint
from exporter.domain.applying import Applier
from exporter.domain.checkpoint import Snapshot
from exporter.domain.fleet import Fleet
from exporter.domain.identity import Identity
from exporter.domain.records import Checkpoint, DeviceHistory, Record
from exporter.domain.thresholds import due, running_due
from exporter.domain.timeline import Kind, fold, outages
from exporter.lib.pace import Pace

if TYPE_CHECKING:
    from exporter.domain.timeline import Event

START = 1_738_056_000
D, C, F, P, E = Kind.DISCONNECTED, Kind.CONNECTED, Kind.FORGOTTEN, Kind.PLANNED, Kind.PLANNED_END

numbers = st.integers(1, 2)
steps = st.one_of(
    st.tuples(st.just("event"), numbers, st.booleans(), st.integers(-30, 0), st.integers(1, 2)),
    st.tuples(st.just("boundary"), numbers, st.integers(-10, 0)),
    st.tuples(st.just("forget"), numbers),
    st.tuples(st.just("wait"), st.integers(0, 15)),
    st.tuples(st.just("scrape")),
    st.tuples(st.just("restart")),
)
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
        identity = Identity(device_id, "", "wa", "", "", f"b{business if self.moving else 1}", "", "", "")
        record = Record(identity, timestamp, kind, self.now * 1000, self.exposed_ms)
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


@settings(deadline=None, max_examples=300)
@given(histories)
def test_group_sums_equal_a_walk_through_every_second_outside_windows(history: list[tuple]) -> None:
    site = Site(moving=False)
    for name, *arguments in history:
        if name == "forget":
            continue  # what it leaves behind is the other property
        getattr(site, name)(*arguments)
        walked = [walk(set(events), site.now) for events in site.events.values()]
        assert site.true_sums() == (sum(down for down, _ in walked), sum(seen for _, seen in walked))
    group = site.fleet.groups.get(("wa", "b1"))
    if group is not None:
        inside = [device.timeline for device in site.fleet.planned.values()]
        assert (group.paused, group.paused_down) == (len(inside), sum(not timeline.up for timeline in inside))


@settings(deadline=None, max_examples=300)
@given(histories)
def test_moves_and_forgetting_neither_lose_nor_double_what_counts(history: list[tuple]) -> None:
    site = Site(moving=True)
    for name, *arguments in history:
        getattr(site, name)(*arguments)
    timelines = [device.timeline for device in site.fleet.devices.values()]
    downtime = sum(timeline.counted_downtime(site.now) for timeline in timelines)
    assert site.true_sums()[0] == site.gone() + downtime


@settings(deadline=None, max_examples=300)
@given(histories)
def test_a_move_inside_a_window_takes_its_observed_time_along(history: list[tuple]) -> None:
    site = Site(moving=True)
    for name, *arguments in history:
        if name == "event":
            arguments[2] = 0  # a first event that comes late moves no time into a group that its device has left
        if name != "forget":
            getattr(site, name)(*arguments)
    walked = [walk(set(events), site.now) for events in site.events.values()]
    assert site.true_sums() == (sum(down for down, _ in walked), sum(seen for _, seen in walked))


def test_of_a_window_that_began_before_the_first_event_only_the_rest_is_planned() -> None:
    timeline = fold([(START, P), (START + 10, C), (START + 30, E), (START + 50, P)])
    assert timeline is not None
    assert timeline.planned_time(START + 60) == 20 + 10
    assert fold([(START, P), (START + 5, E), (START + 10, C)]) == fold([(START + 10, C)])


@given(st.data(), st.sets(st.tuples(st.integers(0, 40), st.sampled_from([D, C])), max_size=12))
def test_any_order_of_arrival_gives_the_same_account(data: st.DataObject, events: set[Event]) -> None:
    together = [*sorted(events), (5, P), (12, E), (20, P), (27, E), (35, P)]
    assert fold(data.draw(st.permutations(together))) == fold(together)


TOLD = {
    "without windows the threshold counts from the begin": ([(0, C), (10, D)], 300, 310),
    "an outage that begins inside waits for the end": ([(0, C), (5, P), (10, D)], 0, None),
    "what is still down when it ends counts from the end": ([(0, C), (5, P), (10, D), (60, E)], 300, 360),
    "the threshold of an outage that a window cut short counts anew": ([(10, D), (50, P), (90, E)], 300, 390),
    "an outage past its threshold when the window begins stays told": ([(10, D), (50, P)], 40, 50),
    "and after the window, too": ([(10, D), (50, P), (90, E)], 40, 50),
    "two short stretches are not a long one": ([(10, D), (30, P), (40, E), (60, P), (70, E)], 30, 100),
    "a new outage after the window counts from its begin": (
        [(0, C), (5, P), (10, D), (60, E), (70, C), (80, D)],
        9,
        89,
    ),
    "one that begins in the window's first second is inside": ([(0, C), (10, D), (10, P)], 0, None),
    "one that begins in the second of the end is outside": ([(0, C), (5, P), (10, E), (10, D)], 0, 10),
    "a device that is up is not down for any time": ([(0, C), (5, P)], 0, None),
}


@pytest.mark.parametrize(("events", "after", "expected"), TOLD.values(), ids=TOLD)
def test_when_people_hear_of_an_outage(events: list[Event], after: int, expected: int | None) -> None:
    timeline = fold((START + at, kind) for at, kind in events)
    assert timeline is not None
    found = running_due(timeline, after)
    assert (None if found is None else found - START) == expected
    begins, ends = ([at for at, kind in events if kind is boundary] for boundary in (P, E))
    windows = list(zip_longest(begins, ends))
    running = [
        due(start, after, windows)
        for start, end in (msgspec.structs.astuple(one) for one in outages(events))
        if end is None
    ]
    assert running == ([] if timeline.up else [expected])
    assert outages(events) == outages([event for event in events if event[1] not in (P, E)])


def move_and_correct(*late: tuple[int, Kind]) -> Site:
    """Let a device go down in one business and come back in another 10,000 s later; then hear late of the first."""
    site = Site(moving=True)
    begin = site.now
    site.record("d1", begin, D, business=1)
    site.wait(10_000)
    site.scrape()
    site.record("d1", site.now, C, business=2)
    site.wait(10)
    for seconds, kind in late:
        site.record("d1", begin + seconds, kind, business=1)
    return site


def downtimes(site: Site) -> list[float]:
    return [site.fleet.group("wa", f"b{number}").true_downtime_ms(site.now) / 1000 for number in (1, 2)]


def test_a_late_correction_is_booked_where_the_device_was_then() -> None:
    assert downtimes(move_and_correct()) == [10_001, 0]
    site = move_and_correct((5, C))
    assert downtimes(site) == [5, 0]
    site.record("d2", site.now, D, business=2)
    site.wait(3600)
    assert downtimes(site) == [5, 3600]


def test_a_late_event_of_a_forgotten_device_reaches_the_sums() -> None:
    site = Site(moving=False)
    begin = site.now
    site.record("d1", begin, C)
    site.wait(1000)
    site.forget(1)
    site.record("d1", begin + 100, D)
    site.record("d1", begin + 160, C)
    group = site.fleet.group("wa", "b1")
    assert (group.true_downtime_ms(site.now), group.true_observed_ms(site.now)) == (60_000, 1_000_000)
    assert group.outages == 1
    assert site.fleet.devices == {}
