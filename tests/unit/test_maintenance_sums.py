"""Planned windows in the account: the fleet's sums equal a walk through every second, whatever comes late."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.domain.thresholds import due, running_due
from exporter.domain.timeline import Kind, fold, outages
from tests.unit.account_site import START, C, D, E, P, Site, histories, walk

if TYPE_CHECKING:
    from exporter.domain.timeline import Event


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
        down = [timeline for timeline in inside if not timeline.up]
        assert (group.paused, group.paused_down) == (len(inside), len(down))
        begun_before = [timeline for timeline in down if timeline.planned and timeline.planned.waited >= 0]
        assert group.paused_while_down == len(begun_before)


@given(histories)
def test_moves_and_forgetting_neither_lose_nor_double_what_counts(history: list[tuple]) -> None:
    site = Site(moving=True)
    for name, *arguments in history:
        getattr(site, name)(*arguments)
    timelines = [device.timeline for device in site.fleet.devices.values()]
    downtime = sum(timeline.counted_downtime(site.now) for timeline in timelines)
    assert site.true_sums()[0] == site.gone() + downtime


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


@given(histories)
def test_the_histogram_holds_every_finished_outage_and_no_other(history: list[tuple]) -> None:
    site = Site(moving=False)
    for name, *arguments in history:
        if name != "forget":
            getattr(site, name)(*arguments)
    found = [outage for events in site.events.values() for outage in outages(events) if outage.end is not None]
    histogram = site.fleet.histogram("wa")
    lengths = [outage.end - outage.start for outage in found]
    assert (sum(histogram.counts), histogram.total) == (len(lengths), sum(lengths))


def test_a_repeated_connect_ends_no_second_outage() -> None:
    site = Site(moving=False)
    for seconds, kind in ((0, D), (5, C), (10, C)):
        site.record("d1", site.now + seconds, kind)
    assert (sum(site.fleet.histogram("wa").counts), site.fleet.histogram("wa").total) == (1, 5)


def test_of_a_window_that_began_before_the_first_event_only_the_rest_is_planned() -> None:
    timeline = fold([(START, P), (START + 10, C), (START + 30, E), (START + 50, P)])
    assert timeline is not None
    assert timeline.planned_time(START + 60) == 20 + 10
    assert fold([(START, P), (START + 5, E), (START + 10, C)]) == fold([(START + 10, C)])


def test_windows_back_to_back_are_one_window() -> None:
    events = [(0, C), (5, D), (10, P), (20, E), (20, P), (30, E), (40, C)]
    timeline = fold(events)
    assert timeline is not None
    assert (timeline.planned_time(50), timeline.counted_downtime(50)) == (20, 15)
    inside = fold(events[:5])
    assert inside is not None
    assert inside.in_window


def test_what_moves_with_its_window_is_counted_once() -> None:
    site = Site(moving=True)
    site.record("d1", site.now, C, business=1)
    site.wait(100)
    site.boundary(1, 0)
    site.wait(100)
    site.record("d1", site.now, D, business=2)
    site.wait(100)
    site.boundary(1, 0)
    site.wait(100)

    groups = [site.fleet.group("wa", f"b{number}") for number in (1, 2)]
    assert [group.true_observed_ms(site.now) for group in groups] == [100_000, 100_000]
    assert [group.true_downtime_ms(site.now) for group in groups] == [0, 100_000]


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


def test_a_late_outage_is_counted_once_although_its_device_moves_on_and_goes() -> None:
    site = Site(moving=True)
    begin = site.now
    site.record("d1", begin, C, business=1)
    site.wait(1000)
    site.record("d1", site.now, C, business=2)
    site.wait(10)
    site.record("d1", begin + 100, D, business=1)
    site.record("d1", begin + 160, C, business=1)
    site.forget(1)

    groups = [site.fleet.group("wa", f"b{number}") for number in (1, 2)]
    assert [group.outages for group in groups] == [1, 0]
    assert downtimes(site) == [60, 0]


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
