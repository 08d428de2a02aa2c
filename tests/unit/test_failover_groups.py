"""A channel with its backup as a group: its history, its counters, its place in reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.domain.identity import Identity
from exporter.domain.timeline import Kind, Outage, fold, outages
from exporter.failover.accounts import Account, Sums
from exporter.report.availability import availability
from exporter.report.groups import Groups, group_history, group_identity
from exporter.report.history import History

if TYPE_CHECKING:
    from collections.abc import Iterator

PAIR = ("a", "b")
Span = tuple[int, "int | None"]


def device(
    device_id: str, channel: str, down: list[Span], observed: list[Span] | None = None, *, planned: list[Span] = ()
) -> History:
    identity = Identity(device_id, device_id, "wa", channel, f"Kanal {channel}", "biz", "Toko Makmur", "u", "Admin")
    return History(identity, [Outage(*span) for span in down], observed or [(0, None)], list(planned))


def spans(found: list[Outage]) -> list[Span]:
    return [(outage.start, outage.end) for outage in found]


def together(*members: History) -> History:
    return group_history(group_identity(PAIR, members), members)


@pytest.mark.parametrize(
    ("members", "down"),
    [
        pytest.param([([(10, 20)], None), ([], None)], [], id="one is always up"),
        pytest.param([([(10, 20)], None), ([(15, 30)], None)], [(15, 20)], id="both down for a while"),
        pytest.param([([(10, None)], None), ([(15, None)], None)], [(15, None)], id="both down still"),
        pytest.param([([(10, 20)], None), ([(20, 30)], None)], [], id="the one comes as the other goes"),
        pytest.param([([(10, 20)], None), ([], [(15, None)])], [(10, 15)], id="the backup is not known before 15"),
        pytest.param([([(10, 20)], None), ([], [(0, 12)])], [(12, 20)], id="the backup is forgotten at 12"),
        pytest.param([([(10, 30)], None), ([(5, 15), (20, 40)], None)], [(10, 15), (20, 30)], id="twice"),
        pytest.param([([(10, 10)], None), ([(10, 10)], None)], [], id="without length"),
        pytest.param([([(10, 20)], [(0, 20)]), ([(5, 20)], [(5, 20)])], [(10, 20)], id="both forgotten while down"),
    ],
)
def test_a_group_is_down_when(members: list[tuple[list[Span], list[Span] | None]], down: list[Span]) -> None:
    histories = [device(f"d{n}", channel, *one) for n, (channel, one) in enumerate(zip(PAIR, members, strict=True))]
    assert spans(together(*histories).outages) == down


def test_a_group_is_observed_while_any_of_its_devices_is() -> None:
    found = together(device("d1", "a", [], [(5, 10), (30, None)]), device("d2", "b", [], [(8, 20)]))
    assert found.observed == [(5, 20), (30, None)]


def test_a_group_is_planned_while_all_of_its_devices_are() -> None:
    found = together(
        device("d1", "a", [], planned=[(10, 30), (50, None)]), device("d2", "b", [], planned=[(20, 40), (60, None)])
    )
    assert found.planned == [(20, 30), (60, None)]


DOWN = st.lists(st.integers(0, 60), max_size=8).map(lambda times: sorted(set(times)))


@given(st.lists(st.tuples(DOWN, st.booleans()), min_size=1, max_size=4))
def test_a_group_is_up_in_exactly_the_seconds_in_which_a_device_is_up(devices: list[tuple[list[int], bool]]) -> None:
    histories = []
    for number, (times, up_first) in enumerate(devices):
        events = [(at, Kind.CONNECTED if (n % 2 == 0) is up_first else Kind.DISCONNECTED) for n, at in enumerate(times)]
        timeline = fold(events)
        observed: list[Span] = [(timeline.first_seen, None)] if timeline is not None else []
        down = [(outage.start, outage.end) for outage in outages(events)]
        histories.append(msgspec.structs.replace(device(f"d{number}", "a", down), observed=observed))
    group = together(*histories)
    for second in range(62):
        seen = [one for one in histories if any(start <= second for start, _ in one.observed)]
        up = [one for one in seen if not any(s <= second < (e or 99) for s, e in spans(one.outages))]
        down = any(s <= second < (e or 99) for s, e in spans(group.outages))
        assert down == bool(seen and not up)


class Journal:
    def __init__(self, *histories: History) -> None:
        self._histories = histories

    def device_count(self) -> int:
        return len(self._histories)

    def histories(self) -> Iterator[History]:
        return iter(self._histories)

    def blind_intervals(self) -> list[tuple[float, float]]:
        return [(0.0, 50.0)]


def test_a_report_by_group_has_a_row_for_each_pair_that_is_known() -> None:
    journal = Journal(
        device("d1", "a", [(100, 200)]), device("d2", "b", [(150, 300)]), device("d3", "other", [(0, None)])
    )
    groups = Groups(journal, [PAIR, ("nobody", "knows")])
    rows = availability(groups.histories(), blind=groups.blind_intervals(), start=0, end=1050, by="group")
    (row,) = rows
    assert (row.key, row.name, row.engine, row.business_name) == ("a+b", "Kanal a + Kanal b", "wa", "Toko Makmur")
    assert (row.downtime_seconds, row.observed_seconds, row.outages) == (50, 1000, 1)
    assert row.availability_ratio == 0.95


# Counters --------------------------------------------------------------------------------------------------------


def account(sums: Sums | None = None) -> Account:
    return Account(sums or Sums())


def test_the_counters_follow_the_running_outage_by_event_time() -> None:
    found = account()
    found.take(device("g", "a", [(10, 20), (30, None)]), 35.0, lag=1000)
    assert (found.downtime.value(35.5), found.observed.value(35.5)) == (15.5, 35.5)
    assert (found.downtime.value(40.0), found.observed.value(40.0)) == (20.0, 40.0)


def test_planned_time_is_in_neither_counter() -> None:
    found = account()
    found.take(device("g", "a", [(10, None)], planned=[(20, 30)]), 50.0, lag=1000)
    assert (found.downtime.value(50.0), found.observed.value(50.0)) == (30.0, 40.0)


def test_a_correction_that_lowers_the_truth_lets_the_counter_stand_still() -> None:
    found = account()
    found.take(device("g", "a", [(0, None)]), 100.0, lag=1000)
    assert found.downtime.value(100.0) == 100.0
    found.take(device("g", "a", [(0, 40), (90, None)]), 100.0, lag=1000)
    assert found.downtime.value(100.0) == 100.0
    assert found.downtime.value(139.0) == 100.0
    assert found.downtime.value(150.0) == 100.0
    assert found.downtime.value(141.0 + 10) == 101.0


def test_a_restart_exposes_no_less_than_before() -> None:
    before = account()
    before.take(device("g", "a", [(0, None)]), 100.0, lag=10)
    assert before.downtime.value(100.0) == 100.0
    after = account(before.sums())
    after.take(device("g", "a", [(0, None)]), 101.0, lag=10)
    assert after.downtime.value(101.0) == 101.0


def test_what_is_settled_stays_when_retention_drops_its_events() -> None:
    found = account()
    found.take(device("g", "a", [(10, 20), (500, 510)]), 600.0, lag=200)
    found = account(found.sums())
    found.take(device("g", "a", [(500, 510)]), 700.0, lag=200)
    assert (found.downtime.value(700.0), found.observed.value(700.0)) == (20.0, 700.0)


@given(
    st.lists(st.integers(0, 1000), max_size=12).map(lambda times: sorted(set(times))),
    st.lists(st.integers(0, 1200), min_size=1, max_size=6).map(sorted),
    st.integers(0, 500),
)
def test_however_often_the_journal_is_read_the_counter_is_the_truth(
    times: list[int], looks: list[int], lag: int
) -> None:
    pairs = list(zip(times[::2], times[1::2], strict=False))
    found = account()
    for now in looks:
        known = [(start, end if end <= now else None) for start, end in pairs if start <= now]
        found.take(device("g", "a", known), float(now), lag)
        assert found.downtime.value(now) == sum(min(end, now) - start for start, end in pairs if start <= now)
        found = account(found.sums())
