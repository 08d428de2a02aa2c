"""The timeline against an oracle that lives through every second, and the laws that the journal relies on."""

from __future__ import annotations

import itertools
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.domain.timeline import Event, Kind, Outage, Timeline, advance, fold, outages

START = 1_000
SPAN = 40  # seconds; short, so that ties and neighbours are common

device_states = [Kind.DISCONNECTED, Kind.CONNECTED]
device_kinds = st.sampled_from(device_states)
times = st.integers(START, START + SPAN)
event_sets = st.sets(st.tuples(times, device_kinds), max_size=30)
sets_with_cuts = st.sets(st.tuples(times, st.sampled_from([*device_states, Kind.FORGOTTEN])), max_size=30)


@st.composite
def arrivals(draw: st.DrawFn, sets: st.SearchStrategy[set[Event]] = event_sets) -> tuple[set[Event], list[Event]]:
    """Return a set of events and one way in which they may arrive: any order, any of them repeated."""
    events = draw(sets)
    repeated = draw(st.lists(st.sampled_from(sorted(events)), max_size=10)) if events else []
    return events, draw(st.permutations([*sorted(events), *repeated]))


class Oracle:
    """Walks from the first second to the last, one second at a time, and writes down what it sees."""

    def __init__(self, events: set[Event], last: int) -> None:
        by_second: dict[int, list[Kind]] = defaultdict(list)
        for timestamp, kind in events:
            by_second[timestamp].append(kind)
        self.state = "unknown"
        self.first: int | None = None
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.down_seconds = 0
        for second in range(START, last):
            kinds = by_second.get(second, [])
            if Kind.FORGOTTEN in kinds:
                self.state, self.first, self.begun, self.ended, self.down_seconds = "unknown", None, [], [], 0
            else:
                for kind in self.in_order(kinds):
                    self.take(second, kind)
            self.down_seconds += self.state == "down"

    def in_order(self, kinds: list[Kind]) -> list[Kind]:
        """Return one second's kinds so that the first one changes the state."""
        first = Kind.CONNECTED if self.state == "down" else Kind.DISCONNECTED
        return sorted(set(kinds), key=lambda kind: kind is not first)

    def take(self, second: int, kind: Kind) -> None:
        """Live through one event."""
        if self.first is None:
            self.first = second
        if kind is Kind.DISCONNECTED and self.state != "down":
            self.begun.append(second)
            self.state = "down"
        elif kind is Kind.CONNECTED and self.state != "up":
            if self.state == "down":
                self.ended.append(second)
            self.state = "up"

    def outages(self) -> list[Outage]:
        """Pair what began with what ended; only the last can be open."""
        ends: list[int | None] = [*self.ended, *[None] * (len(self.begun) - len(self.ended))]
        return [Outage(start, end) for start, end in zip(self.begun, ends, strict=True)]


def assert_agrees(timeline: Timeline | None, oracle: Oracle, now: int) -> None:
    if timeline is None:
        assert oracle.first is None
        return
    assert timeline.first_seen == oracle.first
    assert timeline.up == (oracle.state == "up")
    assert timeline.outages == len(oracle.begun)
    assert timeline.downtime(now) == oracle.down_seconds
    running = 0 if timeline.up else now - oracle.begun[-1]
    assert timeline.closed_downtime == oracle.down_seconds - running


@given(arrivals(), st.integers(0, 20))
def test_any_order_and_any_duplication_agree_with_living_through_every_second(
    case: tuple[set[Event], list[Event]], later: int
) -> None:
    events, arrived = case
    now = START + SPAN + 1 + later
    oracle = Oracle(events, now)
    assert_agrees(fold(arrived), oracle, now)
    assert outages(arrived) == oracle.outages()


@given(arrivals(sets_with_cuts))
def test_forgetting_agrees_with_living_through_every_second(case: tuple[set[Event], list[Event]]) -> None:
    events, arrived = case
    now = START + SPAN + 1
    oracle = Oracle(events, now)
    assert_agrees(fold(arrived), oracle, now)
    assert outages(arrived) == oracle.outages()


@given(arrivals(sets_with_cuts))
def test_a_cut_leaves_only_what_is_later(case: tuple[set[Event], list[Event]]) -> None:
    events, arrived = case
    cuts = [timestamp for timestamp, kind in events if kind is Kind.FORGOTTEN]
    later = [event for event in events if event[0] > max(cuts, default=0)]
    assert fold(arrived) == fold(later)
    assert outages(arrived) == outages(later)


@given(st.dictionaries(times, device_kinds, max_size=30))
def test_one_event_at_a_time_equals_folding_them_together(by_second: dict[int, Kind]) -> None:
    timeline: Timeline | None = None
    for timestamp, kind in sorted(by_second.items()):
        timeline = advance(timeline, timestamp, up=kind is Kind.CONNECTED)
    assert timeline == fold(by_second.items())


@given(event_sets)
def test_the_finished_outages_sum_to_the_closed_downtime(events: set[Event]) -> None:
    timeline, found = fold(events), outages(events)
    if timeline is None:
        assert found == []
        return
    assert sum(outage.end - outage.start for outage in found if outage.end is not None) == timeline.closed_downtime
    assert len(found) == timeline.outages
    assert [outage.start for outage in found if outage.end is None] == ([] if timeline.up else [timeline.since])


@given(event_sets)
def test_outages_stand_in_order_and_never_overlap(events: set[Event]) -> None:
    found = outages(events)
    for earlier, later in itertools.pairwise(found):
        assert earlier.end is not None
        assert earlier.start <= earlier.end <= later.start


@given(arrivals(sets_with_cuts), times)
def test_a_base_and_the_later_events_equal_all_events(case: tuple[set[Event], list[Event]], split: int) -> None:
    events, arrived = case
    base = fold(event for event in events if event[0] <= split)
    later = [event for event in arrived if event[0] > split]
    assert fold(later, base) == fold(events)


@given(arrivals(sets_with_cuts), times)
def test_a_base_keeps_every_outage_that_it_had_not_finished(case: tuple[set[Event], list[Event]], split: int) -> None:
    events, arrived = case
    base = fold(event for event in events if event[0] <= split)
    found = outages((event for event in arrived if event[0] > split), base)
    everything = outages(events)
    assert found == everything[len(everything) - len(found) :]
    forgotten = base is None or any(kind is Kind.FORGOTTEN and timestamp > split for timestamp, kind in events)
    known_by_base = 0 if forgotten else base.outages - (not base.up)
    assert len(found) == len(everything) - known_by_base


@given(event_sets, st.tuples(times, device_kinds))
def test_a_late_event_never_lowers_the_number_of_outages(events: set[Event], late: Event) -> None:
    before, after = fold(events), fold({*events, late})
    assert after is not None
    assert after.outages >= (before.outages if before is not None else 0)


@given(event_sets.filter(bool), st.floats(0, START + 2 * SPAN), st.floats(0, 100))
def test_downtime_grows_with_the_clock_and_no_faster(events: set[Event], now: float, step: float) -> None:
    timeline = fold(events)
    assert timeline is not None
    grown = timeline.downtime(now + step) - timeline.downtime(now)
    assert 0 <= grown <= step + 1e-9


@given(event_sets.filter(bool), times, st.booleans())
def test_an_event_that_is_not_later_is_refused(events: set[Event], timestamp: int, up: bool) -> None:
    timeline = fold(events)
    assert timeline is not None
    if timestamp <= timeline.newest:
        with pytest.raises(ValueError, match="not later"):
            advance(timeline, timestamp, up=up)
    else:
        assert advance(timeline, timestamp, up=up).newest == timestamp
