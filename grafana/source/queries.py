"""PromQL about the fleet now and within the dashboard's range, each function named by the question that it answers.

Rules that hold for all queries of the dashboards: `instance` and `job` are aggregated away, so that several exporters
over one journal count once; what grew in a window is a difference of exact counters, never an extrapolation; per
device nothing is drawn without a top-N or a selection. What is down has a metric of its own, with as many series as
devices are down: everything about the present reads that and not the whole fleet. Names of businesses come from a rule.
"""

from __future__ import annotations

from typing import Final

from exporter import conventions as c
from prometheus import slo_rules

SELECTED: Final = 'business_id=~"$business", engine=~"$engine"'
DEVICE: Final = "by (device_id, engine, channel_id, business_id)"
NAMED_DEVICE: Final = "by (device_id, engine, channel_id, business_id, device_name, channel_name, business_name)"
GROUP: Final = slo_rules.GROUP
RANGE: Final = "$__range"
ROWS: Final = 100
"""The most rows of a table of devices or of groups."""
SECONDS: Final = {window.name: window.seconds for window in slo_rules.WINDOWS}
BUSINESSES: Final = "business:device_info:max"
"""Recorded: one series a business, with its name."""
DOWNTIME: Final = "device:device_downtime_seconds:increase5m"
"""Recorded every 5 minutes, of devices that were down in them, with their names."""
DOWNTIME_STEP: Final = "5m"
MASS_OUTAGE: Final = slo_rules.MASS_OUTAGE
MASS_OUTAGE_SINCE: Final = "engine:fleet_mass_outage:start_timestamp_seconds"
PAIR: Final = f"by ({', '.join(c.FAILOVER_LABELS)})"


def self_metric(name: str) -> str:
    return f"{c.SELF_PREFIX}_{name}"


# Names -------------------------------------------------------------------------------------------------------
def called(expr: str, *what: str) -> str:
    """Add labels `device`, `business`, ... with the name, or the id where there is no name."""
    for kind in what:
        expr = f'label_replace({expr}, "{kind}", "$1", "{kind}_id", "(.+)")'
        expr = f'label_replace({expr}, "{kind}", "$1", "{kind}_name", "(.+)")'
    return expr


def business_named(expr: str) -> str:
    """Add a label `business` with its name, or the id where none is known."""
    known = f"({expr}) * on (business_id) group_left (business_name) {BUSINESSES}"
    return called(f"({known} or on (engine, business_id) {expr})", "business")


# Devices now -------------------------------------------------------------------------------------------------
def one_per_device(metric: str, selected: str = SELECTED) -> str:
    return f"max {DEVICE} ({metric}{{{selected}}})"


def devices_by_state(state: str) -> str:
    return f'sum(max {GROUP} ({c.FLEET_DEVICES}{{state="{state}", {SELECTED}}}))'


def share_connected() -> str:
    return (
        f"{devices_by_state('up')} / (sum(max by (engine, business_id, state) ({c.FLEET_DEVICES}{{{SELECTED}}})) > 0)"
    )


def _or_none(expr: str) -> str:
    """Give 0 where there is nothing to count but the fleet is known."""
    return f"{expr} or 0 * {devices_by_state('down')}"


def down_by_engine() -> str:
    return f'sum by (engine) (max {GROUP} ({c.FLEET_DEVICES}{{state="down", {SELECTED}}}))'


def down_for() -> str:
    """Seconds since each device that is down went down, with its names."""
    return f"(time() - max {NAMED_DEVICE} ({c.DEVICE_DOWN_SINCE}{{{SELECTED}}}))"


def longest_outage_running() -> str:
    return _or_none(f"max({down_for()})")


def conversations_affected_now() -> str:
    """A channel with several devices that are down counts once."""
    of_each_channel = f"max by (channel_id) ({c.DEVICE_AFFECTED_CONVERSATIONS}{{{SELECTED}}})"
    return _or_none(f"sum({of_each_channel})")


def longest_down() -> str:
    return f"topk({ROWS}, {down_for()})"


def of_the_longest_down(expr: str) -> str:
    return f"({expr}) and on (device_id) {longest_down()}"


def nobody_has() -> str:
    """Devices past their threshold that nobody has said to have, for how long they are down."""
    told = f"max by (device_id) ({c.DEVICE_ALERT_DELIVERED}{{{SELECTED}}})"
    held = f"max by (device_id) ({c.DEVICE_ACKNOWLEDGED}{{{SELECTED}}})"
    return f"topk({ROWS}, {down_for()} and on (device_id) {told} unless on (device_id) {held})"


def time_to_acknowledge(share: str) -> str:
    """Seconds within which a share of the outages of a day was acknowledged."""
    return f"histogram_quantile({share}, sum by (le) (increase({c.INCIDENT_ACKNOWLEDGE}_bucket[1d])))"


def down_since() -> str:
    """In milliseconds, as date units want it."""
    return of_the_longest_down(f"1000 * max by (device_id) ({c.DEVICE_DOWN_SINCE}{{{SELECTED}}})")


def of_each_longest_down(metric: str) -> str:
    return of_the_longest_down(f"max by (device_id) ({metric}{{{SELECTED}}})")


def past_threshold(delivered: int) -> str:
    """Devices down past their threshold whose direct alert was (1) or was not (0) delivered."""
    return _or_none(f"sum({one_per_device(c.DEVICE_ALERT_DELIVERED)} == bool {delivered})")


def in_maintenance() -> str:
    return _or_none(f"sum({one_per_device(c.DEVICE_MAINTENANCE)})")


def of_each_pair(metric: str) -> str:
    """Of each channel that has a backup channel."""
    return f"max {PAIR} ({metric})"


def _pair_growth(metric: str) -> str:
    now = of_each_pair(metric)
    return f"({now} - (max {PAIR} ({metric} offset {RANGE}) or min_over_time({now}[{RANGE}:$__interval])))"


def both_down() -> str:
    """Seconds within the range in which neither the channel nor its backup was up."""
    return _pair_growth(c.FAILOVER_GROUP_DOWNTIME)


def availability_of_each_pair() -> str:
    return f"clamp(1 - {both_down()} / ({_pair_growth(c.FAILOVER_GROUP_OBSERVED)} > 0), 0, 1)"


# Within the dashboard's range --------------------------------------------------------------------------------
def downtime_by_channel() -> str:
    by = "by (channel_id, channel_name, business_id, business_name)"
    total = f"topk(10, sum {by} (sum_over_time({DOWNTIME}{{{SELECTED}}}[{RANGE}])))"
    return called(total, "channel", "business")


def pieces_of_the_worst() -> str:
    """0 where one of the 20 devices that were down longest within the range was down at all, else nothing."""
    worst = f"topk(20, sum by (device_id) (sum_over_time({DOWNTIME}{{{SELECTED}}}[{RANGE}] @ end())))"
    down = f"max {NAMED_DEVICE} (max_over_time({DOWNTIME}{{{SELECTED}}}[$__interval]))"
    return called(f"0 * ({down} and on (device_id) {worst})", "device", "business")


# Alerts ------------------------------------------------------------------------------------------------------
FIRING: Final = 'alertstate="firing", alertname!="Watchdog", business_id=~"$business|", engine=~"$engine|"'
"""Alerts of the chosen businesses and engines, and those of no business or engine; not the one that always fires."""
_AS_ALERT: Final = (
    'label_replace(label_replace(%s, "alertname", "EngineOutage", "", ""), "severity", "critical", "", "")'
)


def firing(severity: str = "") -> str:
    """Since when each alert fires: those of Prometheus, and mass outages, which the exporter tells directly.

    The tiles count what the table lists.
    """
    labels = "alertname, severity, engine, business_id, device_id, device_name"
    some = f'severity="{severity}", {FIRING}' if severity else FIRING
    alerts = f"max by ({labels}) (ALERTS_FOR_STATE and ignoring (alertstate) ALERTS{{{some}}})"
    if severity not in ("", "critical"):
        return alerts
    return f"({_AS_ALERT % _mass_outages(MASS_OUTAGE_SINCE)} or on (alertname, engine) {alerts})"


def _mass_outages(metric: str) -> str:
    return f'{metric}{{engine=~"$engine"}}'


def firing_by_severity(severity: str) -> str:
    return f"count({firing(severity)}) or vector(0)"


def firing_for() -> str:
    """Seconds, with what a row shows besides."""
    return called(f"topk({ROWS}, time() - {firing()})", "device", "business")


def devices_of_mass_outages() -> str:
    return _AS_ALERT % _mass_outages(MASS_OUTAGE)


def firing_by_name() -> str:
    return f"count by (alertname) (ALERTS{{{FIRING}}})"


# Annotations -------------------------------------------------------------------------------------------------
def mass_outage() -> str:
    return _mass_outages(MASS_OUTAGE)
