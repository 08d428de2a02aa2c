"""One device in one window: what counts of it, and what of that was down.

The rules stand in `exporter.report.availability`. Pure: no clock; whole milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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
    blind: list[Interval]
    """Observed time in which events could be lost unheard."""
    planned: list[Interval]
    """Observed time in planned windows that was not blind."""
    begun: list[int]
    """When the outages began that began in the window, Unix milliseconds."""
    repaired: int
    """Outages that a connect ended in the window."""
    repair_ms: int
    """Their whole lengths, summed."""
    longest_ms: int
    reasons: list[str]
    """Why outages began that began in the window, where a gateway told."""

    @property
    def blind_ms(self) -> int:
        """Summed."""
        return total(self.blind)

    @property
    def planned_ms(self) -> int:
        """Summed."""
        return total(self.planned)


class _Stretch(msgspec.Struct, frozen=True, gc=False):
    """A whole outage, in milliseconds."""

    start: int
    end: int
    """`OPEN` while it runs."""
    repaired: bool


OPEN: Final = 1 << 62
"""The end of what runs, in milliseconds."""


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
        spans = intersect(merge(_spans(history.observed)), self._all)
        blind = merge([*self._blind, *_spans(history.blind)]) if history.blind else self._blind
        uncounted = merge([*blind, *_spans(history.planned)]) if history.planned else blind
        counted = subtract(spans, uncounted)
        outages = [stretch for stretch in self._outages(history) if not _inside(stretch, uncounted)]
        ends = [min(outage.end, self.end) for outage in outages]
        lengths = [end - outage.start for outage, end in zip(outages, ends, strict=True)]
        repairs = [length for outage, length in zip(outages, lengths, strict=True) if outage.repaired]
        begun = [outage.start for outage in outages if self.start <= outage.start]
        return DeviceAccount(
            identity=history.identity,
            counted=counted,
            down=intersect(merge(zip((outage.start for outage in outages), ends, strict=True)), counted),
            blind=intersect(spans, blind),
            planned=subtract(subtract(spans, counted), blind) if history.planned else [],
            begun=begun,
            repaired=len(repairs),
            repair_ms=sum(repairs),
            longest_ms=max(lengths, default=0),
            reasons=[history.reasons[at // 1000] for at in begun if at // 1000 in history.reasons],
        )

    def _outages(self, history: History) -> Iterator[_Stretch]:
        """Yield the outages that run or end in the window. A device forgotten while down was not repaired."""
        forgotten = {end for _, end in history.observed if end is not None}
        last = history.observed[-1][1] if history.observed else None
        for outage in history.outages:
            ended = outage.end if outage.end is not None else last
            start, end = outage.start * 1000, OPEN if ended is None else ended * 1000
            if start < self.end and end >= self.start:
                yield _Stretch(start, end, ended not in forgotten and end < self.end)


def _inside(outage: _Stretch, uncounted: list[Interval]) -> bool:
    """Return whether the whole outage lies in time that does not count; one without length by its only second.

    The window makes no difference, so that the outages of days add up to those of a month.
    """
    return any(start <= outage.start < end and outage.end <= end for start, end in uncounted)


def _spans(seconds: Iterable[tuple[int, int | None]] | list[tuple[int, int]]) -> list[Interval]:
    return [(start * 1000, OPEN if end is None else end * 1000) for start, end in seconds]


def _merged(intervals: Iterable[tuple[float, float]]) -> list[Interval]:
    return merge((milliseconds(start), milliseconds(end)) for start, end in intervals)
