"""The times for which backfill writes samples: multiples of the step, so that two runs write the same ones."""

from __future__ import annotations

import msgspec


class Steps(msgspec.Struct, frozen=True):
    """Every multiple of `step` in [start, end); whole Unix seconds."""

    start: int
    end: int
    step: int

    def __post_init__(self) -> None:
        if self.step < 1:
            raise ValueError("the step must be at least one second")
        if self.start >= self.end:
            raise ValueError("the window must end after it starts")

    @property
    def count(self) -> int:
        """How many steps there are."""
        return self.index(self.end)

    def times(self, since: float, until: float) -> range:
        """Return the steps in [since, until)."""
        return range(self._first(max(since, self.start)), self._first(min(until, self.end)), self.step)

    def index(self, at: float) -> int:
        """Return the number of steps before `at`."""
        return max(0, min(self._first(at), self._first(self.end)) - self._first(self.start)) // self.step

    def _first(self, at: float) -> int:
        """Return the first multiple of the step that is not before `at`."""
        return int(-(-at // self.step)) * self.step
