"""PromQL about the device that was chosen, each function named by the question that it answers."""

from __future__ import annotations

from typing import Final

from exporter import conventions as c
from grafana.source import day_queries as days
from grafana.source.queries import DEVICE, RANGE, SECONDS

DEVICE_SELECTED: Final = 'device_id="$device"'
COLUMNS: Final = (
    *("device_name", "business_name", "engine", "channel_name", "user_name", "gateway"),
    *("device_id", "channel_id", "business_id"),
)


def of_the_device(metric: str) -> str:
    return f"max by (device_id) ({metric}{{{DEVICE_SELECTED}}})"


def identity() -> str:
    return f"topk(1, max by ({', '.join(COLUMNS)}) ({c.DEVICE_INFO}{{{DEVICE_SELECTED}}}))"


def state_for() -> str:
    return f"time() - {of_the_device(c.DEVICE_STATE_CHANGE)}"


def _seconds(window: str) -> str:
    return "$__range_s" if "$" in window else str(SECONDS[window])


def observed(window: str) -> str:
    return f"clamp_max(time() - {of_the_device(c.DEVICE_FIRST_SEEN)}, {_seconds(window)})"


def grown(metric: str, window: str = RANGE) -> str:
    """Growth of a counter of the device within a window: since it was first seen there, or since the window's start.

    A device that was forgotten and came back began again from 0, whatever was scraped of it before. Where the start is
    not known the first sample within the window serves.
    """
    now, then = (f"max by (device_id) ({metric}{{{DEVICE_SELECTED}}}{offset})" for offset in ("", f" offset {window}"))
    new = f"{of_the_device(c.DEVICE_FIRST_SEEN)} > time() - {_seconds(window)}"
    known = f"min_over_time({of_the_device(metric)}[{window}:$__interval])"
    return f"clamp_min({now} - (0 * {now} and {new} or {then} or {known}), 0)"


def availability(window: str) -> str:
    return f"clamp(1 - {grown(c.DEVICE_DOWNTIME, window)} / ({observed(window)} > 0), 0, 1)"


def _policy(metric: str) -> str:
    engine = f"max by (device_id, engine) ({c.DEVICE_UP}{{{DEVICE_SELECTED}}})"
    return f"max by (device_id) (0 * {engine} + on (engine) group_left () max by (engine) ({metric}))"


def alerts_after() -> str:
    return _policy(c.POLICY_ALERT_AFTER)


def meets_objective(window: str, *, met: bool) -> str:
    return f"{availability(window)} {'>=' if met else '<'} on (device_id) {_policy(c.POLICY_OBJECTIVE)}"


def mean_outage() -> str:
    return f"{grown(c.DEVICE_DOWNTIME)} / ({grown(c.DEVICE_DISCONNECTS)} > 0)"


def connected_throughout() -> str:
    """1 where the device is up and was so since the point before, else 0: no outage hides between two points."""
    up, down = (f"max {DEVICE} ({metric}{{{DEVICE_SELECTED}}})" for metric in (c.DEVICE_UP, c.DEVICE_DOWNTIME))
    before = f"max {DEVICE} ({c.DEVICE_DOWNTIME}{{{DEVICE_SELECTED}}} offset $__interval)"
    return f"max by (device_id) ({up} * ({down} - {before} <= bool 0) or {up})"


def began() -> str:
    """In milliseconds when the outage began that was seen last within each interval."""
    return f"1000 * max by (device_id) (last_over_time({c.DEVICE_DOWN_SINCE}{{{DEVICE_SELECTED}}}[$__interval]))"


def conversations_on_its_channel() -> str:
    return f'max by (channel_id) ({c.CHANNEL_ACTIVE_CONVERSATIONS}{{channel_id="$channel"}})'


def alerts() -> str:
    return f'count by (alertname) (ALERTS{{alertstate="firing", device_id!="", {DEVICE_SELECTED}}})'


# A day -------------------------------------------------------------------------------------------------------
def each_day(metric: str) -> str:
    """Growth within each day (see day_queries), from 0 on the day on which it was first seen."""
    series, seen = (f"{name}{{{DEVICE_SELECTED}}}" for name in (metric, c.DEVICE_FIRST_SEEN))
    end = f"max by (device_id) ({days.at_the_end(series)})"
    first_seen = f"max by (device_id) ({days.at_the_end(seen)})"
    return (
        f"clamp_min({end} - (0 * {end} and {first_seen} > time() or max by (device_id) ({series}) or "
        f"max by (device_id) ({days.today('min_over_time', series)})), 0)"
    )
