"""PromQL of objectives, budgets and burn rates, each function named by the question that it answers.

Recorded series are read where they exist, the counters themselves elsewhere (history that was filled in).
"""

from __future__ import annotations

from typing import Final

from exporter import conventions as c
from grafana.source.queries import GROUP, ROWS, SECONDS, SELECTED
from prometheus import slo_rules

PERIOD: Final = slo_rules.WINDOWS[-1]


def objective() -> str:
    """The policy of that time; where none was recorded (history that was filled in), the newest one of the range."""
    policy = f'max by (engine) ({c.POLICY_OBJECTIVE}{{engine=~"$engine"}}'
    return f"({policy}) or {policy} @ end()))"


def _increase(recorded: str, metric: str, window: str) -> str:
    now, then = (f"max {GROUP} ({metric}{{{SELECTED}}}{offset})" for offset in ("", f" offset {window}"))
    since = f"({then} or 0 * {now} and on () {slo_rules.watched(window)})"
    return f"({recorded}{{{SELECTED}}} or ({now} - {since}))"


def downtime(window: str) -> str:
    return _increase(slo_rules.downtime(window), c.FLEET_DOWNTIME, window)


def observed(window: str) -> str:
    return _increase(slo_rules.observed(window), c.FLEET_OBSERVED, window)


def _summed(expr: str, by: str) -> str:
    return {"engine_business": expr, "engine": f"sum by (engine) {expr}", "fleet": f"sum {expr}"}[by]


def availability(by: str, window: str) -> str:
    return f"clamp_min(1 - {_summed(downtime(window), by)} / ({_summed(observed(window), by)} > 0), 0)"


def fleet_objective(window: str) -> str:
    """The objectives of the engines, weighted by the time that each was observed."""
    seen = _summed(observed(window), "engine")
    return f"(sum({seen} * on (engine) {objective()}) / (sum({seen} and on (engine) {objective()}) > 0))"


def meets_objective(by: str, window: str, *, met: bool) -> str:
    """The availability where it meets (or misses) its objective, else nothing: colours follow the policy."""
    sign = ">=" if met else "<"
    if by == "fleet":
        return f"{availability(by, window)} {sign} on () {fleet_objective(window)}"
    return f"{availability(by, window)} {sign} on (engine) group_left () {objective()}"


def burn(by: str, window: str) -> str:
    down, seen = _summed(downtime(window), by), _summed(observed(window), by)
    return f"({down} / clamp_min({seen}, {SECONDS[window]}) / on (engine) group_left () (1 - {objective()}))"


def budget_left(by: str) -> str:
    window = PERIOD.name
    if by != "fleet":
        return f"(1 - {burn(by, window)})"
    seen = _summed(observed(window), "engine")
    allowed = f"sum(clamp_min({seen}, {PERIOD.seconds}) * on (engine) (1 - {objective()}))"
    return f"(1 - {_summed(downtime(window), by)} / {allowed})"


def worst_groups() -> str:
    return f"bottomk({ROWS}, {budget_left('engine_business')})"


def of_the_worst_groups(expr: str) -> str:
    return f"({expr}) and on (engine, business_id) {worst_groups()}"


def business_named(expr: str) -> str:
    names = f"topk by (business_id) (1, max by (business_id, business_name) ({c.DEVICE_INFO}{{{SELECTED}}}))"
    return f"({expr}) * on (business_id) group_left (business_name) {names} or on (engine, business_id) {expr}"


def objective_of_the_worst_groups() -> str:
    return of_the_worst_groups(f"0 * {observed(PERIOD.name)} + on (engine) group_left () {objective()}")


def downtime_allowed_left() -> str:
    """Seconds that the devices of a group may still be down before its budget is gone; below 0 overdrawn."""
    window = PERIOD.name
    allowed = f"clamp_min({observed(window)}, {PERIOD.seconds}) * on (engine) group_left () (1 - {objective()})"
    return of_the_worst_groups(f"{allowed} - {downtime(window)}")


def budget_burn_down() -> str:
    """The budget of the dashboard's range, as far as it was left at each point, by engine."""
    down, seen = (f"max {GROUP} ({metric}{{{SELECTED}}}%s)" for metric in (c.FLEET_DOWNTIME, c.FLEET_OBSERVED))
    used = f"sum by (engine) ({down % ''} - ({down % ' @ start()'} or 0 * {down % ''}))"
    time = f"sum by (engine) ({seen % ' @ end()'} - ({seen % ' @ start()'} or 0 * {seen % ' @ end()'}))"
    return f"1 - {used} / clamp_min({time}, $__range_s) / on (engine) (1 - {objective()})"


def groups_exhausted() -> str:
    return f"count({budget_left('engine_business')} <= 0) or 0 * count({budget_left('engine_business')})"


def groups_burning(rows: tuple[slo_rules.Burn, ...]) -> str:
    """How many groups an alert of these rows fires for."""

    def both(row: slo_rules.Burn) -> str:
        long, short = (f"{burn('engine_business', window)} > {row.factor}" for window in (row.long, row.short))
        return f"({long} and {short})"

    return f"count({' or '.join(both(row) for row in rows)}) or 0 * count({burn('engine_business', '1h')})"
