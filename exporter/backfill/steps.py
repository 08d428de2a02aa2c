"""The times for which backfill writes samples: multiples of the step, so that two runs write the same ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE: Final = 2_000
"""The most steps that are handled at once, so that memory does not grow with the window."""


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

    def pieces(self, since: float, until: float) -> Iterator[range]:
        """Yield the steps in [since, until), at most PIECE at a time."""
        times = self.times(since, until)
        for first in range(0, len(times), PIECE):
            yield times[first : first + PIECE]

    def index(self, at: float) -> int:
        """Return the number of steps before `at`."""
        return max(0, min(self._first(at), self._first(self.end)) - self._first(self.start)) // self.step

    def _first(self, at: float) -> int:
        """Return the first multiple of the step that is not before `at`."""
        return int(-(-at // self.step)) * self.step
