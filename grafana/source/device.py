"""One device: is it connected, since when, how available is it, what happened to it and who was told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter import conventions as c
from grafana.source import day_queries as days
from grafana.source import device_queries as d
from grafana.source import page as pages
from grafana.source import panels as p
from grafana.source import shared
from grafana.source import tables as t

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

STATE = {"0": ("Disconnected", "red"), "1": ("Connected", "green")}
DELIVERED = {"0": ("not delivered", "red"), "1": ("delivered", "green")}


def make(language: str) -> Dashboard:
    """Return the dashboard."""
    about = (
        "Everything about one device: state, availability, outages, alerts. Opens with the one that is down longest."
    )
    page = pages.Page("device", language, "Device", about, start="now-7d")
    page.choose(pages.business, pages.engine, pages.find, pages.device, pages.channel)
    page.annotate("Outage", f"{d.of_the_device(c.DEVICE_UP)} == bool 0", "red", "")
    page.annotate("Maintenance", f"{d.of_the_device(c.DEVICE_MAINTENANCE)} == 1", "blue", "")
    page.row("Now", *_now(), _identity())
    page.row("Availability", *_availabilities(), *_outage_numbers())
    page.row("History", _states(), _downtime(), _outages(), _list(), _alerts(), _conversations())
    return page.build()


def _now() -> list[p.Panel]:
    return [
        p.stat(
            "State",
            "Whether the device is connected.",
            [p.Query(d.of_the_device(c.DEVICE_UP))],
            "none",
            mapping=STATE,
            steps=((None, p.IDLE),),
            background=True,
            empty="Choose a device",
        ),
        p.stat("For", "How long it has been in this state.", [p.Query(d.state_for())], p.DURATION),
        p.stat(
            "Conversations affected",
            "Conversations active on its channel when it went down; only while it is down.",
            [p.Query(d.of_the_device(c.DEVICE_AFFECTED_CONVERSATIONS))],
            "short",
            steps=((None, p.MUTED), (1, p.WARN)),
            empty="None",
        ),
        p.stat(
            "Alert",
            "Whether its direct alert reached an Alertmanager; only while it is down past its threshold.",
            [p.Query(d.of_the_device(c.DEVICE_ALERT_DELIVERED))],
            "none",
            mapping=DELIVERED,
            empty="No alert",
        ),
        p.stat(
            "Alerts after",
            "How long it must be down before it alerts, from the policy of its engine.",
            [p.Query(d.alerts_after())],
            p.DURATION,
            empty="No policy",
        ),
        p.stat(
            "Observed for",
            "How long it has been known: before that it is neither up nor down.",
            [p.Query(f"time() - {d.of_the_device(c.DEVICE_FIRST_SEEN)}")],
            p.DURATION,
        ),
    ]


def _identity() -> p.Panel:
    titles = ("Device", "Business", "Engine", "Channel", "User", "Gateway", "Device id", "Channel id", "Business id")
    return t.table(
        "Identity",
        "Names and ids as its newest event gave them. A click on the device's id opens its incidents.",
        [p.Query(d.identity())],
        [
            t.Column(
                source,
                title,
                mapping=p.ENGINES if source == "engine" else None,
                link=pages.to_incidents() if source == "device_id" else None,
            )
            for source, title in zip(d.COLUMNS, titles, strict=True)
        ],
        size=(24, 4),
        empty="Choose a device",
        sort=("Device", False),
    )


def _availabilities() -> list[p.Panel]:
    return [
        p.stat(
            title,
            "Connected share of the observed time. Green meets the policy's objective, red misses it.",
            [
                p.Query(d.meets_objective(window, met=True), color=p.GOOD),
                p.Query(d.meets_objective(window, met=False), color=p.BAD),
            ],
            "percentunit",
            decimals=3,
        )
        for title, window in (("Last day", "1d"), ("Last 3 days", "3d"), ("Last 30 days", "30d"))
    ]


def _outage_numbers() -> list[p.Panel]:
    return [
        p.stat(
            "Outages",
            "Outages that began within the dashboard's time range.",
            [p.Query(d.grown(c.DEVICE_DISCONNECTS))],
            "short",
            decimals=0,
        ),
        p.stat(
            "Downtime",
            "Time disconnected within the dashboard's time range, the running outage included.",
            [p.Query(d.grown(c.DEVICE_DOWNTIME))],
            p.DURATION,
        ),
        p.stat(
            "Mean outage",
            "Downtime by outages within the dashboard's time range.",
            [p.Query(d.mean_outage())],
            p.DURATION,
            empty="No outage",
        ),
    ]


def _states() -> p.Panel:
    return p.states(
        "State",
        "Connected or not, over time. A piece in which it was down at all is red: lengths are exact in the bars below.",
        [p.Query(d.connected_throughout(), "state")],
        shared.UP_DOWN,
        size=(24, 4),
        empty="Choose a device",
    )


def _downtime() -> p.Panel:
    return p.lines(
        "Downtime a day, last 30 days",
        "Hours disconnected on each day, today included. Exact: by the times in the events.",
        [p.Query(f"{d.each_day(c.DEVICE_DOWNTIME)} / 3600", "downtime", step=days.STEP, color=p.WARN)],
        p.HOURS,
        bars=True,
        span=days.SPAN,
        size=(12, 7),
    )


def _outages() -> p.Panel:
    return p.lines(
        "Outages a day, last 30 days",
        "Outages that began on each day, today included. Exact: short ones too.",
        [p.Query(d.each_day(c.DEVICE_DISCONNECTS), "outages", step=days.STEP, color=p.CALM)],
        "short",
        bars=True,
        span=days.SPAN,
        size=(12, 7),
        decimals=0,
    )


def _list() -> p.Panel:
    return t.outages(
        "Outages in this range",
        "Each outage that a scrape saw, the newest first; of several between two points the last one. All of "
        "them, with what was done: its incidents.",
        p.Query(d.began()),
        size=(12, 8),
        empty="No outage was seen in this range",
    )


def _alerts() -> p.Panel:
    return p.lines(
        "Alerts",
        "Alerts that Prometheus holds for this device, and whether the direct alert was delivered (1) or not (0).",
        [
            p.Query(d.alerts(), "{{alertname}}"),
            p.Query(d.of_the_device(c.DEVICE_ALERT_DELIVERED), "direct alert delivered"),
        ],
        "short",
        stepped=True,
        most=1,
        size=(12, 8),
        decimals=0,
        empty="No alerts in this range",
    )


def _conversations() -> p.Panel:
    return p.lines(
        "Active conversations on its channel",
        "Conversations with a message within the impact window.",
        [p.Query(d.conversations_on_its_channel(), "conversations")],
        "short",
        size=(24, 7),
        decimals=0,
        empty="No messages heard on its channel",
    )
