"""Panels that several dashboards show."""

from __future__ import annotations

from typing import Final

from exporter import conventions as c
from grafana.source import page as pages
from grafana.source import panels as p
from grafana.source import queries as q
from grafana.source import slo_queries as s
from grafana.source import tables as t

YES_NO: Final = {"0": ("no", p.BAD), "1": ("yes", p.GOOD)}
UP_DOWN: Final = {"0": ("down", p.BAD), "1": ("connected", p.GOOD)}
WARN_IF: Final = {"0": ("no", ""), "1": ("yes", p.WARN)}
BAD_IF: Final = {"0": ("no", ""), "1": ("yes", p.BAD)}
IN_OUT: Final = {"0": ("no", ""), "1": ("yes", p.CALM)}
BLIND_STEPS: Final = ((None, p.IDLE), (0, p.GOOD), (0.001, p.WARN))
NOT_PER_BUSINESS: Final = "Follows the engine, not the business."


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
        [p.Query(q.heard_ago())],
        "s",
        decimals=0,
        empty="Nothing heard yet",
        size=size,
    )


def unknown_time(size: tuple[int, int] = (4, 4)) -> p.Panel:
    return p.stat(
        "Unknown time",
        "Time within the dashboard's range in which the exporter was blind: what happened then is not known.",
        [p.Query(q.blind(q.RANGE))],
        "s",
        steps=BLIND_STEPS,
        decimals=1,
        size=size,
        empty="Unknown",
    )


def running_outages(title: str, about: str, language: str) -> p.Panel:
    return t.table(
        title,
        about,
        [
            p.Query(q.named(q.longest_down())),
            p.Query(q.down_since()),
            p.Query(q.of_each_longest_down(c.DEVICE_AFFECTED_CONVERSATIONS)),
            p.Query(q.of_each_longest_down(c.DEVICE_ALERT_DELIVERED)),
            p.Query(q.of_each_longest_down(c.DEVICE_MAINTENANCE)),
        ],
        [
            t.Column("device_name", "Device", link=pages.to_device(language), width=300),
            t.Column("business_name", "Business"),
            t.Column("engine", "Engine", width=110),
            t.Column("channel_name", "Channel"),
            t.Column("Value #B", "Since", "dateTimeAsIsoNoDateIfToday", width=170),
            t.Column("Value #A", "Down for", "s", decimals=1, width=165),
            t.Column("Value #C", "Conversations", "short", decimals=0, width=130),
            t.Column("Value #D", "Alert delivered", mapping=YES_NO, width=160),
            t.Column("Value #E", "Maintenance", mapping=IN_OUT, width=130),
            t.Column("device_id", "Device id", link=pages.to_incidents(), width=150),
        ],
        size=(24, 8),
        empty="No device is known to be down",
        sort=("Down for", True),
        join="device_id",
    )


def availability_by_engine() -> p.Panel:
    no_objective = f"{s.availability('engine', '30d')} unless on (engine) {s.objective()}"
    return p.stat(
        "Availability by engine",
        "Connected share of the observed time of the last 30 days. Green meets the policy's objective, red misses it, "
        "blue has none.",
        [
            p.Query(s.meets_objective("engine", "30d", met=True), "{{engine}}", color=p.GOOD),
            p.Query(s.meets_objective("engine", "30d", met=False), "{{engine}}", color=p.BAD),
            p.Query(no_objective, "{{engine}}", color=p.CALM),
        ],
        "percentunit",
        size=(14, 8),
        decimals=3,
        named=True,
    )


def budget_by_engine() -> p.Panel:
    return t.ranking(
        "Error budget left",
        "Share of the downtime that the objective allows within 30 days and that is still unused, by engine.",
        p.Query(s.budget_left("engine")),
        [t.Column("engine", "Engine", width=120)],
        t.Column("Value", "Budget left", "percentunit", decimals=1, steps=p.BUDGET, bar=(0, 1)),
        size=(10, 8),
        empty="No devices observed yet",
        descending=False,
    )


def downtime_by_channel() -> p.Panel:
    return t.ranking(
        "Downtime by channel",
        "The ten channels with the most downtime within the dashboard's time range, all devices summed.",
        p.Query(q.downtime_by_channel()),
        [t.Column("channel_name", "Channel"), t.Column("business_name", "Business")],
        t.Column("Value", "Downtime", "s", decimals=1, steps=((None, p.CALM),), bar=(0, None)),
        size=(12, 10),
        empty="No downtime in this range",
    )


def availability_of_a_day(size: tuple[int, int] = (12, 8)) -> p.Panel:
    return p.lines(
        "Availability of a day",
        "Availability of the 24 hours before each point, by engine; dashed: the policy's objective.",
        [
            p.Query(s.availability("engine", "1d"), "{{engine}}"),
            p.Query(s.objective(), "objective {{engine}}", dashed=True),
        ],
        "percentunit",
        least=None,
        most=1,
        decimals=2,
        size=size,
    )


def outages_a_day() -> p.Panel:
    return p.lines(
        "Outages a day",
        "Outages that began within the 24 hours (days of UTC) before each bar's end. Exact: short ones too.",
        [p.Query(q.outages_by_engine("1d"), "{{engine}}", step="1d")],
        "short",
        bars=True,
        stacked=True,
        decimals=0,
        span="30d",
    )


def outages_by_duration() -> p.Panel:
    return p.heatmap(
        "Outages a day by duration",
        f"Outages that finished within the 24 hours (days of UTC) before each column, by duration. {NOT_PER_BUSINESS}",
        p.Query(q.finished_outages_by_duration("1d"), step="1d"),
        "short",
        empty="No outage has finished yet",
        span="30d",
    )


def mean_time_to_recover() -> p.Panel:
    return p.lines(
        "Mean time to recover",
        f"Mean duration of the outages that finished within the 24 hours (days of UTC) before each. {NOT_PER_BUSINESS}",
        [p.Query(q.mean_time_to_recover("1d"), "{{engine}}", step="1d")],
        "s",
        decimals=1,
        span="30d",
        points=True,
        empty="No outage has finished yet",
    )


def relay() -> p.Panel:
    return p.lines(
        "Messages sent by the relay",
        "Notifications a minute through the exporter's relay (SMS, WhatsApp, ...), by target and result.",
        [p.Query(q.everywhere("notify_total", "target, result"), "{{target}} {{result}}")],
        "cpm",
        size=(8, 7),
        empty="The relay has sent nothing",
    )
