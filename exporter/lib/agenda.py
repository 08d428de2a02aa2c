"""What is due at a time, the earliest first. No clock: `now` is an argument."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

Item = TypeVar("Item")


class Agenda(Generic[Item]):
    """Items with their times. What is over is not taken out: whoever pops an item judges whether it still holds."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Item]] = []
        self._number = count()  # items of one time stay in order, and are never compared

    def __len__(self) -> int:
        """Return how many items wait."""
        return len(self._heap)

    def add(self, at: float, item: Item) -> None:
        """Put an item down for a time."""
        heappush(self._heap, (at, next(self._number), item))

    def pop_due(self, now: float) -> Item | None:
        """Take out the earliest item that is due; None: there is none."""
        return heappop(self._heap)[2] if self._heap and self._heap[0][0] <= now else None

    def next_at(self) -> float | None:
        """Return the time of the earliest item."""
        return self._heap[0][0] if self._heap else None

    def clear(self) -> None:
        """Drop everything."""
        self._heap.clear()

    def thin(self, key: Callable[[Item], Hashable | None]) -> None:
        """Keep one item for each key, and none whose key is None."""
        kept = {key(entry[2]): entry for entry in self._heap}
        kept.pop(None, None)
        self._heap = list(kept.values())
        heapify(self._heap)
