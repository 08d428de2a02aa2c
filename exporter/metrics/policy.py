"""The policy file as metrics, so that rules join on the same thresholds that the exporter uses."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from exporter.conventions import (
    HELP,
    POLICY_ALERT_AFTER,
    POLICY_ESCALATE_AFTER,
    POLICY_OBJECTIVE,
    POLICY_SEVERITY,
    POLICY_UTC_OFFSET,
)
from exporter.lib.times import local, zone_name, zone_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client import Metric

    from exporter.domain.policy import Policies, Policy


STEP_LABELS: Final = ("engine", "step", "escalation", "held")


def steps_of(engine: str, policy: Policy) -> list[tuple[tuple[str, str, str, str], float]]:
    """Return the labels and the value of each step of an escalation. `held`: whether an acknowledgement holds it up."""
    return [
        ((engine, str(number), step.to, step.unless or "never"), step.after)
        for number, step in enumerate(policy.steps, 1)
    ]


class PolicyCollector(Collector):
    """One series an engine, for every engine of the file and every engine seen; and what local time is."""

    def __init__(
        self, policies: Callable[[], Policies], engines_seen: Callable[[], Iterable[str]], timezone: Callable[[], str]
    ) -> None:
        self._policies = policies
        self._engines_seen = engines_seen
        self._timezone = timezone

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        policies = self._policies()
        engines = sorted({*policies.engines, *self._engines_seen()})
        alert_after = GaugeMetricFamily(POLICY_ALERT_AFTER, HELP[POLICY_ALERT_AFTER], labels=["engine"])
        escalate_after = GaugeMetricFamily(POLICY_ESCALATE_AFTER, HELP[POLICY_ESCALATE_AFTER], labels=STEP_LABELS)
        objective = GaugeMetricFamily(POLICY_OBJECTIVE, HELP[POLICY_OBJECTIVE], labels=["engine"])
        severity = GaugeMetricFamily(POLICY_SEVERITY, HELP[POLICY_SEVERITY], labels=["engine", "severity"])
        for engine in engines:
            policy = policies.for_engine(engine)
            alert_after.add_metric([engine], policy.alert_after)
            for values, after in steps_of(engine, policy):
                escalate_after.add_metric(values, after)
            objective.add_metric([engine], policy.objective_ratio)
            severity.add_metric([engine, policy.severity], 1)
        yield from (alert_after, escalate_after, objective, severity, self._utc_offset())

    def _utc_offset(self) -> Metric:
        now = local(time.time(), zone_of(self._timezone()))
        family = GaugeMetricFamily(POLICY_UTC_OFFSET, HELP[POLICY_UTC_OFFSET], labels=["zone"])
        family.add_metric([zone_name(now)], (now.utcoffset() or timedelta()).total_seconds())
        return family
