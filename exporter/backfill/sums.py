"""Sums over devices at every step, in a temporary file, so that memory grows with neither devices nor window.

Each number is kept as its changes from step to step; adding an interval changes two places, whatever its length. A
sum over intervals grows by their count each second: `since` holds the constant part, so that at time t the sum is
`since + running * t`. Whole seconds.
"""

from __future__ import annotations

import mmap
import tempfile
from itertools import accumulate
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from exporter.backfill.steps import Steps

BYTES = 8


class Sums:
    """Numbers by (row, field) at every step. Rows come from a list that is known beforehand."""

    def __init__(self, rows: int, fields: Sequence[str], steps: Steps) -> None:
        self._steps = steps
        self._fields = {field: index for index, field in enumerate(fields)}
        self._width = steps.count + 1  # the last place takes what happens after the window
        size = max(1, rows * len(self._fields) * self._width * BYTES)
        self._file = tempfile.TemporaryFile(prefix="backfill-")  # noqa: SIM115 - closed in close()
        self._file.truncate(size)
        self._map = mmap.mmap(self._file.fileno(), size)
        self._numbers = memoryview(self._map).cast("q")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the file."""
        self._numbers.release()
        self._map.close()
        self._file.close()

    def change(self, row: int, field: str, at: float, by: int) -> None:
        """Add a number from a time on; a time before the window counts from its first step."""
        self._numbers[self._place(row, field) + self._steps.index(at)] += by

    def interval(self, row: int, running: str, since: str, start: int, end: int | None) -> None:
        """Add an interval [start, end) to a sum of lengths; it has no end while it runs."""
        self.change(row, running, start, 1)
        self.change(row, since, start, -start)
        if end is not None:
            self.change(row, running, end, -1)
            self.change(row, since, end, end)

    def values(self, row: int, field: str) -> Iterator[int]:
        """Yield the number at each step."""
        first = self._place(row, field)
        return accumulate(self._numbers[index] for index in range(first, first + self._steps.count))

    def _place(self, row: int, field: str) -> int:
        return (row * len(self._fields) + self._fields[field]) * self._width
