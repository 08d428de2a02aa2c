"""Local times of maintenance windows. Pure but for time zone data; times are Unix seconds."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo


def parse_time(text: str, zone: ZoneInfo) -> int:
    """Return an ISO 8601 time; one without an offset is local to the zone. ValueError, OverflowError."""
    time = datetime.fromisoformat(text)
    return int((time if time.tzinfo else time.replace(tzinfo=zone)).timestamp())
