"""PromQL of what happened on each day, for bars a day apart.

Grafana puts the points of a query whose step is a day at the midnights of the dashboard's time zone. Each point stands
for the day that begins there; the last one is today, of which the newest values are taken.
"""

from __future__ import annotations

from typing import Final

from exporter import conventions as c
from grafana.source.queries import GROUP, SELECTED
from prometheus import slo_rules

STEP: Final = "1d"
SPAN: Final = "30d"


def today(function: str, series: str) -> str:
    """Return what a function makes of today's samples, at the last point only. Computed once, however many days."""
    return f"({function}({series}[1d] @ end() offset -1d) and on () (vector(time()) > $__to / 1000 - 86400))"


def at_the_end(series: str) -> str:
    """Return the value at each day's end, today the newest one."""
    return f"{series} offset -1d or {today('last_over_time', series)}"


def grown(series: str, by: str, summed: str) -> str:
    """Return by how much a counter grew within each day, summed: differences of exact counters.

    What came within a past day counts from 0 if an exporter was scraped before it; on the day on which Prometheus began
    everything counts from its first sample.
    """
    end, start, new, first = (
        f"{summed} (max {by} ({value}))"
        for value in (at_the_end(series), series, f"0 * ({series} offset -1d)", today("min_over_time", series))
    )
    return f"({end} - ({start} or {new} and on () {slo_rules.watched('0s')} or {first}))"


def outages() -> str:
    """Outages that began, by engine."""
    return grown(f"{c.FLEET_DISCONNECTS}{{{SELECTED}}}", GROUP, "sum by (engine)")


def hours_down() -> str:
    """Hours of downtime of all devices, by engine."""
    return f"{grown(f'{c.FLEET_DOWNTIME}{{{SELECTED}}}', GROUP, 'sum by (engine)')} / 3600"


def _finished(part: str, by: str) -> str:
    labels = f"by (engine, {by})" if by != "engine" else "by (engine)"
    series = f'{c.FLEET_OUTAGE_DURATION}_{part}{{engine=~"$engine"}}'
    return grown(series, labels, f"sum by ({by})")


def finished_by_duration() -> str:
    """Outages that finished, by the histogram's bounds."""
    return _finished("bucket", "le")


def minutes_to_recover() -> str:
    """Mean duration of the outages that finished, by engine."""
    return f"{_finished('sum', 'engine')} / ({_finished('count', 'engine')} > 0) / 60"
