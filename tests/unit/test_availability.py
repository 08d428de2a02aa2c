"""The account of availability: every edge of the window, of blind time and of planned maintenance."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.domain.identity import Identity
from exporter.domain.timeline import Outage
from exporter.report.availability import Row, availability
from exporter.report.history import History

START, END = 1_000, 2_000
DAY = 86_400


def identity(device: str = "d1", engine: str = "wa", channel: str = "c1", business: str = "b1") -> Identity:
    return Identity(
        device, f"Device {device}", engine, channel, f"Channel {channel}", business, f"Toko {business}", "u", "U"
    )


def history(
    *outages: tuple[int, int | None],
    observed: list[tuple[int, int | None]] | None = None,
    planned: tuple[tuple[int, int | None], ...] = (),
    blind: tuple[tuple[int, int], ...] = (),
    reasons: dict[int, str] | None = None,
    **of: str,
) -> History:
    spans = observed if observed is not None else [(0, None)]
    found = [Outage(start, end) for start, end in outages]
    return History(identity(**of), found, spans, list(planned), list(blind), reasons or {})


def one(*histories: History, **options: Any) -> Row:
    rows = availability(histories, **{"blind": [], "start": START, "end": END, "by": "engine"} | options)
    assert len(rows) == 1
    return rows[0]


CASES: dict[str, tuple[History, dict[str, Any], dict[str, Any]]] = {
    "an up device was available all the time": (
        history(),
        {},
        {
            "availability_ratio": 1.0,
            "downtime_seconds": 0,
            "observed_seconds": 1000,
            "outages": 0,
            "longest_seconds": 0,
        },
    ),
    "without outages there is no mean time": (history(), {}, {"mttr_seconds": None, "mtbf_seconds": None}),
    "an outage inside the window counts whole": (
        history((1_100, 1_200)),
        {},
        {
            "availability_ratio": 0.9,
            "downtime_seconds": 100,
            "outages": 1,
            "longest_seconds": 100,
            "mttr_seconds": 100,
            "mtbf_seconds": 900,
        },
    ),
    "only the part inside the window is downtime of an outage that began before": (
        history((900, 1_100)),
        {},
        {"downtime_seconds": 100, "outages": 0, "longest_seconds": 200, "mttr_seconds": 200, "mtbf_seconds": None},
    ),
    "an outage that ends after the window is not repaired in it": (
        history((1_900, 2_500)),
        {},
        {"downtime_seconds": 100, "outages": 1, "longest_seconds": 100, "mttr_seconds": None, "mtbf_seconds": 900},
    ),
    "a running outage counts up to the end": (
        history((1_900, None)),
        {},
        {"downtime_seconds": 100, "outages": 1, "longest_seconds": 100, "mttr_seconds": None},
    ),
    "an outage over the whole window leaves nothing available": (
        history((900, 2_500)),
        {},
        {"availability_ratio": 0.0, "downtime_seconds": 1000, "outages": 0},
    ),
    "an outage that begins at the start belongs to the window": (history((START, 1_010)), {}, {"outages": 1}),
    "an outage that begins at the end belongs to the next window": (
        history((END, 2_010)),
        {},
        {"outages": 0, "downtime_seconds": 0, "longest_seconds": 0},
    ),
    "an outage that ends at the start is repaired in this window": (
        history((900, START)),
        {},
        {"outages": 0, "downtime_seconds": 0, "mttr_seconds": 100},
    ),
    "an outage that ends at the end is repaired in the next window": (
        history((1_900, END)),
        {},
        {"outages": 1, "downtime_seconds": 100, "mttr_seconds": None},
    ),
    "a zero-length outage counts as an outage without downtime": (
        history((1_500, 1_500)),
        {},
        {"outages": 1, "downtime_seconds": 0, "availability_ratio": 1.0, "mttr_seconds": 0, "mtbf_seconds": 1000},
    ),
    "a device is observed from its first event on": (
        history((1_800, 1_900), observed=[(1_500, None)]),
        {},
        {"observed_seconds": 500, "availability_ratio": 0.8},
    ),
    "a forgotten device is observed until then": (
        history(observed=[(0, 1_250)]),
        {},
        {"observed_seconds": 250, "availability_ratio": 1.0},
    ),
    "a device forgotten while down was not repaired": (
        history((1_200, 1_250), observed=[(0, 1_250)]),
        {},
        {"downtime_seconds": 50, "outages": 1, "mttr_seconds": None, "longest_seconds": 50},
    ),
    "an outage that stands open ends when the device is forgotten": (
        history((1_200, None), observed=[(0, 1_250)]),
        {},
        {"downtime_seconds": 50, "observed_seconds": 250, "longest_seconds": 50},
    ),
    "a device that came back after it was forgotten has two spans": (
        history((1_700, 1_800), observed=[(0, 1_100), (1_600, None)]),
        {},
        {"observed_seconds": 500, "downtime_seconds": 100, "availability_ratio": 0.8},
    ),
    "blind time is neither up nor down": (
        history((1_100, 1_300)),
        {"blind": [(1_200, 1_400)]},
        {"observed_seconds": 800, "downtime_seconds": 100, "blind_seconds": 200, "availability_ratio": 0.875},
    ),
    "blind time of the device alone counts like the exporter's, once where both are": (
        history((1_100, 1_300), blind=[(1_200, 1_400)]),
        {"blind": [(1_350, 1_450)]},
        {"observed_seconds": 750, "downtime_seconds": 100, "blind_seconds": 250},
    ),
    "reasons are those of the outages that began in the window": (
        history((900, 1_100), (1_200, 1_300), (1_400, 1_500), reasons={900: "banned", 1_200: "logged_out"}),
        {},
        {"outages": 2, "reasons": {"logged_out": 1}},
    ),
    "an outage across blind time keeps its length from event to event": (
        history((1_100, 1_300)),
        {"blind": [(1_150, 1_200)]},
        {"downtime_seconds": 150, "longest_seconds": 200, "mttr_seconds": 200, "outages": 1},
    ),
    "an outage wholly in blind time is left out": (
        history((1_250, 1_300), (1_350, 1_350)),
        {"blind": [(1_200, 1_400)]},
        {"outages": 0, "longest_seconds": 0, "mttr_seconds": None, "availability_ratio": 1.0},
    ),
    "a zero-length outage at the end of blind time counts": (
        history((1_400, 1_400)),
        {"blind": [(1_200, 1_400)]},
        {"outages": 1},
    ),
    "overlapping blind intervals in any order count once": (
        history(),
        {"blind": [(1_300, 1_400), (1_200, 1_350), (100, 200)]},
        {"blind_seconds": 200, "observed_seconds": 800},
    ),
    "blind time outside the observation is not the device's": (
        history(observed=[(1_500, None)]),
        {"blind": [(1_400, 1_600)]},
        {"blind_seconds": 100, "observed_seconds": 400},
    ),
    "when all is blind the ratio is unknown": (
        history((1_100, 1_200)),
        {"blind": [(0, 3_000)]},
        {"availability_ratio": None, "observed_seconds": 0, "downtime_seconds": 0, "blind_seconds": 1000, "outages": 0},
    ),
    "planned maintenance is neither up nor down": (
        history((1_100, 1_300), planned=((1_200, 1_400),)),
        {},
        {"observed_seconds": 800, "downtime_seconds": 100, "planned_seconds": 200, "blind_seconds": 0},
    ),
    "time that is blind and planned counts as blind": (
        history(planned=((1_200, 1_400),)),
        {"blind": [(1_300, 1_500)]},
        {"observed_seconds": 700, "planned_seconds": 100, "blind_seconds": 200},
    ),
    "a window that runs counts up to the end": (
        history((1_900, None), planned=((1_800, None),)),
        {},
        {"observed_seconds": 800, "downtime_seconds": 0, "planned_seconds": 200, "outages": 0},
    ),
    "fractions of a second of blind time are kept": (
        history(),
        {"blind": [(1_000.25, 1_000.75)]},
        {"blind_seconds": 0.5, "observed_seconds": 999.5},
    ),
    "without an objective there is no budget": (
        history((1_100, 1_200)),
        {},
        {"objective_ratio": None, "budget_left_ratio": None, "budget_left_seconds": None},
    ),
    "half the budget is left": (
        history((1_100, 1_150)),
        {"objective": lambda _: 0.9},
        {"objective_ratio": 0.9, "budget_left_ratio": 0.5, "budget_left_seconds": 50},
    ),
    "an overspent budget is negative": (
        history((1_100, 1_300)),
        {"objective": lambda _: 0.9},
        {"budget_left_ratio": -1.0, "budget_left_seconds": -100},
    ),
    "an objective of 100 percent has no budget to share out": (
        history((1_100, 1_150)),
        {"objective": lambda _: 1.0},
        {"objective_ratio": 1.0, "budget_left_ratio": None, "budget_left_seconds": -50},
    ),
}


@pytest.mark.parametrize(("device", "options", "expected"), CASES.values(), ids=CASES.keys())
def test_one_device(device: History, options: dict[str, Any], expected: dict[str, Any]) -> None:
    row = one(device, **options)
    assert {name: getattr(row, name) for name in expected} == {
        name: pytest.approx(value) if isinstance(value, float) else value for name, value in expected.items()
    }


def test_a_row_sums_its_devices_and_weighs_them_by_observed_time() -> None:
    row = one(history((1_100, 1_200)), history(device="d2", observed=[(1_500, None)]))
    assert (row.devices, row.observed_seconds, row.downtime_seconds) == (2, 1_500, 100)
    assert row.availability_ratio == pytest.approx(1 - 100 / 1_500)


def test_mttr_weighs_outages_and_mtbf_counts_all_uptime() -> None:
    row = one(history((1_100, 1_200), (1_300, 1_310)), history((1_500, 1_570), device="d2"))
    assert row.mttr_seconds == pytest.approx((100 + 10 + 70) / 3)
    assert row.mtbf_seconds == pytest.approx((2_000 - 180) / 3)
    assert row.longest_seconds == 100


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("engine", ["slack", "wa"]),
        ("business", ["b1", "b2"]),
        ("channel", ["c1", "c2", "c3"]),
        ("device", ["d1", "d2", "d3"]),
    ],
)
def test_rows_stand_in_the_order_of_their_keys(by: str, keys: list[str]) -> None:
    histories = [
        history(device="d3", channel="c3", business="b1", engine="slack"),
        history(device="d1", channel="c1", business="b2"),
        history(device="d2", channel="c2", business="b1"),
    ]
    rows = availability(histories, blind=[], start=START, end=END, by=by)
    assert [row.key for row in rows] == keys


def test_a_row_names_its_engine_and_business_only_where_all_devices_share_it() -> None:
    histories = [history(), history(device="d2", engine="slack")]
    by_business = one(*histories, by="business")
    assert (by_business.name, by_business.engine, by_business.business_name) == ("Toko b1", None, "Toko b1")


def test_objectives_of_several_engines_are_weighted_by_observed_time() -> None:
    row = one(
        history((1_100, 1_160)),
        history(device="d2", engine="slack", observed=[(1_500, None)]),
        by="business",
        objective={"wa": 0.9, "slack": 0.96}.get,
    )
    assert row.budget_left_seconds == pytest.approx(100 + 20 - 60)
    assert row.budget_left_ratio == pytest.approx(0.5)
    assert row.objective_ratio == pytest.approx(1 - 120 / 1_500)


def test_a_device_that_the_window_does_not_know_has_no_row() -> None:
    histories = [history(observed=[(END, None)]), history(observed=[(0, START)]), history(observed=[])]
    assert availability(histories, blind=[], start=START, end=END, by="device") == []


@pytest.mark.parametrize("end", [START, START - 1])
def test_an_empty_window_is_refused(end: int) -> None:
    with pytest.raises(ValueError, match="must end after it starts"):
        availability([], blind=[], start=START, end=end, by="engine")


def test_an_unknown_key_is_refused_with_the_allowed_ones() -> None:
    with pytest.raises(ValueError, match="allowed: engine, business, channel, device"):
        availability([], blind=[], start=START, end=END, by="city")


points = st.integers(START - 20, START + 80)
spans = st.lists(st.tuples(points, points).map(lambda pair: (min(pair), max(pair))), max_size=5)


@st.composite
def histories(draw: st.DrawFn) -> History:
    edges = sorted(draw(st.lists(points, min_size=1, max_size=9)))
    outages = [Outage(start, end) for start, end in itertools.zip_longest(edges[::2], edges[1::2])]
    return History(identity(), outages, [(draw(st.integers(START - 30, edges[0])), None)])


@given(histories(), spans, spans)
def test_the_sums_agree_with_looking_at_every_second(
    device: History, blind: list[tuple[int, int]], planned: list[tuple[int, int]]
) -> None:
    end = START + 50
    device = msgspec.structs.replace(device, planned=planned)
    rows = availability([device], blind=blind, start=START, end=end, by="device")
    observed = down = blind_seconds = planned_seconds = 0
    for second in range(max(START, device.observed[0][0]), end):
        if any(a <= second < b for a, b in blind):
            blind_seconds += 1
        elif any(a <= second < b for a, b in planned):
            planned_seconds += 1
        else:
            observed += 1
            down += any(o.start <= second and (o.end is None or second < o.end) for o in device.outages)
    if not rows:
        assert device.observed[0][0] >= end
        return
    (row,) = rows
    assert (row.observed_seconds, row.downtime_seconds) == (observed, down)
    assert (row.blind_seconds, row.planned_seconds) == (blind_seconds, planned_seconds)


@given(histories(), spans, st.integers(START + 1, START + 49))
def test_two_windows_side_by_side_add_up_to_the_whole(
    device: History, blind: list[tuple[int, int]], middle: int
) -> None:
    end = START + 50
    windows = [(START, end), (START, middle), (middle, end)]
    whole, first, second = (
        availability([device], blind=blind, start=start, end=stop, by="device") for start, stop in windows
    )
    for name in ("observed_seconds", "downtime_seconds", "blind_seconds"):
        assert sum(getattr(row, name) for row in whole) == sum(getattr(row, name) for row in [*first, *second])
