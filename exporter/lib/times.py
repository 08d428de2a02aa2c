"""Time zones, local times, and times as texts. Pure but for time zone data; times are Unix seconds.

Daylight saving: a local time that the clocks skip is taken as if they had not been changed yet (02:30 becomes 03:30);
of one that comes twice the first one counts.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from datetime import tzinfo


def zone_of(name: str) -> ZoneInfo:
    """Return the IANA time zone of that name. Raises ValueError with a message for people."""
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise ValueError(f"{name[:40]!r} is no time zone; expected one such as Asia/Jakarta") from None


def local(at: float, zone: tzinfo) -> datetime:
    """Return a time in a zone."""
    return datetime.fromtimestamp(at, zone)


def zone_name(when: datetime) -> str:
    """Return what people call the zone of a local time: `WIB`, or `UTC+04` where it has no name."""
    name = when.tzname() or "UTC"
    return f"UTC{name}" if name[0] in "+-" else name


def rfc3339(at: float, *, timespec: str = "seconds") -> str:
    """Return a time in UTC as programs write it, such as 2026-10-01T08:00:00Z."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def parse_time(text: str, zone: tzinfo | None) -> float:
    """Return an ISO 8601 date or time, of which RFC 3339 is a part; one without an offset is local to the zone.

    Raises ValueError for what is no time, and where there is neither offset nor zone; OverflowError for a time beyond
    the calendar.
    """
    when = datetime.fromisoformat(text)
    if when.tzinfo is None and zone is None:
        raise ValueError("neither an offset nor a time zone")
    return (when if when.tzinfo is not None else when.replace(tzinfo=zone)).timestamp()
