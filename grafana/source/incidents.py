"""Incidents and alerts: what fires, did people get told, what runs, how long do we take to recover."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter import conventions as c
from grafana.source import day_queries as days
from grafana.source import exporter_queries as e
from grafana.source import page as pages
from grafana.source import panels as p
from grafana.source import queries as q
from grafana.source import shared
from grafana.source import tables as t

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

NOT_PER_BUSINESS = "Follows the engine, not the business."
SEVERITY = {"critical": ("critical", "red"), "warning": ("warning", "orange"), "info": ("info", "blue")}


def make(language: str) -> Dashboard:
    """Return the dashboard."""
    about = (
        "What fires now, whether people were told, and how long recovery takes. Incidents are on the exporter's pages."
    )
    page = pages.Page("incidents", language, "Incidents and alerts", about, start="now-24h")
    page.choose(pages.business, pages.engine, pages.runbook)
    page.annotate("Mass outage", q.mass_outage(), "red", "{{engine}}")
    page.row("Now", *_numbers(), _nobody_has(language), _firing(language))
    page.row("History", _over_time(), _affected(), _relay(), _failover())
    page.row("Recovery", _by_duration(), _mean_time_to_recover(), _time_to_acknowledge())
    return page.build()


def _numbers() -> list[p.Panel]:
    return [
        p.stat(
            "Critical alerts",
            "Alerts of severity critical that the table below lists. Direct alerts of single devices are counted to "
            "the right.",
            [p.Query(q.firing_by_severity("critical"))],
            "short",
            steps=p.ANY_IS_BAD,
            background=True,
        ),
        p.stat(
            "Warnings",
            "Alerts of severity warning that the table below lists.",
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
        "Firing now",
        "Mass outages first, then the alerts of Prometheus' rules, the oldest first, at most 100. A click on an alert "
        "opens its runbook, a click on a device its dashboard, a click on its id its incidents.",
        [p.Query(q.firing_for()), p.Query(q.devices_of_mass_outages())],
        [
            t.Column("alertname", "Alert", link=runbook, width=230),
            t.Column("severity", "Severity", mapping=SEVERITY, width=110),
            t.Column("Value #A", "For", p.DURATION, width=140),
            t.Column("Value #B", "Devices down", "short", decimals=0, width=140),
            t.Column("engine", "Engine", mapping=p.ENGINES, width=120),
            t.Column("business", "Business", width=200),
            t.Column("device", "Device", link=pages.to_device(language)),
            t.Column("device_id", "Device id", link=pages.to_incidents(), width=160),
        ],
        size=(24, 9),
        empty="No alert fires",
        sort=[("Devices down", True), ("For", True)],
    )


def _nobody_has(language: str) -> p.Panel:
    return t.table(
        "Down, and nobody has it",
        "Devices past their threshold that nobody has said to have, the longest first, at most 100. A click on a name "
        "opens the device, one on its id its incidents.",
        [p.Query(q.called(q.nobody_has(), "device", "business", "channel"))],
        [
            t.Column("device", "Device", link=pages.to_device(language), width=300),
            t.Column("business", "Business"),
            t.Column("engine", "Engine", mapping=p.ENGINES, width=110),
            t.Column("channel", "Channel"),
            t.Column("Value", "Down for", p.DURATION, width=140),
            t.Column("device_id", "Device id", link=pages.to_incidents(), width=150),
        ],
        size=(24, 7),
        empty="Nothing is known to be down without somebody on it",
        sort=("Down for", True),
    )


def _time_to_acknowledge() -> p.Panel:
    return p.lines(
        "Time until somebody has it",
        "From when people were told of an outage until somebody said to have it, over the day before each moment.",
        [p.Query(q.time_to_acknowledge("0.5"), "half"), p.Query(q.time_to_acknowledge("0.9"), "90 of 100")],
        p.DURATION,
        empty="Nobody has acknowledged anything yet",
    )


def _relay() -> p.Panel:
    return p.lines(
        "Messages sent by the relay",
        "Notifications a minute through the exporter's relay (SMS, WhatsApp, ...), by target and result, and calls of "
        "its Telegram bot that failed.",
        [
            p.Query(e.everywhere("notify_total", "target, result"), "{{target}} {{result}}"),
            p.Query(e.everywhere("telegram_failures_total", "instance"), "Telegram {{instance}}"),
        ],
        p.PER_MINUTE,
        empty="The relay has sent nothing",
    )


def _by_duration() -> p.Panel:
    return p.heatmap(
        "Outages a day by duration, last 30 days",
        f"Outages that finished on each day, today included, by duration. {NOT_PER_BUSINESS}",
        p.Query(days.finished_by_duration(), step=days.STEP),
        "short",
        empty="No outage has finished yet",
        span=days.SPAN,
    )


def _mean_time_to_recover() -> p.Panel:
    return p.lines(
        "Mean time to recover, last 30 days",
        f"Mean duration of the outages that finished on each day, today included. {NOT_PER_BUSINESS}",
        [p.Query(days.minutes_to_recover(), "{{engine}}", step=days.STEP)],
        p.MINUTES,
        span=days.SPAN,
        points=True,
        empty="No outage has finished yet",
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
        most_points=240,
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
            t.Column("Value #E", "Both down", p.DURATION, width=110),
            t.Column("Value #F", "Available", "percentunit", decimals=3, width=95),
        ],
        size=(24, 6),
        empty="No channel has a backup",
        sort=("On backup", True),
    )
