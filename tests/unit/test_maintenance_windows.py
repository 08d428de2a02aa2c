"""When windows hold: single and repeated ones, overlaps, and the days on which clocks are changed."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.config.schema import Match
from exporter.domain.identity import Identity
from exporter.lib.cron import parse_cron
from exporter.maintenance import repeated as repeated_module
from exporter.maintenance.windows import Schedule, Span, Window

HOUR = 3600
DEVICE = Identity("d1", "Kasir", "wa", "c1", "WhatsApp", "b1", "Toko Makmur", "u1", "Pemilik")


def at(text: str, zone: str = "Asia/Jakarta", fold: int = 0) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp())


def single(start: int, end: int, **match: str) -> Window:
    return Window(Match(**match), "UTC", start_at=start, end_at=end)


def repeated(cron: str, hours: float, zone: str = "Asia/Jakarta") -> Window:
    return Window(Match(), zone, cron=cron, duration=hours * HOUR)


NIGHTS = {
    "Jakarta never changes its clocks": (
        ("Asia/Jakarta", "0 2 * * 0", 2),
        ("2026-03-28 00:00", ["2026-03-29T02:00:00+07:00", "2026-04-05T02:00:00+07:00"]),
    ),
    "Berlin in spring: 02:30 is skipped and becomes 03:30": (
        ("Europe/Berlin", "30 2 * * *", 1),
        ("2026-03-28 00:00", ["2026-03-28T02:30+01:00", "2026-03-29T03:30+02:00", "2026-03-30T02:30+02:00"]),
    ),
    "Berlin in autumn: of 02:30 and 02:30 the first": (
        ("Europe/Berlin", "30 2 * * *", 1),
        ("2026-10-24 00:00", ["2026-10-24T02:30+02:00", "2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]),
    ),
    "New York in spring": (
        ("America/New_York", "15 2 * * *", 1),
        ("2026-03-07 00:00", ["2026-03-07T02:15-05:00", "2026-03-08T03:15-04:00", "2026-03-09T02:15-04:00"]),
    ),
    "New York in autumn": (
        ("America/New_York", "45 1 * * *", 1),
        ("2026-10-31 00:00", ["2026-10-31T01:45-04:00", "2026-11-01T01:45-04:00", "2026-11-02T01:45-05:00"]),
    ),
}


@pytest.mark.parametrize(("window", "expected"), NIGHTS.values(), ids=NIGHTS)
def test_a_repeated_window_starts_when_the_clock_on_the_wall_says(
    window: tuple[str, str, float], expected: tuple[str, list[str]]
) -> None:
    zone, cron, hours = window
    time, starts = float(at(expected[0], zone)), []
    for _ in expected[1]:
        span = repeated(cron, hours, zone).span(time)
        assert span is not None
        assert span.end - span.start == hours * HOUR
        starts.append(span.start)
        time = span.end
    assert starts == [int(datetime.fromisoformat(text).timestamp()) for text in expected[1]]


def test_a_window_over_the_change_of_the_clocks_lasts_as_long_as_any_other() -> None:
    span = repeated("0 1 * * *", 3, "Europe/Berlin").span(at("2026-03-29 00:00", "Europe/Berlin"))
    assert span is not None
    assert datetime.fromtimestamp(span.end, ZoneInfo("Europe/Berlin")).hour == 5  # 01:00 and three hours, one skipped


def test_in_the_hour_that_comes_twice_a_window_is_not_begun_again() -> None:
    window = repeated("0 2 * * *", 0.5, "Europe/Berlin")
    second = at("2026-10-25 02:10", "Europe/Berlin", fold=1)
    span = window.span(second)
    assert span is not None
    assert span.start > second + 20 * HOUR


EDGES = {
    "before": (99, None),
    "in its first second": (100, 200),
    "in its last second": (199, 200),
    "at its end": (200, None),
}


@pytest.mark.parametrize(("time", "until"), EDGES.values(), ids=EDGES)
def test_a_window_holds_from_its_start_up_to_its_end(time: int, until: int | None) -> None:
    schedule = Schedule([("1", single(100, 200))])
    assert schedule.planned_until(DEVICE, time) == until
    assert [window.start_at for window in schedule.active(time)] == ([] if until is None else [100])


MATCHES = {
    "no field is every device": ({}, True),
    "the device": ({"device_id": "d1"}, True),
    "another device": ({"device_id": "d2"}, False),
    "the channel": ({"channel_id": "c1"}, True),
    "the business": ({"business_id": "b1"}, True),
    "another engine": ({"engine": "telegram"}, False),
    "all given fields must be equal": ({"engine": "wa", "business_id": "b2"}, False),
}


@pytest.mark.parametrize(("match", "expected"), MATCHES.values(), ids=MATCHES)
def test_which_devices_a_window_is_about(match: dict[str, str], expected: bool) -> None:
    assert single(0, 1, **match).holds(DEVICE) is expected


def test_windows_that_touch_are_one_for_those_that_both_are_about() -> None:
    schedule = Schedule(
        [("1", single(100, 200)), ("2", single(200, 300, engine="wa")), ("3", single(300, 400, engine="x"))]
    )
    assert schedule.planned_until(DEVICE, 150) == 300


def test_occurrences_that_overlap_are_one_window() -> None:
    start = at("2026-01-01 00:00")
    assert repeated("0 0,1 * * *", 2).span(start) == Span(start, start + 3 * HOUR)


def test_a_window_that_never_ends_is_no_endless_loop() -> None:
    span = repeated("* * * * *", 1).span(at("2026-01-01 00:00"))
    assert span is not None
    assert span.end > span.start + HOUR


def test_boundaries_come_in_order_and_the_first_is_not_part_of_them() -> None:
    schedule = Schedule([("1", single(100, 200)), ("2", single(150, 250))])
    assert list(schedule.boundaries(100, 250)) == [150, 200, 250]
    assert list(schedule.boundaries(0, 99)) == []
    assert (schedule.next_boundary(0), schedule.next_boundary(100), schedule.next_boundary(250)) == (100, 150, None)


def test_a_look_into_the_past_and_back_changes_no_answer() -> None:
    schedule, start = Schedule([("1", repeated("*/10 * * * *", 1 / 12))]), at("2026-01-01 00:00")
    for time in (start, start + 601, start + 1300, start + 30 * 86_400, start, start + 601):
        assert schedule.span("1", time) == repeated("*/10 * * * *", 1 / 12).span(time)


def test_boundaries_go_on_while_others_ask_for_other_times() -> None:
    schedule, start = Schedule([("1", repeated("0 * * * *", 0.5))]), at("2026-01-01 00:00")
    found = []
    for time in schedule.boundaries(start, start + 3 * HOUR):
        found.append((time - start) / HOUR)
        schedule.active(start - 100 * HOUR)
        schedule.active(start + 10_000 * HOUR)
    assert found == [0.5, 1, 1.5, 2, 2.5, 3]


ENDLESS = {
    "every minute for two": ("* * * * *", 1 / 30),
    "every minute for a year": ("* * * * *", 365 * 24),
    "every day for a month": ("0 0 * * *", 30 * 24),
}


@pytest.mark.parametrize(("cron", "hours"), ENDLESS.values(), ids=ENDLESS)
@pytest.mark.parametrize("zone", ["Asia/Jakarta", "Europe/Berlin"])
def test_what_touches_is_one_span_after_the_other_without_a_gap(zone: str, cron: str, hours: float) -> None:
    now = at("2026-04-10 12:00", zone)
    found = list(itertools.islice(repeated(cron, hours, zone).spans(now), 20))
    assert found[0].start <= now
    assert all(one.end == two.start for one, two in itertools.pairwise(found))
    assert found[-1].end > now + 19 * 8 * 24 * HOUR


def test_no_expression_takes_more_looks_than_a_day_has_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = itertools.count()
    whole = repeated_module._instant
    monkeypatch.setattr(repeated_module, "_instant", lambda *args: (next(looks), whole(*args))[1])
    for zone, cron, hours in itertools.product(
        ("Asia/Jakarta", "Europe/Berlin"), ("* * * * *", "0 2 29 2 *", "*/2 * * * *"), (1 / 60, 1, 1000)
    ):
        repeated(cron, hours, zone).span(at("2026-10-20 12:00", zone))
    assert next(looks) < 18 * 1500


ZONES = ["Asia/Jakarta", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"]


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(ZONES),
    st.sampled_from(["30 2 * * *", "*/20 * * * *", "0 1-3 * * 0", "15 0,3 * * *", "10 23 */2 * 1-5", "0 0 1,15 * sat"]),
    st.sampled_from([60, 1200, 5400, 100_000]),
    st.integers(at("2026-01-01 00:00"), at("2027-12-31 00:00")),
)
def test_the_spans_are_the_occurrences_that_the_clock_on_the_wall_shows(
    zone: str, cron: str, duration: int, time: int
) -> None:
    expression, place = parse_cron(cron), ZoneInfo(zone)
    first = datetime.fromtimestamp(time, place).replace(tzinfo=None) - timedelta(days=4)
    minutes = [first.replace(second=0, microsecond=0) + timedelta(minutes=number) for number in range(8 * 1440)]
    shown = [
        int(minute.replace(tzinfo=place).timestamp())
        for minute in minutes
        if minute.month in expression.months
        and expression.falls_on(minute.date())
        and minute.hour * 60 + minute.minute in expression.minutes
    ]
    for moment in range(time, time + 2 * 86_400, 3600):
        inside = any(start <= moment < start + duration for start in shown)
        span = Window(Match(), zone, cron=cron, duration=duration).span(moment)
        assert span is not None
        assert (span.start <= moment) is inside
        assert span.end > moment
