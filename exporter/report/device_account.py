"""One device in one window: what counts of it, and what of that was down.

The rules stand in `exporter.report.availability`. Pure: no clock; whole milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from exporter.domain.identity import Identity
from exporter.report.intervals import Interval, intersect, merge, milliseconds, subtract, total

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from exporter.report.history import History


class DeviceAccount(msgspec.Struct, frozen=True, gc=False):
    """One device's account in one window."""

    identity: Identity
    counted: list[Interval]
    """Observed time without blind and planned time."""
    down: list[Interval]
    """Downtime within `counted`."""
    blind_ms: int
    planned_ms: int
    begun: int
    """Outages begun in the window."""
    repaired: int
    """Outages that a connect ended in the window."""
    repair_ms: int
    """Their whole lengths, summed."""
    longest_ms: int


class _Stretch(msgspec.Struct, frozen=True, gc=False):
    """A whole outage, in milliseconds, cut at the window's end."""

    start: int
    end: int
    repaired: bool


class Window:
    """The window [start, end) in Unix seconds and what is blind in it. `end` must not lie ahead of now."""

    def __init__(self, start: float, end: float, *, blind: Iterable[tuple[float, float]] = ()) -> None:
        if not start < end:
            raise ValueError("the window must end after it starts")
        self.start, self.end = milliseconds(start), milliseconds(end)
        self._all = [(self.start, self.end)]
        self._blind = _merged(blind)

    def account(self, history: History) -> DeviceAccount:
        """Return one device's account."""
        known = [(start * 1000, self.end if end is None else end * 1000) for start, end in history.observed]
        spans = intersect(merge(known), self._all)
        planned = [(start * 1000, self.end if end is None else end * 1000) for start, end in history.planned]
        uncounted = merge([*self._blind, *planned]) if planned else self._blind
        blind, counted = intersect(spans, self._blind), subtract(spans, uncounted)
        outages = [stretch for stretch in self._outages(history) if not _inside(stretch, uncounted)]
        repaired = [stretch for stretch in outages if stretch.repaired]
        return DeviceAccount(
            identity=history.identity,
            counted=counted,
            down=intersect(merge((outage.start, outage.end) for outage in outages), counted),
            blind_ms=total(blind),
            planned_ms=total(spans) - total(counted) - total(blind),
            begun=sum(self.start <= outage.start for outage in outages),
            repaired=len(repaired),
            repair_ms=sum(outage.end - outage.start for outage in repaired),
            longest_ms=max((outage.end - outage.start for outage in outages), default=0),
        )

    def _outages(self, history: History) -> Iterator[_Stretch]:
        """Yield the outages that run or end in the window. A device forgotten while down was not repaired."""
        forgotten = {end for _, end in history.observed if end is not None}
        last = history.observed[-1][1] if history.observed else None
        for outage in history.outages:
            ended = outage.end if outage.end is not None else last
            start, end = outage.start * 1000, self.end if ended is None else ended * 1000
            if start < self.end and end >= self.start:
                repaired = ended is not None and ended not in forgotten and end < self.end
                yield _Stretch(start, min(end, self.end), repaired)


def _inside(outage: _Stretch, uncounted: list[Interval]) -> bool:
    """Return whether the whole outage lies in time that does not count; one without length by its only second."""
    return any(start <= outage.start < end and outage.end <= end for start, end in uncounted)


def _merged(intervals: Iterable[tuple[float, float]]) -> list[Interval]:
    return merge((milliseconds(start), milliseconds(end)) for start, end in intervals)
