"""PromQL, each function named by the question that it answers.

Rules that hold for all of them: `instance` and `job` are aggregated away, so that several exporters over one journal
count once; what grew in a window is a difference of exact counters, never an extrapolation; per device nothing is
drawn without a top-N or a selection; SLO queries read the recorded series and, where those are missing (history that
was backfilled), the counters themselves.
"""

from __future__ import annotations

from typing import Final

from exporter import conventions as c
from prometheus import slo_rules

SELECTED: Final = 'business_id=~"$business", engine=~"$engine"'
DEVICE_SELECTED: Final = 'device_id="$device"'
DEVICE: Final = "by (device_id, engine, channel_id, business_id)"
GROUP: Final = slo_rules.GROUP
RANGE: Final = "$__range"
ROWS: Final = 100
"""The most rows of a table of devices or of groups."""
SECONDS: Final = {window.name: window.seconds for window in slo_rules.WINDOWS}


def self_metric(name: str) -> str:
    return f"{c.SELF_PREFIX}_{name}"


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
    """Seconds since each device that is down went down."""
    return f"(time() - {one_per_device(c.DEVICE_STATE_CHANGE)} and on (device_id) {one_per_device(c.DEVICE_UP)} == 0)"


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


def down_since() -> str:
    """In milliseconds, as date units want it."""
    return of_the_longest_down(f"1000 * max by (device_id) ({c.DEVICE_STATE_CHANGE}{{{SELECTED}}})")


def of_each_longest_down(metric: str) -> str:
    return of_the_longest_down(f"max by (device_id) ({metric}{{{SELECTED}}})")


def named(expr: str, at: str = "") -> str:
    """Add the names; topk picks one where a renamed device has two for a moment."""
    names = f"max by (device_id, device_name, channel_name, business_name) ({c.DEVICE_INFO}{{{SELECTED}}}{at})"
    joined = "on (device_id) group_left (device_name, channel_name, business_name)"
    return f"({expr}) * {joined} topk by (device_id) (1, {names})"


def past_threshold(delivered: int) -> str:
    """Devices down past their threshold whose direct alert was (1) or was not (0) delivered."""
    return _or_none(f"sum({one_per_device(c.DEVICE_ALERT_DELIVERED)} == bool {delivered})")


def in_maintenance() -> str:
    return _or_none(f"sum({one_per_device(c.DEVICE_MAINTENANCE)})")


PAIR: Final = f"by ({', '.join(c.FAILOVER_LABELS)})"


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
    return f"1 - {both_down()} / ({_pair_growth(c.FAILOVER_GROUP_OBSERVED)} > 0)"


# What grew ---------------------------------------------------------------------------------------------------
def device_growth(metric: str, window: str = RANGE, selected: str = SELECTED, at: str = "") -> str:
    """Growth of a device's counter: from the window's start, or from its first second, or from where it is known.

    Neither time() nor timestamp() may be used here: they would make the query with `@ end()` depend on the step.
    """
    now = f"max {DEVICE} ({metric}{{{selected}}}{at})"
    then = f"max {DEVICE} ({metric}{{{selected}}} offset {window}{at})"
    known = f"min_over_time({one_per_device(metric, selected)}[{window}:$__interval]{at})"
    return f"({now} - ({then} or (0 * {now} and on () {slo_rules.watched(window, at)}) or {known}))"


def by_channel(expr: str) -> str:
    names = f"max by (channel_id, channel_name, business_name) ({c.DEVICE_INFO}{{{SELECTED}}})"
    total = f"topk(10, sum by (channel_id) ({expr}) > 0)"
    return f"{total} * on (channel_id) group_left (channel_name, business_name) topk by (channel_id) (1, {names})"


def downtime_by_channel() -> str:
    return by_channel(device_growth(c.DEVICE_DOWNTIME))


def state_of_the_worst() -> str:
    """0 or 1 over time, of the 20 devices that were down longest within the range.

    What does not depend on the step is pinned to the end, so that it is computed once and not at every step.
    """
    at = " @ end()"
    worst = f"topk(20, {device_growth(c.DEVICE_DOWNTIME, at=at)} > 0)"
    return named(f"{connected_throughout(SELECTED)} and on (device_id) {worst}", at)


def connected_throughout(selected: str) -> str:
    """1 where a device is up and was so since the point before, else 0: no outage hides between two points."""
    up, down = one_per_device(c.DEVICE_UP, selected), one_per_device(c.DEVICE_DOWNTIME, selected)
    before = f"max {DEVICE} ({c.DEVICE_DOWNTIME}{{{selected}}} offset $__interval)"
    return f"({up} * ({down} - {before} <= bool 0) or {up})"


def group_growth(metric: str, window: str) -> str:
    now, then = (f"max {GROUP} ({metric}{{{SELECTED}}}{offset})" for offset in ("", f" offset {window}"))
    return f"({now} - ({then} or 0 * {now} and on () {slo_rules.watched(window)}))"


def outages_by_engine(window: str) -> str:
    return f"sum by (engine) ({group_growth(c.FLEET_DISCONNECTS, window)})"


def finished_outages(suffix: str, window: str, by: str) -> str:
    metric = f'{c.FLEET_OUTAGE_DURATION}_{suffix}{{engine=~"$engine"}}'
    labels = f"engine, {by}" if by != "engine" else "engine"
    return f"sum by ({by}) (max by ({labels}) ({metric}) - max by ({labels}) ({metric} offset {window}))"


def finished_outages_by_duration(window: str) -> str:
    return finished_outages("bucket", window, "le")


def mean_time_to_recover(window: str) -> str:
    """Mean duration of the outages that finished within the window, by engine."""
    return f"{finished_outages('sum', window, 'engine')} / ({finished_outages('count', window, 'engine')} > 0)"


# One device --------------------------------------------------------------------------------------------------
def of_the_device(metric: str) -> str:
    return f"max by (device_id) ({metric}{{{DEVICE_SELECTED}}})"


def device_down_for() -> str:
    return f"time() - {of_the_device(c.DEVICE_STATE_CHANGE)} and {of_the_device(c.DEVICE_UP)} == 0"


def device_state_for() -> str:
    return f"time() - {of_the_device(c.DEVICE_STATE_CHANGE)}"


def device_observed(window: str) -> str:
    seconds = "$__range_s" if "$" in window else str(SECONDS[window])
    return f"clamp_max(time() - {of_the_device(c.DEVICE_FIRST_SEEN)}, {seconds})"


def device_grown(metric: str, window: str) -> str:
    return f"sum by (device_id) ({device_growth(metric, window, DEVICE_SELECTED)})"


def device_availability(window: str) -> str:
    return f"clamp_min(1 - {device_grown(c.DEVICE_DOWNTIME, window)} / {device_observed(window)}, 0)"


def device_objective() -> str:
    engine = f"max by (device_id, engine) ({c.DEVICE_UP}{{{DEVICE_SELECTED}}})"
    policy = f"max by (engine) ({c.POLICY_OBJECTIVE})"
    return f"max by (device_id) (0 * {engine} + on (engine) group_left () {policy})"


def device_meets_objective(window: str, *, met: bool) -> str:
    return f"{device_availability(window)} {'>=' if met else '<'} on (device_id) {device_objective()}"


def device_policy(metric: str) -> str:
    engine = f"max by (device_id, engine) ({c.DEVICE_UP}{{{DEVICE_SELECTED}}})"
    return f"max by (device_id) (0 * {engine} + on (engine) group_left () max by (engine) ({metric}))"


def device_mean_outage(window: str) -> str:
    return f"{device_grown(c.DEVICE_DOWNTIME, window)} / ({device_grown(c.DEVICE_DISCONNECTS, window)} > 0)"


def device_daily(metric: str) -> str:
    """Growth within each day, for bars one day apart."""
    now, then = (f"max by (device_id) ({metric}{{{DEVICE_SELECTED}}}{offset})" for offset in ("", " offset 1d"))
    return f"{now} - ({then} or 0 * {now} and {of_the_device(c.DEVICE_FIRST_SEEN)} > time() - 86400)"


def conversations_on_its_channel() -> str:
    channel = f"max by (channel_id) ({c.DEVICE_UP}{{{DEVICE_SELECTED}}})"
    return f"max by (channel_id) ({c.CHANNEL_ACTIVE_CONVERSATIONS}) and on (channel_id) {channel}"


# Alerts ------------------------------------------------------------------------------------------------------
FIRING: Final = 'alertstate="firing", alertname!="Watchdog", business_id=~"$business|", engine=~"$engine|"'
"""Alerts of the chosen businesses and engines, and those of no business or engine; not the one that always fires."""


def firing_by_severity(severity: str) -> str:
    return f'count(ALERTS{{severity="{severity}", {FIRING}}}) or vector(0)'


def critical_alerts() -> str:
    """Those of Prometheus, and the outages of whole engines, which the exporter tells directly."""
    outages = f'label_replace({mass_outage()}, "alertname", "EngineOutage", "", "")'
    alerts = f'ALERTS{{severity="critical", {FIRING}}}'
    return f"count({alerts} or on (alertname, engine) {outages}) or vector(0)"


def firing() -> str:
    """Each firing alert of Prometheus with its age in seconds."""
    labels = "alertname, severity, engine, business_id, device_id, device_name"
    return f"topk({ROWS}, time() - max by ({labels}) (ALERTS_FOR_STATE and ignoring (alertstate) ALERTS{{{FIRING}}}))"


def firing_by_name() -> str:
    return f"count by (alertname) (ALERTS{{{FIRING}}})"


def alerts_of_the_device() -> str:
    return f'count by (alertname) (ALERTS{{alertstate="firing", device_id!="", {DEVICE_SELECTED}}})'


# The exporter ------------------------------------------------------------------------------------------------
def instances() -> str:
    return f"count({self_metric('build_info')})"


def heard_ago() -> str:
    return f"time() - max({self_metric('last_event_timestamp_seconds')} > 0)"


def per_second(name: str, by: str, where: str = "") -> str:
    return f"sum by ({by}) (rate({self_metric(name)}{{{_where(where)}}}[$__rate_interval]))"


def per_minute(name: str, by: str, where: str = "") -> str:
    return f"60 * {per_second(name, by, where)}"


def failures_in_range(name: str) -> str:
    return f"sum(increase({self_metric(name)}{{{_where('')}}}[$__range]))"


def quantile(share: str, name: str, by: str = "", where: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    inner = f"rate({self_metric(name)}_bucket{{{_where(where)}}}[$__rate_interval])"
    return f"histogram_quantile({share}, sum by ({labels}) ({inner}))"


def mean(name: str, by: str = "instance") -> str:
    total, count = (per_second(f"{name}_{part}", by) for part in ("sum", "count"))
    return f"{total} / ({count} > 0)"


def of_the_instances(name: str) -> str:
    return f"{self_metric(name)}{{{_where('')}}}"


def _where(more: str) -> str:
    instance = 'instance=~"$instance"'
    return f"{instance}, {more}" if more else instance


# Annotations -------------------------------------------------------------------------------------------------
def mass_outage() -> str:
    """Engines of which at least 5 devices, and at least 30 %, are down: what the alert EngineOutage says."""
    down, all_of_them = (
        f'sum by (engine) (max by (engine, business_id, state) ({c.FLEET_DEVICES}{{{state}engine=~"$engine"}}))'
        for state in ('state="down", ', "")
    )
    return f"{down} >= 5 and {down} / {all_of_them} >= 0.3"


def blind_now() -> str:
    metric = self_metric("blind_seconds_total")
    return f"max({metric}) > max({metric} offset 5m)"


def some(expr: str, least: str = "0") -> str:
    """Leave out what is nothing."""
    return f"{expr} > {least}"


def within_an_hour(name: str, by: str) -> str:
    """What a counter that all exporters share gained in an hour: the difference of two sums, exact as they are."""
    return f"max by ({by}) ({name}) - max by ({by}) ({name} offset 1h)"


def everywhere(name: str, by: str) -> str:
    """Rate a minute over all exporters together, for dashboards that do not choose an instance."""
    return f"60 * sum by ({by}) (rate({self_metric(name)}[$__rate_interval]))"


def everywhere_quantile(share: str, name: str) -> str:
    return f"histogram_quantile({share}, sum by (le) (rate({self_metric(name)}_bucket[$__rate_interval])))"


def blind(window: str) -> str:
    metric = self_metric("blind_seconds_total")
    return f"max({metric}) - (max({metric} offset {window}) or min(min_over_time({metric}[{window}])))"
