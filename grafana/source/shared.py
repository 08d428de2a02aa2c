"""Names of values, and the few panels that several dashboards show."""

from __future__ import annotations

from typing import Final

from grafana.source import exporter_queries as e
from grafana.source import panels as p
from grafana.source import queries as q

YES_NO: Final = {"0": ("no", p.BAD), "1": ("yes", p.GOOD)}
UP_DOWN: Final = {"0": ("down", p.BAD), "1": ("connected", p.GOOD)}
WARN_IF: Final = {"0": ("no", ""), "1": ("yes", p.WARN)}
BAD_IF: Final = {"0": ("no", ""), "1": ("yes", p.BAD)}
IN_OUT: Final = {"0": ("no", ""), "1": ("yes", p.CALM)}
BLIND_STEPS: Final = ((None, p.IDLE), (0, p.GOOD), (0.001, p.WARN))


def conversations_affected() -> p.Panel:
    return p.stat(
        "Conversations affected",
        "Conversations that were active on the channels of the devices that are down, at the time they went down.",
        [p.Query(q.conversations_affected_now())],
        "short",
        steps=p.ANY_IS_ODD,
        empty="Unknown",
    )


def alerts_not_delivered() -> p.Panel:
    return p.stat(
        "Alerts not delivered",
        "Devices down past their threshold whose direct alert no Alertmanager has acknowledged.",
        [p.Query(q.past_threshold(0))],
        "short",
        steps=p.ANY_IS_BAD,
        empty="Unknown",
    )


def last_event(size: tuple[int, int] = (4, 4)) -> p.Panel:
    return p.stat(
        "Last event heard",
        "Time since the exporter last received a webhook. A quiet fleet can be silent for long; an alert watches.",
        [p.Query(e.heard_ago())],
        p.DURATION,
        empty="Nothing heard yet",
        size=size,
    )


def unknown_time(size: tuple[int, int] = (4, 4)) -> p.Panel:
    return p.stat(
        "Unknown time",
        "Time within the dashboard's range in which the exporter was blind: what happened then is not known.",
        [p.Query(e.blind(q.RANGE))],
        p.DURATION,
        steps=BLIND_STEPS,
        size=size,
        empty="Unknown",
    )
