"""A checkpoint that is taken in slices, between which events go on, is the state at the moment when it was begun."""

from __future__ import annotations

import asyncio
from itertools import islice

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from exporter.domain import checkpoint
from exporter.domain.checkpoint import Snapshot
from exporter.domain.fleet import Fleet
from exporter.domain.records import Checkpoint
from exporter.lib.pace import Pace
from tests.unit.account_site import Site, happenings, picture

steps = st.one_of(*happenings)
before, meanwhile = st.lists(steps, min_size=10, max_size=40), st.lists(steps, max_size=15)


def interrupted(events: list[tuple], site: Site) -> Pace:
    """Return a pace that rests after every piece; meanwhile one of the events happens, as long as there are some."""
    waiting = iter(events)

    async def turn() -> None:
        for name, *arguments in islice(waiting, 1):
            getattr(site, name)(*arguments)

    return Pace(stretch=0, turn=turn)


def taken(site: Site, events: list[tuple]) -> Fleet:
    """Return what a checkpoint of the site brings back, while events happen as it is taken."""
    snapshot = Snapshot(site.fleet, 0, site.now * 1000)
    return restored(asyncio.run(snapshot.complete(interrupted(events, site))))


def restored(saved: Checkpoint) -> Fleet:
    fleet = Fleet()
    checkpoint.restore(fleet, msgspec.json.decode(msgspec.json.encode(saved), type=Checkpoint), {})
    return fleet


@given(before, meanwhile)
def test_events_between_the_slices_change_nothing_of_it(history: list[tuple], events: list[tuple]) -> None:
    site = Site(moving=True)
    for name, *arguments in history:
        getattr(site, name)(*arguments)
    then = picture(site.fleet)

    fleet = taken(site, events)

    assert picture(fleet)[:-1] == then[:-1]  # the newest event may be a forgotten device's, which is not saved
    assert fleet.newest_event == max((device.timeline.newest for device in fleet.devices.values()), default=0)


@given(before, meanwhile)
def test_the_next_one_holds_what_changed_between_the_slices(history: list[tuple], events: list[tuple]) -> None:
    site = Site(moving=True)
    for name, *arguments in history:
        getattr(site, name)(*arguments)
    snapshot = Snapshot(site.fleet, 0, site.now * 1000)
    site.saved.append(asyncio.run(snapshot.complete(interrupted(events, site))))
    then = picture(site.fleet)

    site.restart()

    assert picture(site.fleet)[:-1] == then[:-1]


def test_a_device_that_appears_between_the_slices_is_in_none_of_its_sums() -> None:
    site = Site(moving=True)
    site.event(1, True, 0, 1)
    then = picture(site.fleet)

    fleet = taken(site, [("event", 2, False, 0, 1)])

    assert picture(fleet)[:-1] == then[:-1]


def test_a_group_that_a_device_comes_into_between_the_slices_is_without_it() -> None:
    site = Site(moving=True)
    site.event(1, True, 0, 1)
    site.event(2, True, 0, 2)
    then = picture(site.fleet)

    fleet = taken(site, [("event", 1, False, 0, 2)])

    assert picture(fleet)[:-1] == then[:-1]


def test_a_group_that_a_device_has_left_is_as_it_was_before_a_late_event_between_the_slices() -> None:
    site = Site(moving=True)
    site.event(1, False, -20, 1)
    site.event(1, True, 0, 2)
    then = picture(site.fleet)

    fleet = taken(site, [("event", 1, True, -10, 1)])

    assert picture(site.fleet) != then
    assert picture(fleet)[:-1] == then[:-1]
