"""SLO and error budget: do we keep the objectives, how much budget is left, what uses it up and how fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana.source import day_queries as days
from grafana.source import exporter_queries as e
from grafana.source import page as pages
from grafana.source import panels as p
from grafana.source import queries as q
from grafana.source import shared
from grafana.source import slo_queries as s
from grafana.source import tables as t
from prometheus import slo_rules

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

FACTORS = ((None, "transparent"), (1, p.WARN), (6, p.BAD), (14.4, "dark-red"))


def make(language: str) -> Dashboard:
    """Return the dashboard."""
    about = "Availability against the objectives of the policy, the error budget of 30 days and how fast it is used up."
    page = pages.Page("slo", language, "SLO and error budget", about, start="now-30d", refresh="5m")
    page.choose(pages.business, pages.engine)
    page.annotate("Mass outage", q.mass_outage(), "red", "{{engine}}")
    page.annotate("Exporter blind", e.blind_now(), "orange", "")
    page.row("Now", *_numbers())
    page.row("Who uses it up", _budget_by_engine(), _groups())
    page.row("How fast", _burn(), _worst_burn())
    page.row("History", _availability_of_a_day(), _burn_down(), _downtime())
    page.row("How to read this", _method())
    return page.build()


def _numbers() -> list[p.Panel]:
    return [
        p.stat(
            "Availability of the fleet",
            "Connected share of the observed time of the last 30 days. Green meets the objectives, weighted by "
            "observed time; red misses them.",
            [
                p.Query(s.meets_objective("fleet", "30d", met=True), color=p.GOOD),
                p.Query(s.meets_objective("fleet", "30d", met=False), color=p.BAD),
            ],
            "percentunit",
            size=(6, 4),
            decimals=3,
        ),
        p.stat(
            "Budget left",
            "Share of the downtime that the objectives allow within 30 days and that is still unused.",
            [p.Query(s.budget_left("fleet"))],
            "percentunit",
            size=(6, 4),
            decimals=1,
            steps=p.BUDGET,
        ),
        p.stat(
            "Exhausted",
            "Engines of businesses that have no budget left.",
            [p.Query(s.groups_exhausted())],
            "short",
            steps=p.ANY_IS_BAD,
        ),
        p.stat(
            "Burning fast",
            "Engines of businesses that use up their budget 14.4 times too fast over 1 h, or 6 times over 6 h. "
            "ErrorBudgetBurnFast pages for those of which nobody was told otherwise.",
            [p.Query(s.groups_burning(slo_rules.FAST))],
            "short",
            steps=p.ANY_IS_BAD,
        ),
        shared.unknown_time(),
    ]


def _groups() -> p.Panel:
    return t.table(
        "Error budgets",
        "Engines of businesses by the error budget that is left of the last 30 days, at most 100. A burn of 1 uses up "
        "the budget in exactly 30 days.",
        [
            p.Query(q.business_named(s.worst_groups())),
            p.Query(s.of_the_worst_groups(s.availability("engine_business", "30d"))),
            p.Query(s.objective_of_the_worst_groups()),
            p.Query(s.downtime_allowed_left()),
            p.Query(s.of_the_worst_groups(s.downtime("30d"))),
            *(p.Query(s.of_the_worst_groups(s.burn_of_groups(window))) for window in ("1h", "6h", "1d", "3d")),
        ],
        [
            t.Column("business", "Business"),
            t.Column("engine", "Engine", mapping=p.ENGINES, width=110),
            t.Column("Value #B", "Availability", "percentunit", decimals=3, width=120),
            t.Column("Value #C", "Objective", "percentunit", decimals=2, width=100),
            t.Column("Value #A", "Budget left", "percentunit", decimals=1, steps=p.BUDGET, width=145),
            t.Column("Value #D", "Downtime still allowed", p.DURATION, steps=((None, p.BAD), (0, "text")), width=190),
            t.Column("Value #E", "Downtime", p.DURATION, width=130),
            t.Column("Value #F", "Burn 1 h", "none", decimals=1, steps=p.BURN, width=100),
            t.Column("Value #G", "Burn 6 h", "none", decimals=1, steps=p.BURN, width=100),
            t.Column("Value #H", "Burn 1 d", "none", decimals=1, steps=p.BURN, width=100),
            t.Column("Value #I", "Burn 3 d", "none", decimals=1, steps=p.BURN, width=100),
        ],
        size=(24, 9),
        empty="No devices observed yet",
        sort=("Budget left", False),
    )


def _burn() -> p.Panel:
    return p.lines(
        "Burn rate by engine",
        "How many times faster than allowed the budget was used up within the 6 hours before each point. Lines: the "
        "factors of the alerts, 1, 6 and 14.4.",
        [p.Query(s.burn_of_engines("6h"), "{{engine}}")],
        "none",
        marks=FACTORS,
        decimals=1,
        most_points=120,
    )


def _worst_burn() -> p.Panel:
    return t.ranking(
        "Burn rate of the last hour, highest ten",
        "Engines of businesses that use up their budget fastest. Above 14.4 for an hour an alert pages.",
        p.Query(q.business_named(f"topk(10, {s.burn_of_groups('1h')} > 0)")),
        [t.Column("business", "Business"), t.Column("engine", "Engine", mapping=p.ENGINES, width=110)],
        t.Column("Value", "Burn", "none", decimals=1, steps=p.BURN, bar=(0, None)),
        empty="No budget was used within the last hour",
    )


def _burn_down() -> p.Panel:
    return p.lines(
        "Budget burn-down",
        "The error budget of the dashboard's time range, and how much of it was left at each point, by engine.",
        [p.Query(s.budget_burn_down(), "{{engine}}")],
        "percentunit",
        marks=((None, "transparent"), (0, p.BAD)),
        most=1,
        decimals=0,
        most_points=48,
    )


def _availability_of_a_day() -> p.Panel:
    return p.lines(
        "Availability over 24 hours",
        "Availability of the 24 hours before each point, by engine; dashed: the policy's objective.",
        [
            p.Query(s.availability_over_a_day(), "{{engine}}"),
            p.Query(s.objective(), "objective {{engine}}", dashed=True),
        ],
        "percentunit",
        least=None,
        most=1,
        decimals=2,
        most_points=48,
    )


def _budget_by_engine() -> p.Panel:
    return t.ranking(
        "Error budget left",
        "Share of the downtime that the objective allows within 30 days and that is still unused. An engine's budget "
        "is the sum of those of its businesses.",
        p.Query(s.budget_left("engine")),
        [t.Column("engine", "Engine", mapping=p.ENGINES, width=120)],
        t.Column("Value", "Budget left", "percentunit", decimals=1, steps=p.BUDGET, bar=(0, 1)),
        size=(24, 6),
        empty="No devices observed yet",
        descending=False,
    )


def _downtime() -> p.Panel:
    return p.lines(
        "Downtime a day, last 30 days",
        "Hours of downtime of all devices on each day, today included.",
        [p.Query(days.hours_down(), "{{engine}}", step=days.STEP)],
        p.HOURS,
        bars=True,
        stacked=True,
        span=days.SPAN,
        size=(24, 8),
    )


def _method() -> p.Panel:
    return p.note("Method", "How these figures come about.", METHOD, (24, 4))


METHOD = (
    "**Availability** = 1 - downtime / observed time, by the times in the events, exact to the second. A device counts "
    "from its first event on. Planned maintenance counts neither as downtime nor as observed time. While the exporter "
    "was blind the last known state is assumed; that time is shown as unknown. **Budget** = (1 - objective) of the "
    "observed time of 30 days. **Burn** 1 uses it up in exactly 30 days. A late correction shows here from the moment "
    "it arrives; reports show it at the time of the event."
)
