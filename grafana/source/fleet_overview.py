"""Fleet overview: what is down now, since when and whom it touches; then the objectives; then the history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana.source import page as pages
from grafana.source import panels as p
from grafana.source import queries as q
from grafana.source import shared
from grafana.source import slo_queries as s
from grafana.source import tables as t

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

DOWN_NOW = "Devices that are disconnected, the longest first, at most 100. A click on a name opens the device."


def make(language: str) -> Dashboard:
    """Return the dashboard."""
    about = "What is down now, whom it touches, and how the fleet does against its objectives."
    page = pages.Page("fleet-overview", language, "Fleet overview", about, start="now-24h", refresh="30s")
    page.choose(pages.business, pages.engine)
    page.annotate("Mass outage", q.mass_outage(), "red", "{{engine}}")
    page.annotate("Exporter blind", q.blind_now(), "orange", "")
    page.row("Now", *_numbers(), shared.running_outages("Down now", DOWN_NOW, language))
    page.row(
        "Against the objective, last 30 days",
        shared.availability_by_engine(),
        shared.budget_by_engine(),
        _groups(language),
    )
    page.row(
        "History",
        _down_over_time(),
        shared.outages_a_day(),
        shared.outages_by_duration(),
        shared.mean_time_to_recover(),
        shared.downtime_by_channel(),
        shared.availability_of_a_day((12, 10)),
    )
    page.row("Devices with the most downtime", _states())
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
            "s",
            decimals=1,
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


def _groups(language: str) -> p.Panel:
    to_slo = f"/d/{pages.uid('slo', language)}?var-business=${{__data.fields.business_id}}"
    return t.table(
        "Businesses with the least budget left",
        "Engines of businesses by the error budget that is left of the last 30 days, at most 100.",
        [
            p.Query(s.business_named(s.worst_groups())),
            p.Query(s.of_the_worst_groups(s.availability("engine_business", "30d"))),
            p.Query(s.objective_of_the_worst_groups()),
            p.Query(s.of_the_worst_groups(s.downtime("30d"))),
            p.Query(s.of_the_worst_groups(s.burn("engine_business", "1h"))),
        ],
        [
            t.Column("business_name", "Business", link=("Open its error budget", to_slo)),
            t.Column("engine", "Engine", width=130),
            t.Column("Value #B", "Availability", "percentunit", decimals=3, width=140),
            t.Column("Value #C", "Objective", "percentunit", decimals=2, width=120),
            t.Column("Value #A", "Budget left", "percentunit", decimals=1, steps=p.BUDGET, width=145),
            t.Column("Value #D", "Downtime", "s", decimals=1, width=130),
            t.Column("Value #E", "Burn, last hour", "none", decimals=1, steps=p.BURN, width=140),
            t.Column("business_id", "Business id", width=150),
        ],
        size=(24, 8),
        empty="No devices observed yet",
        sort=("Budget left", False),
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
    )


def _states() -> p.Panel:
    return p.states(
        "State of the devices with the most downtime",
        "The 20 devices that were down longest within the dashboard's time range. A piece in which one was down is "
        "red.",
        [p.Query(q.state_of_the_worst(), "{{device_name}} ({{business_name}})")],
        shared.UP_DOWN,
        size=(24, 12),
        empty="No downtime in this range",
    )
