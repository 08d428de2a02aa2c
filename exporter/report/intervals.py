"""Sets of time as sorted lists of half-open intervals [start, end), in whole milliseconds.

Guarantees: every function takes and returns intervals in order that do not overlap or touch and are not empty
(`merge` makes them so from anything). Pure; costs are linear in the intervals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Interval = tuple[int, int]
"""[start, end) in milliseconds"""


def milliseconds(seconds: float) -> int:
    """Return a time or duration in seconds as whole milliseconds."""
    return round(seconds * 1000)


def merge(intervals: Iterable[Interval]) -> list[Interval]:
    """Return the union of intervals in any order, overlapping and empty ones included."""
    found: list[Interval] = []
    for start, end in sorted(intervals):
        if start >= end:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def intersect(left: Sequence[Interval], right: Sequence[Interval]) -> list[Interval]:
    """Return what lies in both."""
    found: list[Interval] = []
    i = j = 0
    while i < len(left) and j < len(right):
        start, end = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if start < end:
            found.append((start, end))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return found


def subtract(left: Sequence[Interval], right: Sequence[Interval]) -> list[Interval]:
    """Return what lies in `left` and not in `right`."""
    if not right:
        return list(left)
    found: list[Interval] = []
    first = 0
    for start, end in left:
        while first < len(right) and right[first][1] <= start:
            first += 1
        at, index = start, first
        while index < len(right) and right[index][0] < end:
            if at < right[index][0]:
                found.append((at, right[index][0]))
            at = right[index][1]
            index += 1
        if at < end:
            found.append((at, end))
    return found


def total(intervals: Iterable[Interval]) -> int:
    """Return the summed lengths in milliseconds."""
    return sum(end - start for start, end in intervals)


def spread(intervals: Iterable[Interval], edges: Sequence[int]) -> list[int]:
    """Return how many milliseconds fall between each edge and the next; edges ascend."""
    sums = [0] * (len(edges) - 1)
    bucket = 0
    for start, end in intervals:
        while bucket < len(sums) and edges[bucket + 1] <= start:
            bucket += 1
        index = bucket
        while index < len(sums) and edges[index] < end:
            sums[index] += max(0, min(end, edges[index + 1]) - max(start, edges[index]))
            index += 1
    return sums
