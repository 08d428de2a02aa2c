"""Backfill's samples against the same families of the running exporter, and its form."""

from __future__ import annotations

import io
import re
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from exporter import conventions as names
from exporter.backfill.labels import parse_labels
from exporter.backfill.states import states
from exporter.backfill.steps import Steps
from exporter.backfill.writer import FAMILY_NAMES, Backfill
from exporter.domain.identity import Identity
from exporter.domain.policy import Policies, Policy
from exporter.domain.timeline import Event, Kind, Outage, fold, outages
from exporter.metrics.policy import PolicyCollector
from exporter.report.history import Blind, History

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

D, C = Kind.DISCONNECTED, Kind.CONNECTED
FLEET_NAMES = (names.FLEET_DEVICES, names.FLEET_DOWNTIME, names.FLEET_OBSERVED, names.FLEET_DISCONNECTS)

POLICY_NAMES = (names.POLICY_ALERT_AFTER, names.POLICY_ESCALATE_AFTER, names.POLICY_OBJECTIVE, names.POLICY_SEVERITY)


def identity(device: str = "d1", engine: str = "wa", business: str = "b1") -> Identity:
    return Identity(device, "Kasir", engine, "c1", "WhatsApp", business, "Toko Makmur", "u1", "Pemilik Toko")


def history_of(events: list[Event], **of: str) -> History:
    timeline = fold(events)
    observed: list[tuple[int, int | None]] = [] if timeline is None else [(timeline.first_seen, None)]
    return History(identity(**of), outages(events), observed)


class FakeSource:
    def __init__(self, *histories: History) -> None:
        self._histories = histories

    def device_count(self) -> int:
        return len(self._histories)

    def histories(self) -> Iterator[History]:
        return iter(self._histories)

    def blind_intervals(self) -> Sequence[Blind]:
        return []


def written(steps: Steps, *histories: History, only: Sequence[str] = FAMILY_NAMES) -> str:
    out = io.BytesIO()
    Backfill(FakeSource(*histories), steps, out).write(only)
    return out.getvalue().decode()


def samples(text: str, name: str) -> dict[tuple[str, int], float]:
    """Return {(labels, time): value} of one sample name."""
    found = re.findall(rf"^{name}(\{{.*\}}) (\S+) (\d+)$", text, re.MULTILINE)
    return {(labels, int(at)): float(value) for labels, value, at in found}


@pytest.mark.parametrize(
    ("window", "times"),
    [
        pytest.param((0, 180, 60), [0, 60, 120], id="the end is not included"),
        pytest.param((1, 180, 60), [60, 120], id="the first step is the first multiple in the window"),
        pytest.param((61, 181, 60), [120, 180], id="both ends between steps"),
        pytest.param((61, 119, 60), [], id="a window between two steps"),
    ],
)
def test_steps_are_multiples_in_the_window(window: tuple[int, int, int], times: list[int]) -> None:
    steps = Steps(*window)
    assert list(steps.times(0, 10**9)) == times
    assert steps.count == len(times)
    assert [steps.index(at) for at in times] == list(range(len(times)))


@pytest.mark.parametrize("window", [(0, 60, 0), (60, 60, 10), (60, 0, 10)])
def test_impossible_steps_are_refused(window: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"step must|window must"):
        Steps(*window)


device_events = st.sets(st.tuples(st.integers(0, 120), st.sampled_from([D, C])), min_size=1, max_size=16)


@given(device_events)
def test_a_state_holds_what_the_timeline_says_at_every_second(events: set[Event]) -> None:
    held = list(states(history_of(list(events))))
    for now in range(-1, 130):
        timeline = fold(event for event in events if event[0] <= now)
        current = [state for state in held if state.at <= now < state.until]
        if timeline is None:
            assert current == []
            continue
        (state,) = current
        assert (state.up, state.since, state.outages) == (timeline.up, timeline.since, timeline.outages)
        assert (state.first_seen, state.downtime(now)) == (timeline.first_seen, timeline.downtime(now))


def test_a_forgotten_device_is_gone_and_starts_again_from_zero() -> None:
    history = History(identity(), [Outage(20, 30), Outage(40, 50)], [(10, 50), (70, None)])
    text = written(Steps(0, 100, 10), history, only=[names.DEVICE_DISCONNECTS])
    values = {at: value for (_, at), value in samples(text, names.DEVICE_DISCONNECTS).items()}
    assert values == {10: 0, 20: 1, 30: 1, 40: 2, 70: 0, 80: 0, 90: 0}


@given(st.lists(device_events, min_size=1, max_size=4), st.integers(1, 25), st.integers(-10, 100))
def test_fleet_sums_are_the_sums_of_the_devices(all_events: list[set[Event]], step: int, start: int) -> None:
    histories = [
        history_of(list(events), device=f"d{number}", engine=("wa", "slack")[number % 2])
        for number, events in enumerate(all_events)
    ]
    steps = Steps(start + 1_000, start + 1_090, step)
    moved = [
        History(
            history.identity,
            [Outage(o.start + 1_000, None if o.end is None else o.end + 1_000) for o in history.outages],
            [(first + 1_000, None) for first, _ in history.observed],
        )
        for history in histories
    ]
    text = written(steps, *moved, only=FLEET_NAMES)
    counted = {name: samples(text, name) for name in FLEET_NAMES}
    for engine in ("wa", "slack"):
        own = [list(states(history)) for history in moved if history.identity.engine == engine]
        labels = f'{{business_id="b1",engine="{engine}"}}'
        for at in steps.times(0, 10**9):
            known = [state for device in own for state in device if state.at <= at < state.until]
            if not known:
                assert (labels, at) not in counted[names.FLEET_DOWNTIME]
                continue
            expected = {
                names.FLEET_DOWNTIME: sum(state.downtime(at) for state in known),
                names.FLEET_OBSERVED: sum(at - state.first_seen for state in known),
                names.FLEET_DISCONNECTS: sum(state.outages for state in known),
            }
            assert {name: counted[name][labels, at] for name in expected} == expected
            down = counted[names.FLEET_DEVICES][f'{labels[:-1]},state="down"}}', at]
            up = counted[names.FLEET_DEVICES][f'{labels[:-1]},state="up"}}', at]
            assert (up, down) == (sum(s.up for s in known), sum(not s.up for s in known))


def test_fleet_sums_leave_planned_windows_out_and_states_do_not() -> None:
    history = History(identity(), [Outage(20, 40), Outage(70, None)], [(10, None)], [(30, 60), (80, None)])
    text = written(Steps(0, 100, 10), history)
    labels = '{business_id="b1",engine="wa"}'
    times = (20, 30, 40, 60, 70, 80, 90)
    downtime, observed = samples(text, names.FLEET_DOWNTIME), samples(text, names.FLEET_OBSERVED)
    assert [downtime[labels, at] for at in times] == [0, 10, 10, 10, 10, 20, 20]
    assert [observed[labels, at] for at in times] == [10, 20, 20, 20, 30, 40, 40]
    down = samples(text, names.FLEET_DEVICES)
    assert [down[f'{labels[:-1]},state="down"}}', at] for at in times] == [1, 1, 0, 0, 1, 1, 1]


def test_what_a_forgotten_device_contributed_stays_in_the_fleets_counters() -> None:
    text = written(Steps(0, 60, 10), History(identity(), [Outage(12, 17)], [(10, 30)]))
    labels = '{business_id="b1",engine="wa"}'
    assert samples(text, names.FLEET_DOWNTIME)[labels, 50] == 5
    assert samples(text, names.FLEET_OBSERVED)[labels, 50] == 20
    assert samples(text, names.FLEET_DEVICES)[f'{labels[:-1]},state="up"}}', 50] == 0


def test_finished_outages_are_counted_where_they_end() -> None:
    text = written(
        Steps(0, 1_000, 100), History(identity(), [Outage(10, 20), Outage(50, 350), Outage(900, None)], [(0, None)])
    )
    ten, inf = '{engine="wa",le="10.0"}', '{engine="wa",le="+Inf"}'
    buckets = samples(text, "fleet_outage_duration_seconds_bucket")
    assert [buckets[ten, at] for at in (0, 100, 400)] == [0, 1, 1]
    assert [buckets[inf, at] for at in (0, 300, 400, 900)] == [0, 1, 2, 2]
    assert samples(text, "fleet_outage_duration_seconds_sum")['{engine="wa"}', 400] == 310
    assert samples(text, "fleet_outage_duration_seconds_count")['{engine="wa"}', 400] == 2


def test_a_device_forgotten_while_down_has_no_finished_outage() -> None:
    text = written(Steps(0, 60, 10), History(identity(), [Outage(12, 30)], [(10, 30)]))
    assert samples(text, "fleet_outage_duration_seconds_count")['{engine="wa"}', 50] == 0


def test_the_text_is_openmetrics_as_its_reference_parser_reads_it() -> None:
    hostile = Identity('d"1', "Kasir\n\\", "wa", "c1", "WhatsApp", "b1", "Toko Makmur", "u1", "Pemilik Toko")
    histories = [
        History(hostile, [Outage(1_020, 1_300)], [(1_000, None)]),
        history_of([(1_100, C), (1_200, D)], device="d2", business="b2"),
    ]
    plain = [name for name in FAMILY_NAMES if name != names.FLEET_OUTAGE_DURATION]
    texts = [
        written(Steps(1_000, 2_000, 60), *histories, only=plain),
        # one time: of a histogram's later times this parser keeps the first bucket alone
        written(Steps(1_980, 2_000, 60), *histories, only=[names.FLEET_OUTAGE_DURATION]),
    ]
    families = {family.name: family for text in texts for family in text_string_to_metric_families(text)}
    assert families.keys() == {name.removesuffix("_total") for name in FAMILY_NAMES}
    assert {s.labels["device_id"] for s in families["device_up"].samples} == {'d"1', "d2"}
    assert {s.labels["device_name"] for s in families["device_info"].samples} == {"Kasir\n\\", "Kasir"}


def test_only_the_families_asked_for_are_written() -> None:
    text = written(Steps(0, 60, 10), history_of([(0, C)]), only=[names.FLEET_DEVICES, names.DEVICE_UP])
    assert re.findall(r"^# TYPE (\S+)", text, re.MULTILINE) == [names.DEVICE_UP, names.FLEET_DEVICES]
    assert text.endswith("# EOF\n")


def test_the_policy_of_today_stands_at_every_step_as_the_exporter_exposes_it() -> None:
    policies = Policies(
        {"default": Policy(), "wa": Policy(alert_after=90.5, severity="critical", escalate_after=0.0, objective=99.5)}
    )
    histories = [history_of([(0, C)], device="d1"), history_of([(0, C)], device="d2", engine="slack")]
    out = io.BytesIO()
    Backfill(FakeSource(*histories), Steps(0, 180, 60), out, policies=policies).write(POLICY_NAMES)
    exposed = PolicyCollector(lambda: policies, lambda: ["slack"], lambda: "UTC").collect()
    expected = {
        (sample.name, tuple(sorted(sample.labels.items())), at): sample.value
        for family in exposed
        if family.name in POLICY_NAMES
        for sample in family.samples
        for at in (0, 60, 120)
    }
    found = {
        (sample.name, tuple(sorted(sample.labels.items())), float(sample.timestamp)): sample.value
        for family in text_string_to_metric_families(out.getvalue().decode())
        for sample in family.samples
    }
    assert found == expected


def test_added_labels_stand_on_every_sample() -> None:
    out = io.BytesIO()
    history = History(identity(), [Outage(10, 20)], [(0, None)])
    labels = {"job": "device-exporter", "instance": 'a"b:9877'}
    Backfill(FakeSource(history), Steps(0, 60, 60), out, labels=labels).write()
    lines = [line for line in out.getvalue().decode().splitlines() if not line.startswith("#")]
    assert len(lines) > len(FAMILY_NAMES)
    for line in lines:
        assert 'instance="a\\"b:9877"' in line
        assert 'job="device-exporter"' in line
    assert 'device_up{business_id="b1",channel_id="c1",device_id="d1",engine="wa",instance=' in lines[0]


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        pytest.param(["job"], "name=value", id="no value"),
        pytest.param(["job="], "name=value", id="an empty value is no label"),
        pytest.param(["my-job=a"], "name=value", id="a dash in the name"),
        pytest.param(["__name__=a"], "name=value", id="a name that Prometheus keeps for itself"),
        pytest.param(["engine=wa"], "already", id="a label that the families have"),
        pytest.param(["job=a", "job=b"], "already", id="the same label twice"),
    ],
)
def test_impossible_labels_are_refused(pairs: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_labels(pairs)


def test_a_labels_value_may_hold_an_equals_sign() -> None:
    assert parse_labels(["job=a", "path=b=c"]) == {"job": "a", "path": "b=c"}


class Sink(io.RawIOBase):
    """Takes bytes and keeps none."""

    def write(self, data: object, /) -> int:
        return len(data)  # type: ignore[arg-type]


@pytest.mark.slow  # to trace memory costs much
def test_memory_does_not_grow_with_the_window() -> None:
    source = FakeSource(history_of([(0, C), (500, D), (700, C)]))

    def peak(days: int) -> int:
        tracemalloc.start()
        Backfill(source, Steps(0, days * 86_400, 60), Sink()).write()  # type: ignore[arg-type]
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(2)  # what is loaded at the first use does not count
    assert peak(15) < 1.1 * peak(5)  # both hold several pieces
