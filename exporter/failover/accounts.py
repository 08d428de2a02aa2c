"""The counters of one group: how long it was observed, and how long neither channel was up; planned time in neither.

The sums come from the journal's histories, so late events correct them. What lies further back than `lag` is settled:
summed up and kept, because retention drops the events it came from. What was exposed never decreases: where a
correction lowers a sum, the counter stands still until the sum has caught up.
Times are Unix seconds by event time. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from exporter.report.groups import OPEN, down_of, observed_of, planned_of
from exporter.report.intervals import intersect, subtract, total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.report.history import History
    from exporter.report.intervals import Interval


class Sums(msgspec.Struct, frozen=True):
    """What must survive a restart. Durations in seconds."""

    until: int = 0
    """Settled up to here."""
    observed: int = 0
    downtime: int = 0
    observed_floor: float = 0.0
    """The last exposed value; likewise the next."""
    downtime_floor: float = 0.0


class Counter:
    """One monotone sum over intervals."""

    def __init__(self, settled: int, floor: float) -> None:
        self.settled = settled
        self.floor = floor
        self._closed = 0
        self._rest: list[Interval] = []

    def take(self, intervals: Sequence[Interval], settle: Interval, now: float) -> None:
        """Take in the intervals from the start of `settle` on; their part inside `settle` is settled."""
        self.settled += total(intersect(intervals, [settle]))
        rest = intersect(intervals, [(settle[1], OPEN)])
        self._closed = total(span for span in rest if span[1] <= now)
        self._rest = [span for span in rest if span[1] > now]

    def value(self, now: float) -> float:
        """Return what to expose; never less than before."""
        running = sum(max(0.0, min(end, now) - start) for start, end in self._rest)
        self.floor = max(self.floor, self.settled + self._closed + running)
        return self.floor


class Account:
    """The two counters of a group."""

    def __init__(self, sums: Sums) -> None:
        self._until = sums.until
        self.observed = Counter(sums.observed, sums.observed_floor)
        self.downtime = Counter(sums.downtime, sums.downtime_floor)

    def take(self, history: History, now: float, lag: float) -> None:
        """Take in the group's history as the journal knows it now; settle what is older than `lag`."""
        until = max(self._until, int(now - lag))
        settle = (self._until, until)
        self._until = until
        planned = planned_of(history)
        self.observed.take(subtract(observed_of(history), planned), settle, now)
        self.downtime.take(subtract(down_of(history), planned), settle, now)

    def sums(self) -> Sums:
        """Return what must survive a restart."""
        return Sums(self._until, self.observed.settled, self.downtime.settled, self.observed.floor, self.downtime.floor)
