"""Fleet overview: what is down now, since when and whom it touches; then the objectives; then the history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter import conventions as c
from grafana.source import day_queries as days
from grafana.source import exporter_queries as e
from grafana.source import page as pages
from grafana.source import panels as p
from grafana.source import queries as q
from grafana.source import shared
from grafana.source import slo_queries as s
from grafana.source import tables as t

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard


def make(language: str) -> Dashboard:
    """Return the dashboard."""
    about = "What is down now, whom it touches, and how the fleet does against its objectives."
    page = pages.Page("fleet-overview", language, "Fleet overview", about, start="now-24h")
    page.choose(pages.business, pages.engine)
    page.annotate("Mass outage", q.mass_outage(), "red", "{{engine}}")
    page.annotate("Exporter blind", e.blind_now(), "orange", "")
    page.row("Now", *_numbers(), _down_now(language))
    page.row("Against the objective, last 30 days", _availability_by_engine())
    page.row("History", _down_over_time(), _downtime_by_channel(), _outages_a_day(), _states())
    return page.build()


def _numbers() -> list[p.Panel]:
    return [
        p.stat(
            "Devices down",
            "Devices that are disconnected now.",
            [p.Query(q.devices_by_state("down"))],
            "short",
            steps=p.ANY_IS_BAD,
            empty="Unknown",
            background=True,
        ),
        shared.conversations_affected(),
        p.stat(
            "Longest running outage",
            "How long the device that has been down longest is down already.",
            [p.Query(q.longest_outage_running())],
            p.DURATION,
            steps=p.ANY_IS_BAD,
            mapping={"0": ("None", p.GOOD)},
            empty="Unknown",
        ),
        shared.alerts_not_delivered(),
        p.stat(
            "Connected",
            "Share of the fleet that is connected now. Its colour has no threshold: see the objectives below.",
            [p.Query(q.share_connected())],
            "percentunit",
            decimals=2,
            empty="No devices yet",
        ),
        shared.last_event(),
    ]


def _down_now(language: str) -> p.Panel:
    return t.table(
        "Down now",
        "Devices that are disconnected, the longest first, at most 100. A click on a name opens the device, one on its "
        "id its incidents.",
        [
            p.Query(q.called(q.longest_down(), "device", "business", "channel")),
            p.Query(q.down_since()),
            p.Query(q.of_each_longest_down(c.DEVICE_AFFECTED_CONVERSATIONS)),
            p.Query(q.of_each_longest_down(c.DEVICE_ALERT_DELIVERED)),
            p.Query(q.of_each_longest_down(c.DEVICE_MAINTENANCE)),
        ],
        [
            t.Column("device", "Device", link=pages.to_device(language), width=300),
            t.Column("business", "Business"),
            t.Column("engine", "Engine", mapping=p.ENGINES, width=110),
            t.Column("channel", "Channel"),
            t.Column("Value #B", "Since", "dateTimeAsIsoNoDateIfToday", width=170),
            t.Column("Value #A", "Down for", p.DURATION, width=140),
            t.Column("Value #C", "Conversations", "short", decimals=0, width=130),
            t.Column("Value #D", "Alert delivered", mapping=shared.YES_NO, width=160),
            t.Column("Value #E", "Maintenance", mapping=shared.IN_OUT, width=130),
            t.Column("device_id", "Device id", link=pages.to_incidents(), width=150),
        ],
        size=(24, 9),
        empty="No device is known to be down",
        sort=("Down for", True),
        join="device_id",
    )


def _availability_by_engine() -> p.Panel:
    no_objective = f"{s.availability('engine', '30d')} unless on (engine) {s.objective()}"
    return p.stat(
        "Availability by engine",
        "Connected share of the observed time of the last 30 days. Green meets the policy's objective, red misses it, "
        "blue has none. Businesses and budgets: the dashboard SLO and error budget.",
        [
            p.Query(s.meets_objective("engine", "30d", met=True), "{{engine}}", color=p.GOOD),
            p.Query(s.meets_objective("engine", "30d", met=False), "{{engine}}", color=p.BAD),
            p.Query(no_objective, "{{engine}}", color=p.CALM),
        ],
        "percentunit",
        size=(24, 5),
        decimals=3,
        named=True,
    )


def _down_over_time() -> p.Panel:
    return p.lines(
        "Devices down",
        "Devices that are disconnected, by engine. Outages shorter than a scrape do not show here.",
        [p.Query(q.down_by_engine(), "{{engine}}")],
        "short",
        stacked=True,
        stepped=True,
        decimals=0,
        most_points=240,
    )


def _downtime_by_channel() -> p.Panel:
    return t.ranking(
        "Downtime by channel",
        "The ten channels with the most downtime within the dashboard's time range, all devices summed, as Prometheus "
        "recorded it every 5 minutes.",
        p.Query(q.downtime_by_channel()),
        [t.Column("channel", "Channel"), t.Column("business", "Business")],
        t.Column("Value", "Downtime", p.DURATION, steps=((None, p.CALM),), bar=(0, None)),
        size=(12, 8),
        empty="No downtime recorded in this range",
    )


def _outages_a_day() -> p.Panel:
    return p.lines(
        "Outages a day, last 30 days",
        "Outages that began on each day, today included. Exact: short ones too.",
        [p.Query(days.outages(), "{{engine}}", step=days.STEP)],
        "short",
        bars=True,
        stacked=True,
        decimals=0,
        span=days.SPAN,
        size=(24, 8),
    )


def _states() -> p.Panel:
    return p.states(
        "Devices with the most downtime",
        "The 20 devices that were down longest within the dashboard's time range: red where one was down at all.",
        [p.Query(q.pieces_of_the_worst(), "{{device}} ({{business}})", step=q.DOWNTIME_STEP)],
        {"0": ("down", p.BAD)},
        size=(24, 12),
        empty="No downtime recorded in this range",
    )
