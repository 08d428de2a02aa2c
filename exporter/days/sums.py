"""The local days of one device as sums of whole milliseconds, equal to a report's figures for any span of days.

Pure: no clock. Only days that are out of the ordinary have a sum of their own; on all others the device was up and
observed from midnight to midnight. What comes after the last change follows from the device's state (`Tail`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from exporter.lib.times import local
from exporter.report.device_account import Window
from exporter.report.intervals import intersect, spread, subtract, total

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import tzinfo

    from exporter.domain.records import Blind, History
    from exporter.report.intervals import Interval


class Day(msgspec.Struct, frozen=True, gc=False):
    """One local day, or as much of it as has passed: [start, end) in Unix seconds, the sums in milliseconds."""

    start: int
    end: float
    observed_ms: int = 0
    """Without blind and planned time; 0: nothing is known of this day."""
    down_ms: int = 0
    planned_ms: int = 0
    blind_ms: int = 0
    outages: int = 0
    """Begun on this day."""

    @property
    def observed_seconds(self) -> float:
        """What `down_ms` is a part of."""
        return self.observed_ms / 1000

    @property
    def downtime_seconds(self) -> float:
        """Downtime that counts."""
        return self.down_ms / 1000


def sum_of(days: Sequence[Day]) -> Day:
    """Return the same day of several devices, or groups, together."""
    first = days[0]
    return Day(
        first.start,
        first.end,
        sum(day.observed_ms for day in days),
        sum(day.down_ms for day in days),
        sum(day.planned_ms for day in days),
        sum(day.blind_ms for day in days),
        sum(day.outages for day in days),
    )


class Tail(msgspec.Struct, frozen=True, gc=False):
    """What a device is since the second after its last change."""

    since: int
    """Unix seconds."""
    observed: bool
    up: bool
    planned: bool

    def day(self, start: int, end: float, blind: Sequence[Interval]) -> Day:
        """Return the sums of a time that lies wholly after `since`."""
        whole = [(start * 1000, round(end * 1000))]
        if not self.observed or end <= start:
            return Day(start, end)
        unheard = total(intersect(whole, blind))
        heard = total(whole) - unheard
        if self.planned:
            return Day(start, end, planned_ms=heard, blind_ms=unheard)
        return Day(start, end, heard, 0 if self.up else heard, 0, unheard)


def midnight(at: float, zone: tzinfo) -> int:
    """Return when the local day began that a time lies in."""
    return _begin(local(at, zone))


def midnights(first: float, last: float, zone: tzinfo) -> list[int]:
    """Return the begins of the days from that of `first` to that of `last`, and the end of the last one."""
    day, end = local(first, zone), local(last, zone) + timedelta(days=1)
    found = []
    while day.date() <= end.date():
        found.append(_begin(day))
        day += timedelta(days=1)
    return found


def last_days(count: int, now: float, zone: tzinfo) -> list[int]:
    """Return the begins of the last days up to today, and the end of today."""
    return midnights((local(now, zone) - timedelta(days=count - 1)).timestamp(), now, zone)


def _begin(day: datetime) -> int:
    return int(day.replace(hour=0, minute=0, second=0, microsecond=0, fold=0).timestamp())


def days_of(history: History, edges: Sequence[int], until: float, blind: Iterable[Blind]) -> list[Day]:
    """Return the days between edges as a report up to `until` has them; days after that are left out."""
    edges = [edge for edge in edges if edge < until]
    if not edges:
        return []
    account = Window(edges[0], until, blind=blind).account(history)
    whole = [*(edge * 1000 for edge in edges), round(until * 1000)]
    begun = Counter(bisect_right(whole, start) - 1 for start in account.begun)
    observed, down = spread(account.counted, whole), spread(account.down, whole)
    planned, unheard = spread(account.planned, whole), spread(account.blind, whole)
    ends = [*edges[1:], until]
    return [
        Day(edge, ends[place], observed[place], down[place], planned[place], unheard[place], begun[place])
        for place, edge in enumerate(edges)
    ]


def unusual(history: History, edges: Sequence[int]) -> set[int]:
    """Return the places of the days on which a device was not simply up all day, whatever of that counts."""
    last = edges[-1]
    observed = [(start, last if end is None else end) for start, end in history.observed]
    spans = subtract([(edges[0], last)], observed)
    spans += [(start, last if end is None else end) for start, end in history.planned]
    spans += [(outage.start, last if outage.end is None else outage.end) for outage in history.outages]
    spans += history.blind
    return {place for span in spans for place in _places(span, edges)}


def _places(span: Interval, edges: Sequence[int]) -> range:
    """Return the days that a span touches; one without length touches the day that it lies in."""
    first = bisect_right(edges, span[0]) - 1
    last = max(bisect_left(edges, span[1]), first + 1)
    return range(max(0, first), min(last, len(edges) - 1))


def tail_of(history: History) -> Tail:
    """Return what a device is since its last change."""
    outages = ((outage.start, outage.end) for outage in history.outages)
    spans = [*history.observed, *history.planned, *history.blind, *outages]
    newest = max((start if end is None else end for start, end in spans), default=0)
    observed = bool(history.observed) and history.observed[-1][1] is None
    down = bool(history.outages) and history.outages[-1].end is None
    planned = bool(history.planned) and history.planned[-1][1] is None
    return Tail(newest + 1, observed=observed, up=not down, planned=planned)
