"""PromQL of objectives, budgets and burn rates, each function named by the question that it answers.

Figures of now are what the rules recorded: every query reads a few series of each business and computes nothing over
time. Lines over days read the sums themselves, so that history that was filled in shows, too. The formula is that of
the rules: the budget of an engine, or of the fleet, is the sum of those of its businesses.
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


def downtime(window: str) -> str:
    return f"{slo_rules.downtime(window)}{{{SELECTED}}}"


def observed(window: str) -> str:
    return f"{slo_rules.observed(window)}{{{SELECTED}}}"


def _summed(expr: str, by: str) -> str:
    return {"engine_business": f"({expr})", "engine": f"sum by (engine) ({expr})", "fleet": f"sum({expr})"}[by]


def availability(by: str, window: str) -> str:
    return f"clamp(1 - {_summed(downtime(window), by)} / ({_summed(observed(window), by)} > 0), 0, 1)"


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


def _at_least_one_device(window: str) -> str:
    return f"clamp_min({observed(window)}, {SECONDS[window]})"


def burn_of_engines(window: str) -> str:
    down, seen = _summed(downtime(window), "engine"), _summed(_at_least_one_device(window), "engine")
    return f"({down} / {seen} / on (engine) group_left () (1 - {objective()}))"


def burn_of_groups(window: str) -> str:
    return f"{slo_rules.burn('engine_business', window)}{{{SELECTED}}}"


def budget_left(by: str) -> str:
    window = PERIOD.name
    if by == "engine_business":
        return f"{slo_rules.budget_remaining(by)}{{{SELECTED}}}"
    if by == "engine":
        return f"(1 - {burn_of_engines(window)})"
    allowed = f"sum({_summed(_at_least_one_device(window), 'engine')} * on (engine) (1 - {objective()}))"
    return f"(1 - {_summed(downtime(window), by)} / {allowed})"


def worst_groups() -> str:
    return f"bottomk({ROWS}, {budget_left('engine_business')})"


def of_the_worst_groups(expr: str) -> str:
    """Return them without a name: rows of a table that differ in it are not merged into one."""
    return f"max {GROUP} ({expr}) and on (engine, business_id) {worst_groups()}"


def objective_of_the_worst_groups() -> str:
    return of_the_worst_groups(f"0 * {observed(PERIOD.name)} + on (engine) group_left () {objective()}")


def downtime_allowed_left() -> str:
    """Seconds that the devices of a group may still be down before its budget is gone; below 0 overdrawn."""
    window = PERIOD.name
    allowed = f"{_at_least_one_device(window)} * on (engine) group_left () (1 - {objective()})"
    return of_the_worst_groups(f"{allowed} - {downtime(window)}")


def budget_burn_down() -> str:
    """The budget of the dashboard's range, as far as it was left at each point, by engine."""
    down, seen = (
        f"max {GROUP} ({metric}{{{SELECTED}}}%s)" for metric in (c.FLEET_DOWNTIME_KNOWN, c.FLEET_OBSERVED_KNOWN)
    )
    used = f"sum by (engine) ({down % ''} - ({down % ' @ start()'} or 0 * {down % ''}))"
    time = f"{seen % ' @ end()'} - ({seen % ' @ start()'} or 0 * {seen % ' @ end()'})"
    return f"1 - {used} / sum by (engine) (clamp_min({time}, $__range_s)) / on (engine) (1 - {objective()})"


def availability_over_a_day() -> str:
    """By engine, at each point of the 24 hours before it."""
    down, seen = (
        f"sum by (engine) (max {GROUP} ({metric}{{{SELECTED}}}) - "
        f"(max {GROUP} ({metric}{{{SELECTED}}} offset 1d) or 0 * max {GROUP} ({metric}{{{SELECTED}}})"
        f" and on () {slo_rules.watched('1d')}))"
        for metric in (c.FLEET_DOWNTIME_KNOWN, c.FLEET_OBSERVED_KNOWN)
    )
    return f"clamp(1 - {down} / ({seen} > 0), 0, 1)"


def groups_exhausted() -> str:
    left = budget_left("engine_business")
    return f"count({left} <= 0) or 0 * count({left})"


def groups_burning(rows: tuple[slo_rules.Burn, ...]) -> str:
    """How many groups burn as fast as an alert of these rows asks."""

    def both(row: slo_rules.Burn) -> str:
        long, short = (f"{burn_of_groups(window)} > {row.factor}" for window in (row.long, row.short))
        return f"({long} and on (engine, business_id) {short})"

    return (
        f"count({' or on (engine, business_id) '.join(both(row) for row in rows)}) or 0 * count({burn_of_groups('1h')})"
    )
