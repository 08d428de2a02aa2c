"""The policy families of a window. The journal knows no earlier policies, so today's stands for all of the past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exporter import conventions as names
from exporter.metrics.exposition.lines import Family, tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from exporter.backfill.labels import Labels
    from exporter.backfill.steps import Steps
    from exporter.domain.policy import Policies, Policy

_VALUES: Final[dict[str, Callable[[Policy], float | None]]] = {
    names.POLICY_ALERT_AFTER: lambda policy: policy.alert_after,
    names.POLICY_ESCALATE_AFTER: lambda policy: policy.escalate_after,
    names.POLICY_OBJECTIVE: lambda policy: policy.objective_ratio,
    names.POLICY_SEVERITY: lambda _: 1,
}

FAMILIES: Final = tuple(Family(name, "gauge", names.HELP[name]) for name in _VALUES)


def policy_lines(
    family: str, policies: Policies, engines_seen: Iterable[str], steps: Steps, labels: Labels
) -> Iterator[bytes]:
    """Yield the samples of one family for the engines of the policy and those of the journal, as the exporter does."""
    of_severity = family == names.POLICY_SEVERITY
    write_labels = labels.writer(("engine", "severity") if of_severity else ("engine",))
    for engine in sorted({*policies.engines, *engines_seen}):
        policy = policies.for_engine(engine)
        value = _VALUES[family](policy)
        if value is not None:
            values = (engine, policy.severity) if of_severity else (engine,)
            sample = family.encode() + write_labels(values) + tail(value)[:-1]
            for times in steps.pieces(steps.start, steps.end):
                yield b"".join([b"%b %d\n" % (sample, at) for at in times])
