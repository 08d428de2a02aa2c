"""The policy families of a window. The journal knows no earlier policies, so today's stands for all of the past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exporter import conventions as names
from exporter.metrics.exposition.lines import Family, tail
from exporter.metrics.policy import STEP_LABELS, steps_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from exporter.backfill.labels import Labels
    from exporter.backfill.steps import Steps
    from exporter.domain.policy import Policies, Policy

_VALUES: Final[dict[str, Callable[[Policy], float]]] = {
    names.POLICY_ALERT_AFTER: lambda policy: policy.alert_after,
    names.POLICY_OBJECTIVE: lambda policy: policy.objective_ratio,
    names.POLICY_SEVERITY: lambda _: 1,
}

FAMILIES: Final = tuple(Family(name, "gauge", names.HELP[name]) for name in (*_VALUES, names.POLICY_ESCALATE_AFTER))


def policy_lines(
    family: str, policies: Policies, engines_seen: Iterable[str], steps: Steps, labels: Labels
) -> Iterator[bytes]:
    """Yield the samples of one family for the engines of the policy and those of the journal, as the exporter does."""
    of_severity, of_steps = family == names.POLICY_SEVERITY, family == names.POLICY_ESCALATE_AFTER
    write_labels = labels.writer(STEP_LABELS if of_steps else ("engine", "severity") if of_severity else ("engine",))
    for engine in sorted({*policies.engines, *engines_seen}):
        policy = policies.for_engine(engine)
        severity = (policy.severity,) if of_severity else ()
        found = steps_of(engine, policy) if of_steps else [((engine, *severity), _VALUES[family](policy))]
        for values, value in found:
            sample = family.encode() + write_labels(values) + tail(value)[:-1]
            for times in steps.pieces(steps.start, steps.end):
                yield b"".join([b"%b %d\n" % (sample, at) for at in times])
