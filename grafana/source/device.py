"""One device: is it connected, since when, how available is it, what happened to it and who was told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter import conventions as c
from grafana.source import page as pages
from grafana.source import panels as p
from grafana.source import queries as q
from grafana.source import shared
from grafana.source import tables as t

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

STATE = {"0": ("Disconnected", "red"), "1": ("Connected", "green")}
DELIVERED = {"0": ("not delivered", "red"), "1": ("delivered", "green")}


def make(language: str) -> Dashboard:
    """Return the dashboard."""
    about = "Everything about one device: state, availability, outages, alerts."
    page = pages.Page("device", language, "Device", about, start="now-7d")
    page.choose(pages.business, pages.engine, pages.device)
    page.annotate("Outage", f"{q.of_the_device(c.DEVICE_UP)} == bool 0", "red", "")
    page.annotate("Maintenance", f"{q.of_the_device(c.DEVICE_MAINTENANCE)} == 1", "blue", "")
    page.row("Now", *_now(), _identity())
    page.row("Availability", *_availabilities(), *_outage_numbers())
    page.row("History", _states(), _downtime(), _outages(), _alerts(), _conversations())
    return page.build()


def _now() -> list[p.Panel]:
    return [
        p.stat(
            "State",
            "Whether the device is connected.",
            [p.Query(q.of_the_device(c.DEVICE_UP))],
            "none",
            mapping=STATE,
            steps=((None, p.IDLE),),
            background=True,
            empty="Choose a device",
        ),
        p.stat("For", "How long it has been in this state.", [p.Query(q.device_state_for())], "s", decimals=1),
        p.stat(
            "Conversations affected",
            "Conversations active on its channel when it went down; only while it is down.",
            [p.Query(q.of_the_device(c.DEVICE_AFFECTED_CONVERSATIONS))],
            "short",
            steps=((None, p.MUTED), (1, p.WARN)),
            empty="None",
        ),
        p.stat(
            "Alert",
            "Whether its direct alert reached an Alertmanager; only while it is down past its threshold.",
            [p.Query(q.of_the_device(c.DEVICE_ALERT_DELIVERED))],
            "none",
            mapping=DELIVERED,
            empty="No alert",
        ),
        p.stat(
            "Alerts after",
            "How long it must be down before it alerts, from the policy of its engine.",
            [p.Query(q.device_policy(c.POLICY_ALERT_AFTER))],
            "s",
            decimals=0,
            empty="No policy",
        ),
        p.stat(
            "Observed for",
            "How long it has been known: before that it is neither up nor down.",
            [p.Query(f"time() - {q.of_the_device(c.DEVICE_FIRST_SEEN)}")],
            "s",
            decimals=1,
        ),
    ]


def _identity() -> p.Panel:
    columns = (
        "device_name",
        "business_name",
        "engine",
        "channel_name",
        "user_name",
        "device_id",
        "channel_id",
        "business_id",
    )
    titles = ("Device", "Business", "Engine", "Channel", "User", "Device id", "Channel id", "Business id")
    return t.table(
        "Identity",
        "Names and ids as its newest event gave them.",
        [p.Query(f"topk(1, max by ({', '.join(columns)}) ({c.DEVICE_INFO}{{{q.DEVICE_SELECTED}}}))")],
        [t.Column(source, title) for source, title in zip(columns, titles, strict=True)],
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
                p.Query(q.device_meets_objective(window, met=True), color=p.GOOD),
                p.Query(q.device_meets_objective(window, met=False), color=p.BAD),
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
            [p.Query(q.device_grown(c.DEVICE_DISCONNECTS, q.RANGE))],
            "short",
            decimals=0,
        ),
        p.stat(
            "Downtime",
            "Time disconnected within the dashboard's time range, the running outage included.",
            [p.Query(q.device_grown(c.DEVICE_DOWNTIME, q.RANGE))],
            "s",
            decimals=1,
        ),
        p.stat(
            "Mean outage",
            "Downtime by outages within the dashboard's time range.",
            [p.Query(q.device_mean_outage(q.RANGE))],
            "s",
            decimals=1,
            empty="No outage",
        ),
    ]


def _states() -> p.Panel:
    return p.states(
        "State",
        "Connected or not, over time. A piece in which it was down at all is red: lengths are exact in the bars below.",
        [p.Query(q.connected_throughout(q.DEVICE_SELECTED), "state")],
        shared.UP_DOWN,
        size=(24, 4),
        empty="Choose a device",
    )


def _downtime() -> p.Panel:
    return p.lines(
        "Downtime a day",
        "Time disconnected within the 24 hours (days of UTC) before each bar's end. Exact: by the times in the events.",
        [p.Query(q.device_daily(c.DEVICE_DOWNTIME), "downtime", step="1d", color=p.WARN)],
        "s",
        bars=True,
        span="30d",
        size=(12, 7),
        decimals=1,
    )


def _outages() -> p.Panel:
    return p.lines(
        "Outages a day",
        "Outages that began within the 24 hours (days of UTC) before each bar's end. Exact: short ones too.",
        [p.Query(q.device_daily(c.DEVICE_DISCONNECTS), "outages", step="1d", color=p.BAD)],
        "short",
        bars=True,
        span="30d",
        size=(12, 7),
        decimals=0,
    )


def _alerts() -> p.Panel:
    return p.lines(
        "Alerts",
        "Alerts that Prometheus holds for this device, and whether the direct alert was delivered (1) or not (0).",
        [
            p.Query(q.alerts_of_the_device(), "{{alertname}}"),
            p.Query(q.of_the_device(c.DEVICE_ALERT_DELIVERED), "direct alert delivered"),
        ],
        "short",
        stepped=True,
        size=(12, 7),
        decimals=0,
        empty="No alerts in this range",
    )


def _conversations() -> p.Panel:
    return p.lines(
        "Active conversations on its channel",
        "Conversations with a message within the impact window.",
        [p.Query(q.conversations_on_its_channel(), "conversations")],
        "short",
        size=(12, 7),
        decimals=0,
        empty="No messages heard on its channel",
    )
