"""Windows of time as people name them: the last 30 days, a calendar month, two dates in a time zone."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from exporter.lib.times import local, parse_time, zone_of

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_TIMEZONE = "Asia/Jakarta"
DEFAULT_WINDOW = 30 * 86_400.0
_MONTH = re.compile(r"(\d{4})-(\d{2})", re.ASCII)
_UNIX = re.compile(r"\d{9,11}(\.\d+)?", re.ASCII)


class Period(msgspec.Struct, frozen=True):
    """[start, end) in Unix seconds and the time zone in which people read it."""

    start: float
    end: float
    timezone: str

    def local(self, at: float) -> datetime:
        """Return a time in the period's zone."""
        return local(at, zone_of(self.timezone))

    def days(self) -> Sequence[float]:
        """Return the start, every local midnight inside, and the end."""
        edges = [self.start]
        day = self.local(self.start).replace(hour=0, minute=0, second=0, microsecond=0)
        while (day := day + timedelta(days=1)).timestamp() < self.end:
            edges.append(day.timestamp())
        return [*edges, self.end]


def timezone(name: str) -> str:
    """Return the name if it is one of the IANA time zones. Raises ValueError."""
    return zone_of(name).key


def unix_time(text: str, zone: str = DEFAULT_TIMEZONE) -> float:
    """Return Unix seconds of a Unix time or an ISO 8601 date or time; without an offset it is in `zone`.

    Raises ValueError.
    """
    if _UNIX.fullmatch(text):
        return float(text)
    try:
        return parse_time(text, zone_of(zone))
    except (ValueError, OverflowError):
        raise ValueError(
            f"expected a time such as 2026-10-01, 2026-10-01T08:00+07:00 or 1790787600, got {text!r}"
        ) from None


def window(seconds: float, now: float, zone: str) -> Period:
    """Return the last seconds up to now."""
    return _checked(now - seconds, now, now, zone)


def month(text: str, now: float, zone: str) -> Period:
    """Return a calendar month such as 2026-10, or as much of it as has passed. Raises ValueError."""
    match = _MONTH.fullmatch(text)
    if match is None or not 1 <= int(match[2]) <= 12:
        raise ValueError(f"expected a month such as 2026-10, got {text!r}")
    year, number = int(match[1]), int(match[2])
    start = datetime(year, number, 1, tzinfo=zone_of(zone))
    end = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=zone_of(zone))
    return _checked(start.timestamp(), end.timestamp(), now, zone)


def between(start: str, end: str | None, now: float, zone: str) -> Period:
    """Return [start, end) of two times as texts; no end is now. Raises ValueError."""
    return _checked(unix_time(start, zone), now if end is None else unix_time(end, zone), now, zone)


def _checked(start: float, end: float, now: float, zone: str) -> Period:
    if start >= now:
        raise ValueError("the window lies in the future")
    if start >= end:
        raise ValueError("the window must end after it starts")
    return Period(start, min(end, now), zone)
