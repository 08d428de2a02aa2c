"""The device families of a window, one family after the other, one device after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from exporter import conventions as names
from exporter.backfill.states import states
from exporter.metrics.exposition.lines import Family

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from exporter.backfill.labels import Labels
    from exporter.backfill.states import State
    from exporter.backfill.steps import Steps
    from exporter.domain.identity import Identity
    from exporter.report.history import History


class DeviceFamily(NamedTuple):
    """A family, its labels and its value in a state; None where the value moves with the time."""

    family: Family
    labels: Sequence[str]
    value: Callable[[State], int] | None


def _family(name: str, kind: str, value: Callable[[State], int] | None, labels: Sequence[str]) -> DeviceFamily:
    return DeviceFamily(Family(name, kind, names.HELP[name]), sorted(labels), value)  # type: ignore[arg-type]


FAMILIES = (
    _family(names.DEVICE_UP, "gauge", lambda state: int(state.up), names.DEVICE_LABELS),
    _family(names.DEVICE_DISCONNECTS, "counter", lambda state: state.outages, names.DEVICE_LABELS),
    _family(names.DEVICE_DOWNTIME, "counter", None, names.DEVICE_LABELS),
    _family(names.DEVICE_STATE_CHANGE, "gauge", lambda state: state.since, names.DEVICE_LABELS),
    _family(names.DEVICE_FIRST_SEEN, "gauge", lambda state: state.first_seen, names.DEVICE_LABELS),
    _family(names.DEVICE_INFO, "gauge", lambda _: 1, names.INFO_LABELS),
)


def device_lines(spec: DeviceFamily, histories: Iterable[History], steps: Steps, labels: Labels) -> Iterator[bytes]:
    """Yield the samples of one family in pieces."""
    write_labels = labels.writer(spec.labels)
    name = spec.family.name.encode()
    for history in histories:
        prefix = name + write_labels(_values(history.identity, spec.labels))
        for state in states(history):
            for times in steps.pieces(state.at, state.until):
                if spec.value is not None:
                    value = spec.value(state)
                    yield b"".join([b"%b %d %d\n" % (prefix, value, at) for at in times])
                else:
                    yield b"".join([b"%b %d %d\n" % (prefix, state.downtime(at), at) for at in times])


def _values(identity: Identity, labels: Sequence[str]) -> tuple[str, ...]:
    return tuple(getattr(identity, label) for label in labels)
