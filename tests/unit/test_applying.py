"""Records onto the fleet: what becomes of an event, who is told, and where a late one counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.conventions import ACCEPTED, LATE, REDUNDANT
from exporter.domain.applying import Applier
from exporter.domain.fleet import Change, Fleet
from exporter.domain.records import DeviceHistory, Record
from tests.unit.account_site import START, C, D, E, F, P, Site, identity

if TYPE_CHECKING:
    from exporter.domain.timeline import Event, Kind

OUTCOMES: dict[str, tuple[list[Event], list[str]]] = {
    "what changes the state is accepted": ([(0, C), (10, D), (20, C)], [ACCEPTED, ACCEPTED, ACCEPTED]),
    "what repeats it is redundant": ([(0, D), (10, D), (20, C), (30, C)], [ACCEPTED, REDUNDANT, ACCEPTED, REDUNDANT]),
    "what is older than the newest event is late": ([(20, C), (10, D)], [ACCEPTED, LATE]),
    "what comes second in one second is late": ([(10, D), (10, C)], [ACCEPTED, LATE]),
    "a window's boundary is accepted": ([(0, C), (10, P), (20, E)], [ACCEPTED, ACCEPTED, ACCEPTED]),
}


class Listening:
    """An applier and what it told."""

    def __init__(self) -> None:
        self.told: list[Change] = []
        self._events: list[Event] = []
        self._applier = Applier(Fleet(), pytest.fail)
        self._applier.listeners.append(self.told.append)

    def apply(self, seconds: int, kind: Kind) -> str:
        record = Record(identity("d1", 1), START + seconds, kind, (START + 100) * 1000, 0)
        late = self._applier.is_late(record)
        self._events.append((record.timestamp, kind))
        return self._applier.apply(record, DeviceHistory(list(self._events), None) if late else None, live=True)


@pytest.mark.parametrize(("events", "expected"), OUTCOMES.values(), ids=OUTCOMES)
def test_an_event_has_an_outcome(events: list[Event], expected: list[str]) -> None:
    applier = Listening()
    assert [applier.apply(*event) for event in events] == expected


def test_listeners_are_told_of_what_changes_and_of_nothing_else() -> None:
    applier = Listening()
    for event in ((0, C), (10, P), (20, P), (30, E), (40, E), (50, D)):
        applier.apply(*event)

    assert [change.after.newest - START for change in applier.told if change.after is not None] == [0, 0, 0, 50]
    assert [change.before is None for change in applier.told] == [True, False, False, False]


def test_an_outage_that_only_begins_earlier_stays_where_it_was_counted() -> None:
    site = Site(moving=True)
    begin = site.now
    site.record("d1", begin, C, business=1)
    site.wait(1000)
    site.record("d1", site.now, D, business=2)
    site.record("d1", begin + 500, D, business=1)

    groups = [site.fleet.group("wa", f"b{number}") for number in (1, 2)]
    assert [group.outages for group in groups] == [1, 0]  # the event that moves a device counts where it comes from
    assert [group.true_downtime_ms(site.now) for group in groups] == [500_000, 0]


def test_a_late_event_that_shortens_an_outage_leaves_what_was_scraped() -> None:
    site = Site(moving=False)
    begin = site.now
    site.record("d1", begin, D)
    site.wait(100)
    site.record("d1", site.now, C)
    site.scrape()
    site.wait(5)
    site.record("d1", begin + 10, C)

    histogram = site.fleet.histogram("wa")
    assert (histogram.total, histogram.exposed_sum(), histogram.cumulative()[-1]) == (10, 100, 1)


def test_a_device_that_begins_ahead_of_the_clock_inside_a_window_is_not_observed_until_it_ends() -> None:
    site = Site(moving=False)
    begin = site.now
    site.record("d1", begin, C)
    site.record("d2", begin + 20, C)
    site.record("d2", begin + 20, P)
    group = site.fleet.group("wa", "b1")

    assert [group.true_observed_ms(begin + at) for at in (10, 40)] == [10_000, 40_000]


def test_a_window_that_began_while_a_device_was_forgotten_takes_nothing_from_before_its_return() -> None:
    site = Site(moving=False)
    for kind, seconds in ((C, 10), (F, 2), (P, 8), (C, 10)):
        site.record("d1", site.now, kind)
        site.wait(seconds)

    assert site.fleet.group("wa", "b1").true_observed_ms(site.now) == 10_000


def test_a_device_inside_a_window_whose_outage_lies_ahead_is_not_waited_for() -> None:
    site = Site(moving=False)
    begin = site.now
    site.record("d1", begin, D)
    site.record("d2", begin, C)
    site.record("d2", begin + 5, P)
    site.record("d2", begin + 30, D)
    group = site.fleet.group("wa", "b1")

    assert [group.true_downtime_ms(begin + at) for at in (10, 40)] == [10_000, 40_000]
    assert [group.true_observed_ms(begin + at) for at in (10, 40)] == [15_000, 45_000]
