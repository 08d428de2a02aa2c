"""PromQL about the exporter itself and about gateways, each function named by the question that it answers."""

from __future__ import annotations

from exporter import conventions as c
from grafana.source.queries import self_metric
from prometheus import slo_rules


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


def some(expr: str, least: str = "0") -> str:
    """Leave out what is nothing."""
    return f"{expr} > {least}"


def everywhere(name: str, by: str) -> str:
    """Rate a minute over all exporters together, for dashboards that do not choose an instance."""
    return f"60 * sum by ({by}) (rate({self_metric(name)}[$__rate_interval]))"


# Blind time ------------------------------------------------------------------------------------------------------
def blind_now() -> str:
    metric = self_metric("blind_seconds_total")
    return f"max({metric} - {metric} offset 5m) > 0"


def blind(window: str) -> str:
    """Seconds, by each exporter's own word: what a new `instance` has from before its first scrape does not count."""
    metric = self_metric("blind_seconds_total")
    return f"max({metric} - ({metric} offset {window} or min_over_time({metric}[{window}])))"


# Gateways --------------------------------------------------------------------------------------------------------
def of_gateways(metric: str) -> str:
    return f"max by (gateway) ({metric})"


def state_read_ago() -> str:
    return f"time() - max by (gateway) ({c.GATEWAY_STATE_READ})"


def silent_for() -> str:
    return f"time() - max by (gateway, device_id) ({c.GATEWAY_SILENT_SINCE})"


def within_an_hour(name: str, by: str) -> str:
    """What a counter of all exporters together gained in an hour: a difference of sums; a new series counts from 0."""
    now, then = (f"max by ({by}) ({name}{offset})" for offset in ("", " offset 1h"))
    return f"{now} - ({then} or 0 * {now} and on () {slo_rules.watched('1h')}) > 0"
