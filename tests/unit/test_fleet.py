"""The fleet's sums and counters: late corrections, floors, moves, forgetting, times ahead of our clock."""

import asyncio
from functools import cache

import msgspec
import pytest

from exporter.conventions import OUTAGE_BUCKETS
from exporter.domain.accounts import OutageHistogram
from exporter.domain.checkpoint import Snapshot, restore
from exporter.domain.fleet import Fleet
from exporter.domain.identity import Identity
from exporter.domain.timeline import Kind, fold
from exporter.lib.pace import Pace

UP, DOWN = Kind.CONNECTED, Kind.DISCONNECTED
T = 1_738_056_000


@cache
def identity(device="d1", engine="wa", business="b1", **names):
    """Return the one object for what is equal, as the recorder does."""
    fields = dict.fromkeys(("device_name", "channel_id", "channel_name", "business_name", "user_id", "user_name"), "x")
    return Identity(device_id=device, engine=engine, business_id=business, **(fields | names))


def put(fleet, who, events, *, at, exposed=0.0):
    """Give a device its whole set of events, (seconds after T, kind); `at` and `exposed` are seconds after T too."""
    timeline = fold((T + offset, kind) for offset, kind in events)
    return fleet.put(who, timeline.newest, timeline, received_at=T + at, exposed_at=T + exposed if exposed else 0.0)


def group(fleet, engine="wa", business="b1"):
    return fleet.groups[engine, business]


def counters(found, at):
    """Return a group's exposed (downtime, observed, outages) at a time after T."""
    return found.downtime(T + at), found.observed(T + at), found.outages


class TestSums:
    def test_a_group_sums_its_devices(self):
        fleet = Fleet()
        put(fleet, identity("d1"), [(0, UP), (10, DOWN), (15, UP)], at=15)
        put(fleet, identity("d2"), [(20, DOWN)], at=20)

        assert (group(fleet).up, group(fleet).down) == (1, 1)
        assert counters(group(fleet), 50) == (5 + 30, 50 + 30, 2)

    def test_groups_are_told_apart_by_engine_and_business(self):
        fleet = Fleet()
        for number, (engine, business) in enumerate([("wa", "b1"), ("wa", "b2"), ("slack", "b1")]):
            put(fleet, identity(f"d{number}", engine, business), [(0, UP)], at=0)

        assert set(fleet.groups) == {("wa", "b1"), ("wa", "b2"), ("slack", "b1")}
        assert all((found.up, found.down) == (1, 0) for found in fleet.groups.values())

    def test_a_device_seen_for_the_first_time_down_is_an_outage(self):
        fleet = Fleet()
        device = put(fleet, identity(), [(0, DOWN)], at=0)

        assert counters(group(fleet), 7) == (7, 7, 1)
        assert fleet.down == {"d1": device}

    def test_a_device_that_comes_back_is_not_down_any_more(self):
        fleet = Fleet()
        put(fleet, identity(), [(0, DOWN)], at=0)
        put(fleet, identity(), [(0, DOWN), (4, UP)], at=4)

        assert fleet.down == {}
        assert counters(group(fleet), 100) == (4, 100, 1)

    def test_the_newest_event_time_is_kept(self):
        fleet = Fleet()
        put(fleet, identity("d1"), [(50, UP)], at=50)
        put(fleet, identity("d2"), [(20, UP)], at=60)

        assert fleet.newest_event == T + 50

    def test_every_change_marks_the_device_dirty_and_unsaved(self):
        fleet = Fleet()
        device = put(fleet, identity(), [(0, UP)], at=0)
        assert fleet.dirty == {device}
        fleet.dirty, fleet.unsaved = set(), set()

        fleet.forget(device, received_at=T, exposed_at=0.0)

        assert (fleet.dirty, fleet.unsaved) == ({device}, {"d1"})


class TestLateCorrections:
    def test_a_shortened_outage_holds_the_counters_until_the_truth_catches_up(self):
        fleet = Fleet()
        device = put(fleet, identity(), [(0, DOWN)], at=0)
        assert device.exposed_downtime(T + 60) == group(fleet).downtime(T + 60) == 60

        put(fleet, identity(), [(0, DOWN), (10, UP)], at=61, exposed=60)
        assert device.exposed_downtime(T + 100) == group(fleet).downtime(T + 100) == 60

        put(fleet, identity(), [(0, DOWN), (10, UP), (200, DOWN)], at=200, exposed=100)
        assert device.exposed_downtime(T + 250) == group(fleet).downtime(T + 250) == 60
        assert device.exposed_downtime(T + 251) == group(fleet).downtime(T + 251) == 61

    def test_what_was_never_exposed_is_corrected_at_once(self):
        fleet = Fleet()
        device = put(fleet, identity(), [(0, DOWN)], at=0)

        put(fleet, identity(), [(0, DOWN), (10, UP)], at=61)

        assert device.exposed_downtime(T + 100) == group(fleet).downtime(T + 100) == 10

    def test_a_device_that_came_after_the_last_scrape_was_seen_by_nobody(self):
        fleet = Fleet()
        device = put(fleet, identity(), [(0, DOWN)], at=61, exposed=60)

        put(fleet, identity(), [(0, DOWN), (10, UP)], at=62, exposed=60)

        assert device.exposed_downtime(T + 100) == group(fleet).downtime(T + 100) == 10

    def test_a_late_pair_of_events_between_two_scrapes_leaves_nothing_of_what_nobody_saw(self):
        fleet = Fleet()
        device = put(fleet, identity(), [(0, UP)], at=0)

        put(fleet, identity(), [(0, UP), (10, DOWN)], at=61, exposed=60)
        put(fleet, identity(), [(0, UP), (10, DOWN), (15, UP)], at=62, exposed=60)

        assert device.exposed_downtime(T + 100) == group(fleet).downtime(T + 100) == 5

    def test_a_second_correction_between_two_scrapes_keeps_the_first_ones_floor(self):
        fleet = Fleet()
        put(fleet, identity("d1"), [(0, DOWN)], at=0)
        put(fleet, identity("d1"), [(0, DOWN), (10, UP)], at=61, exposed=60)

        put(fleet, identity("d2"), [(150, DOWN)], at=150, exposed=60)

        assert group(fleet).downtime(T + 151) == 60

    def test_a_late_outage_adds_to_the_counters(self):
        fleet = Fleet()
        device = put(fleet, identity(), [(0, UP)], at=0)

        put(fleet, identity(), [(0, UP), (10, DOWN), (30, UP)], at=60, exposed=50)

        assert device.exposed_downtime(T + 61) == 20
        assert counters(group(fleet), 61) == (20, 61, 1)

    def test_an_earlier_first_event_lengthens_the_observation(self):
        fleet = Fleet()
        put(fleet, identity(), [(50, UP)], at=50)

        put(fleet, identity(), [(20, UP), (50, UP)], at=60)

        assert group(fleet).observed(T + 100) == 80


class TestIdentity:
    def test_a_newer_event_renames(self):
        fleet = Fleet()
        device = put(fleet, identity(device_name="old"), [(0, UP)], at=0)
        put(fleet, identity(device_name="new"), [(0, UP), (5, UP)], at=5)

        assert device.identity.device_name == "new"

    def test_a_late_event_does_not_rename(self):
        fleet = Fleet()
        device = put(fleet, identity(device_name="new"), [(5, UP)], at=5)
        timeline = fold([(T, UP), (T + 5, UP)])
        fleet.put(identity(device_name="old"), T, timeline, received_at=T + 9, exposed_at=0.0)

        assert device.identity.device_name == "new"

    def test_an_equal_identity_keeps_its_object(self):
        fleet = Fleet()
        first = identity()
        device = put(fleet, first, [(0, UP)], at=0)
        put(fleet, msgspec.structs.replace(first), [(0, UP), (5, DOWN)], at=5)

        assert device.identity is first

    def test_of_two_events_in_one_second_the_one_that_came_last_names(self):
        fleet = Fleet()
        device = put(fleet, identity(device_name="first"), [(5, DOWN)], at=5)
        put(fleet, identity(device_name="second"), [(5, DOWN), (5, UP)], at=6)

        assert device.identity.device_name == "second"

    def test_a_name_that_was_confirmed_is_not_older_than_its_confirmation(self):
        fleet = Fleet()
        device = put(fleet, identity(device_name="new"), [(5, UP)], at=5)
        put(fleet, identity(device_name="new"), [(5, UP), (50, DOWN)], at=50)
        timeline = fold([(T + 5, UP), (T + 20, UP), (T + 50, DOWN)])
        fleet.put(identity(device_name="old"), T + 20, timeline, received_at=T + 51, exposed_at=0.0)

        assert (device.identity.device_name, device.identity_at) == ("new", T + 50)


class TestMoves:
    def test_the_former_group_keeps_what_the_device_was_there(self):
        fleet = Fleet()
        put(fleet, identity(), [(0, UP), (10, DOWN)], at=10)

        put(fleet, identity(business="b2"), [(0, UP), (10, DOWN), (40, DOWN)], at=40)

        former, present = group(fleet), group(fleet, business="b2")
        assert (former.up, former.down, present.up, present.down) == (0, 0, 0, 1)
        assert counters(former, 100) == (30, 40, 1)
        assert counters(present, 100) == (60, 60, 0)

    def test_the_device_keeps_its_own_total(self):
        fleet = Fleet()
        device = put(fleet, identity(), [(0, DOWN)], at=0)
        put(fleet, identity(engine="slack"), [(0, DOWN), (40, UP)], at=40, exposed=30)

        assert device.exposed_downtime(T + 100) == 40

    def test_a_move_there_and_back_counts_every_second_once(self):
        fleet = Fleet()
        events = [(0, DOWN)]
        for at, business in ((0, "b1"), (10, "b2"), (30, "b1")):
            events.append((at, DOWN))
            put(fleet, identity(business=business), events, at=at)

        assert counters(group(fleet), 60) == (10 + 30, 10 + 30, 1)
        assert counters(group(fleet, business="b2"), 60) == (20, 20, 0)


class TestForgetting:
    def test_the_group_keeps_what_a_forgotten_device_contributed(self):
        fleet = Fleet()
        device = put(fleet, identity(), [(0, UP), (10, DOWN)], at=10)

        fleet.forget(device, received_at=T + 25, exposed_at=T + 20)

        assert (group(fleet).up, group(fleet).down) == (0, 0)
        assert counters(group(fleet), 1000) == (15, 25, 1)
        assert fleet.devices == fleet.down == {}

    def test_a_device_that_returns_begins_anew(self):
        fleet = Fleet()
        before = put(fleet, identity(), [(0, DOWN)], at=0)
        fleet.forget(before, received_at=T + 5, exposed_at=0.0)

        after = put(fleet, identity(), [(50, UP)], at=50)

        assert after is not before
        assert after.exposed_downtime(T + 60) == 0
        assert counters(group(fleet), 60) == (5, 5 + 10, 1)


class TestTimesAheadOfOurClock:
    def test_a_future_outage_counts_nothing_until_its_time(self):
        fleet = Fleet()
        put(fleet, identity("d1"), [(0, UP)], at=0)
        put(fleet, identity("d2"), [(30, DOWN)], at=10)

        assert counters(group(fleet), 10) == (0, 10, 1)
        assert counters(group(fleet), 30) == (0, 30, 1)
        assert counters(group(fleet), 31) == (1, 31 + 1, 1)

    def test_a_known_device_whose_outage_lies_ahead_is_not_down_before_its_time(self):
        fleet = Fleet()
        put(fleet, identity("d1"), [(0, DOWN)], at=10)
        put(fleet, identity("d2"), [(0, UP), (30, DOWN)], at=10)

        assert counters(group(fleet), 10) == (10, 20, 2)
        assert counters(group(fleet), 31) == (31 + 1, 62, 2)

    def test_a_restart_keeps_what_lies_ahead_ahead(self):
        fleet, again = Fleet(), Fleet()
        put(fleet, identity("d1"), [(0, UP), (30, DOWN)], at=10)
        put(fleet, identity("d2"), [(40, UP)], at=10)

        restore(again, asyncio.run(Snapshot(fleet, 0, (T + 10) * 1000).complete(Pace())), {})

        for at in (10, 31, 41):
            assert counters(group(again), at) == counters(group(fleet), at)

    def test_a_future_device_that_moves_or_goes_takes_no_negative_time_with_it(self):
        fleet = Fleet()
        device = put(fleet, identity(), [(30, DOWN)], at=10)
        put(fleet, identity(business="b2"), [(30, DOWN), (31, DOWN)], at=11)
        fleet.forget(device, received_at=T + 12, exposed_at=0.0)

        assert counters(group(fleet), 100) == (0, 0, 1)
        assert counters(group(fleet, business="b2"), 100) == (0, 0, 0)
        assert not group(fleet).future
        assert not group(fleet, business="b2").future


class TestOutageHistogram:
    @pytest.mark.parametrize(("seconds", "bucket"), [(0, 0), (1, 0), (2, 1), (10, 1), (86_400, 11), (86_401, 12)])
    def test_a_bound_belongs_to_its_bucket(self, seconds, bucket):
        histogram = OutageHistogram()
        histogram.change([seconds])

        assert histogram.cumulative() == [0] * bucket + [1] * (len(OUTAGE_BUCKETS) + 1 - bucket)
        assert histogram.exposed_sum() == seconds

    def test_a_correction_never_lowers_what_is_exposed(self):
        histogram = OutageHistogram()
        histogram.change([5, 100])
        before = histogram.cumulative()
        histogram.hold(T)

        histogram.change([3, 2], removed=[100])

        assert all(now >= then for now, then in zip(histogram.cumulative(), before, strict=True))
        assert histogram.exposed_sum() == 105

    def test_a_bucket_stands_still_when_its_outage_turns_out_to_be_longer(self):
        histogram = OutageHistogram()
        histogram.change([5])
        before = histogram.cumulative()
        histogram.hold(T)

        histogram.change([100], removed=[5])
        assert histogram.cumulative() == before
        assert histogram.exposed_sum() == 100

        histogram.change([5])
        assert histogram.cumulative() == [0, 1, 1, 1, 2, *[2] * 8]

    def test_what_was_never_exposed_is_corrected_at_once(self):
        histogram = OutageHistogram()
        histogram.hold(T)
        histogram.change([100])
        histogram.hold(T)

        histogram.change([3, 2], removed=[100])

        assert (histogram.cumulative()[-1], histogram.exposed_sum()) == (2, 5)

    def test_the_truth_catches_up(self):
        histogram = OutageHistogram()
        histogram.change([100])
        histogram.hold(T)
        histogram.change([1], removed=[100])
        assert (histogram.cumulative()[-1], histogram.exposed_sum()) == (1, 100)

        histogram.change([150])

        assert (histogram.cumulative()[-1], histogram.exposed_sum()) == (2, 151)
