"""Incidents and alerts: what fires, did people get told, what runs, how long do we take to recover."""

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

RUNNING = "Devices that are down, the longest first, at most 100: past its threshold each is an incident."
SEVERITY = {"critical": ("critical", "red"), "warning": ("warning", "orange"), "info": ("info", "blue")}


def make(language: str) -> Dashboard:
    """Return the dashboard."""
    about = "What fires now, whether people were told, which incidents run and how long recovery takes."
    page = pages.Page("incidents", language, "Incidents and alerts", about, start="now-24h", refresh="30s")
    page.choose(pages.business, pages.engine, pages.runbook)
    page.annotate("Mass outage", q.mass_outage(), "red", "{{engine}}")
    page.row("Now", *_numbers(), _firing(language), shared.running_outages("Running outages", RUNNING, language))
    page.row("Were people told", _pushes(), _latency(), shared.relay())
    page.row(
        "History",
        _over_time(),
        _affected(),
        shared.outages_a_day(),
        shared.outages_by_duration(),
        shared.mean_time_to_recover(),
        _failover(),
    )
    return page.build()


def _numbers() -> list[p.Panel]:
    return [
        p.stat(
            "Critical alerts",
            "Alerts of severity critical that fire in Prometheus now, and outages of whole engines. Direct alerts of "
            "single devices are counted to the right.",
            [p.Query(q.critical_alerts())],
            "short",
            steps=p.ANY_IS_BAD,
            background=True,
        ),
        p.stat(
            "Warnings",
            "Alerts of severity warning that fire in Prometheus now.",
            [p.Query(q.firing_by_severity("warning"))],
            "short",
            steps=p.ANY_IS_ODD,
        ),
        p.stat(
            "Alerts delivered",
            "Devices down past their threshold whose direct alert an Alertmanager has acknowledged.",
            [p.Query(q.past_threshold(1))],
            "short",
            steps=p.ANY_IS_ODD,
        ),
        shared.alerts_not_delivered(),
        shared.conversations_affected(),
        p.stat(
            "In maintenance",
            "Devices inside a planned maintenance window now: their alerts are silent.",
            [p.Query(q.in_maintenance())],
            "short",
            steps=((None, p.MUTED), (1, p.CALM)),
        ),
    ]


def _firing(language: str) -> p.Panel:
    runbook = ("Open the runbook", "${runbook}#${__data.fields.alertname}")
    return t.table(
        "Firing in Prometheus",
        "Alerts of the rules that fire now, the oldest first, at most 100. A click on an alert opens its runbook, a "
        "click on a device its dashboard, a click on its id its incidents.",
        [p.Query(q.firing())],
        [
            t.Column("alertname", "Alert", link=runbook, width=230),
            t.Column("severity", "Severity", mapping=SEVERITY, width=110),
            t.Column("Value", "For", "s", decimals=1, width=120),
            t.Column("engine", "Engine", width=120),
            t.Column("business_id", "Business id", width=160),
            t.Column("device_name", "Device", link=pages.to_device(language)),
            t.Column("device_id", "Device id", link=pages.to_incidents(), width=160),
        ],
        size=(24, 8),
        empty="No alert fires",
        sort=("For", True),
    )


def _pushes() -> p.Panel:
    return p.lines(
        "Direct alerts by result",
        "Posts of alerts to Alertmanager a minute, by result.",
        [p.Query(q.everywhere("alert_pushes_total", "result"), "{{result}}")],
        "cpm",
        size=(8, 7),
        empty="No alert was pushed",
    )


def _latency() -> p.Panel:
    return p.lines(
        "From the event to Alertmanager",
        "Time from receiving an event until Alertmanager acknowledged its alert.",
        [
            p.Query(q.everywhere_quantile("0.5", "alert_push_latency_seconds"), "half"),
            p.Query(q.everywhere_quantile("0.99", "alert_push_latency_seconds"), "99 of 100"),
        ],
        "s",
        size=(8, 7),
        empty="No alert was pushed",
    )


def _over_time() -> p.Panel:
    return p.lines(
        "Alerts over time",
        "Alerts that fire in Prometheus, by name.",
        [p.Query(q.firing_by_name(), "{{alertname}}")],
        "short",
        stacked=True,
        stepped=True,
        decimals=0,
        empty="No alert fired in this range",
    )


def _affected() -> p.Panel:
    return p.lines(
        "Conversations affected over time",
        "Conversations on the channels of the devices that were down.",
        [p.Query(q.conversations_affected_now(), "conversations")],
        "short",
        stepped=True,
        decimals=0,
    )


def _failover() -> p.Panel:
    return t.table(
        "Backup channels",
        "Channels that have a backup: whether it carries the traffic now, whether the calls that switch it worked, and "
        "how long both were down within the dashboard's time range.",
        [
            p.Query(q.of_each_pair(c.CHANNEL_FAILOVER_ACTIVE)),
            p.Query(q.of_each_pair(c.CHANNEL_FAILOVER_PENDING)),
            p.Query(q.of_each_pair(c.CHANNEL_FAILOVER_FAILED)),
            p.Query(q.of_each_pair(c.CHANNEL_FAILOVER_NO_BACKUP)),
            p.Query(q.both_down()),
            p.Query(q.availability_of_each_pair()),
        ],
        [
            t.Column("channel_id", "Channel id"),
            t.Column("backup_channel_id", "Backup channel id"),
            t.Column("Value #A", "On backup", mapping=shared.IN_OUT, width=90),
            t.Column("Value #B", "Call open", mapping=shared.WARN_IF, width=90),
            t.Column("Value #C", "Call failed", mapping=shared.BAD_IF, width=90),
            t.Column("Value #D", "Both down now", mapping=shared.BAD_IF, width=115),
            t.Column("Value #E", "Both down", "s", decimals=1, width=95),
            t.Column("Value #F", "Available", "percentunit", decimals=3, width=95),
        ],
        size=(12, 8),
        empty="No channel has a backup",
        sort=("On backup", True),
    )
