"""Writes a window of history as OpenMetrics 1.0 with timestamps.

Guarantees: the samples of a family, and of a series within it, stand together with ascending times; memory does not
grow with the window or the fleet (histories are read once a family). Fleet sums take a temporary file of
40 bytes a step and group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from exporter.backfill import devices, fleet, policy
from exporter.backfill.fleet import FleetSums
from exporter.backfill.labels import Labels
from exporter.domain.policy import Policies
from exporter.metrics.exposition.lines import END, Family

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from exporter.backfill.fleet import Group
    from exporter.backfill.steps import Steps
    from exporter.report.history import History, Source

FAMILY_NAMES = (
    *(spec.family.name for spec in devices.FAMILIES),
    *(family.name for family in (*fleet.FAMILIES, *policy.FAMILIES)),
)


class Backfill:
    """One run. `labels` go on every sample; `on_progress` is called with the number of families done, in fractions."""

    def __init__(
        self,
        source: Source,
        steps: Steps,
        out: BinaryIO,
        on_progress: Callable[[float], None] = lambda _: None,
        *,
        policies: Policies | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self._source, self._steps, self._out, self._on_progress = source, steps, out, on_progress
        self._policies, self._labels = policies or Policies(), Labels(labels or {})
        self._done = 0
        self.samples = 0

    def write(self, only: Iterable[str] = FAMILY_NAMES) -> None:
        """Write the families; the order is always the same. Raises JournalUnavailable, OSError."""
        wanted = set(only)
        for spec in devices.FAMILIES:
            if spec.family.name in wanted:
                self._family(spec.family, devices.device_lines(spec, self._histories(), self._steps, self._labels))
        if wanted & {family.name for family in (*fleet.FAMILIES, *policy.FAMILIES)}:
            groups = self._groups()
            self._fleet(wanted, groups)
            self._policy(wanted, {engine for engine, _ in groups})
        self._out.write(END)

    def _groups(self) -> set[Group]:
        return {(history.identity.engine, history.identity.business_id) for history in self._source.histories()}

    def _policy(self, wanted: set[str], engines: set[str]) -> None:
        for family in policy.FAMILIES:
            if family.name in wanted:
                lines = policy.policy_lines(family.name, self._policies, engines, self._steps, self._labels)
                self._family(family, lines)

    def _fleet(self, wanted: set[str], groups: set[Group]) -> None:
        if not wanted & {family.name for family in fleet.FAMILIES}:
            return
        with FleetSums(groups, self._steps, self._labels) as sums:
            for history in self._histories():
                sums.add(history)
            for family in fleet.FAMILIES:
                if family.name in wanted:
                    self._family(family, sums.lines(family.name))

    def _histories(self) -> Iterator[History]:
        """Yield all histories and tell how far the family is."""
        count = max(1, self._source.device_count())
        for number, history in enumerate(self._source.histories()):
            self._on_progress(self._done + number / count)
            yield history

    def _family(self, family: Family, lines: Iterable[bytes]) -> None:
        self._out.write(family.header(openmetrics=True))
        for piece in lines:
            self._out.write(piece)
            self.samples += piece.count(b"\n")
        self._done += 1
        self._on_progress(self._done)
