"""When a repeated window holds: one iterator over its occurrences, those that touch or overlap joined. Pure.

A day costs a few microseconds whatever the expression is: its minutes are joined once for all days, and only on days on
which the clocks are changed each minute is looked at by itself. A time that the clocks skip is taken as if they had not
been changed yet (02:30 becomes 03:30); of a time that comes twice the first one counts. Durations are elapsed time.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from exporter.lib.cron import Cron, parse_cron

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date
    from zoneinfo import ZoneInfo

HORIZON: Final = 8 * 86_400
"""Occurrences are joined up to a span of so many seconds; the next span then begins where it ends."""
_DAY: Final = timedelta(days=1)
_LAST_MINUTE: Final = timedelta(hours=23, minutes=59)


class Span(NamedTuple):
    """From `start` up to `end`, which is not part of it. Unix seconds."""

    start: int
    end: int


def spans(cron: str, duration: int, zone: ZoneInfo, at: float) -> Iterator[Span]:
    """Yield the spans that end after `at`, in order. A span may begin with any occurrence that led up to it."""
    expression = parse_cron(cron)
    local = datetime.fromtimestamp(at, zone).date()
    first = _latest_day(expression, zone, at, local) or local
    found = (span for day in expression.days_from(first) for span in _of_day(expression, duration, zone, day))
    return (span for span in _joined(found) if span.end > at)


def _latest_day(cron: Cron, zone: ZoneInfo, at: float, local: date) -> date | None:
    """Return the day of the last occurrence up to `at`."""
    day = cron.day_up_to(local + _DAY)
    while day is not None and _instant(day, cron.minutes[0], zone) > at:
        day = cron.day_up_to(day - _DAY)
    return day


def _of_day(cron: Cron, duration: int, zone: ZoneInfo, day: date) -> Iterator[Span]:
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - what the clock on the wall says
    if zone.utcoffset(midnight) == zone.utcoffset(midnight + _LAST_MINUTE):
        base = int(midnight.replace(tzinfo=zone).timestamp())
        return (Span(base + first, base + last + duration) for first, last in _runs(cron.minutes, duration))
    return (Span(start, start + duration) for start in sorted(_instant(day, minute, zone) for minute in cron.minutes))


@lru_cache(maxsize=1000)
def _runs(minutes: tuple[int, ...], duration: int) -> list[tuple[int, int]]:
    """Return (first, last) begin of occurrences that touch or overlap, in seconds since midnight."""
    seconds = [minute * 60 for minute in minutes]
    edges = [0, *(place for place, (one, two) in enumerate(pairwise(seconds), 1) if two - one > duration), len(seconds)]
    return [(seconds[begin], seconds[end - 1]) for begin, end in pairwise(edges)]


def _joined(found: Iterable[Span]) -> Iterator[Span]:
    present: Span | None = None
    for span in found:
        if present is None:
            present = span
        elif span.start > present.end or present.end - present.start >= HORIZON:
            yield present
            present = Span(max(span.start, present.end), span.end) if span.end > present.end else None
        else:
            present = Span(present.start, max(present.end, span.end))
    if present is not None:
        yield present


def _instant(day: date, minute: int, zone: ZoneInfo) -> int:
    time = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=zone)
    return int(time.timestamp())
