"""The rules of a device's timeline, one case a rule."""

from __future__ import annotations

import pytest

from exporter.domain.timeline import Event, Kind, Outage, Timeline, fold, outages

D, C, F = Kind.DISCONNECTED, Kind.CONNECTED, Kind.FORGOTTEN

CASES: dict[str, tuple[list[Event], Timeline | None, list[Outage]]] = {
    "without events nothing is known": ([], None, []),
    "a first connect is up and observed since then": ([(10, C)], Timeline(10, 10, True, 10, 0, 0), []),
    "a first disconnect is down and observed since then": (
        [(10, D)],
        Timeline(10, 10, False, 10, 1, 0),
        [Outage(10, None)],
    ),
    "an outage lasts from disconnect to connect": (
        [(10, C), (20, D), (50, C)],
        Timeline(10, 50, True, 50, 1, 30),
        [Outage(20, 50)],
    ),
    "a repeated disconnect changes nothing but is the newest event": (
        [(10, D), (20, D)],
        Timeline(10, 20, False, 10, 1, 0),
        [Outage(10, None)],
    ),
    "a repeated connect changes nothing but is the newest event": (
        [(10, C), (20, C)],
        Timeline(10, 20, True, 10, 0, 0),
        [],
    ),
    "both in the second in which an up device is known give a zero-length outage": (
        [(10, C), (20, C), (20, D)],
        Timeline(10, 20, True, 20, 1, 0),
        [Outage(20, 20)],
    ),
    "both in the second in which a down device is known end one outage and begin the next": (
        [(10, D), (20, C), (20, D)],
        Timeline(10, 20, False, 20, 2, 10),
        [Outage(10, 20), Outage(20, None)],
    ),
    "both with nothing known before are a disconnect, then a connect": (
        [(10, C), (10, D)],
        Timeline(10, 10, True, 10, 1, 0),
        [Outage(10, 10)],
    ),
    "the state after a tie is the state before it, so the next disconnect of an up device counts": (
        [(10, C), (20, D), (20, C), (30, D)],
        Timeline(10, 30, False, 30, 2, 0),
        [Outage(20, 20), Outage(30, None)],
    ),
    "two ties in a row while down are three outages": (
        [(10, D), (20, C), (20, D), (30, C), (30, D)],
        Timeline(10, 30, False, 30, 3, 20),
        [Outage(10, 20), Outage(20, 30), Outage(30, None)],
    ),
    "a retried disconnect that arrives after the connect is put where it belongs": (
        [(50, C), (20, D), (10, C)],
        Timeline(10, 50, True, 50, 1, 30),
        [Outage(20, 50)],
    ),
    "a late connect splits an outage in two with a redundant disconnect between": (
        [(10, D), (60, C), (40, D), (30, C)],
        Timeline(10, 60, True, 60, 2, 40),
        [Outage(10, 30), Outage(40, 60)],
    ),
    "a late earlier disconnect starts the observation earlier": (
        [(50, D), (20, D)],
        Timeline(20, 50, False, 20, 1, 0),
        [Outage(20, None)],
    ),
    "duplicates change nothing": (
        [(20, D), (10, C), (20, D), (10, C), (50, C), (50, C)],
        Timeline(10, 50, True, 50, 1, 30),
        [Outage(20, 50)],
    ),
    "forgetting leaves nothing known": ([(10, C), (20, D), (30, F)], None, []),
    "forgetting takes the events of its own second with it": ([(10, C), (30, D), (30, F), (30, C)], None, []),
    "the first event after forgetting starts a new observation": (
        [(10, C), (20, D), (30, F), (40, C)],
        Timeline(40, 40, True, 40, 0, 0),
        [],
    ),
    "a late event from before the forgetting stays forgotten": (
        [(30, F), (40, D), (20, D)],
        Timeline(40, 40, False, 40, 1, 0),
        [Outage(40, None)],
    ),
    "only the last forgetting counts": ([(10, F), (20, D), (30, F), (40, C)], Timeline(40, 40, True, 40, 0, 0), []),
}


@pytest.mark.parametrize(("events", "timeline", "expected"), CASES.values(), ids=CASES.keys())
def test_events_give_the_timeline_and_the_outages(
    events: list[Event], timeline: Timeline | None, expected: list[Outage]
) -> None:
    assert fold(events) == timeline
    assert outages(events) == expected


DOWNTIMES: dict[str, tuple[list[Event], float, float]] = {
    "an up device has its finished outages": ([(10, C), (20, D), (50, C)], 100.0, 30.0),
    "a down device counts on to now": ([(10, C), (20, D)], 50.5, 30.5),
    "a second before an outage that lies ahead counts nothing": ([(10, C), (100, D)], 99.0, 0.0),
    "at the second of the disconnect nothing is down yet": ([(10, D)], 10.0, 0.0),
    "a finished outage ahead of the clock counts whole": ([(10, C), (100, D), (130, C)], 50.0, 30.0),
}


@pytest.mark.parametrize(("events", "now", "seconds"), DOWNTIMES.values(), ids=DOWNTIMES.keys())
def test_downtime_up_to_now(events: list[Event], now: float, seconds: float) -> None:
    timeline = fold(events)
    assert timeline is not None
    assert timeline.downtime(now) == seconds


def test_a_base_keeps_its_totals_and_its_running_outage() -> None:
    base = Timeline(first_seen=10, newest=80, up=False, since=70, outages=5, closed_downtime=33)
    assert fold([(100, C), (120, D)], base) == Timeline(10, 120, False, 120, 6, 63)
    assert outages([(100, C), (120, D)], base) == [Outage(70, 100), Outage(120, None)]


def test_a_base_alone_is_the_answer_when_nothing_came_after_it() -> None:
    base = Timeline(10, 80, True, 80, 5, 33)
    assert fold([], base) == base
    assert outages([], base) == []


def test_forgetting_discards_the_base() -> None:
    base = Timeline(10, 80, False, 70, 5, 33)
    assert fold([(100, F), (120, C)], base) == Timeline(120, 120, True, 120, 0, 0)
    assert outages([(100, F), (120, C)], base) == []
