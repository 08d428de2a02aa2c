"""Local times and cron expressions of maintenance windows. Pure but for time zone data; times are Unix seconds.

Daylight saving: a time that the clocks skip is taken as if they had not been changed yet (02:30 becomes 03:30); of a
time that comes twice the first one counts. Durations are elapsed time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from croniter import CroniterError, croniter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

SHIFT: Final = timedelta(hours=3)  # more than any clock is ever put forward or back
NEIGHBOURS: Final = 3  # around a change of the clocks occurrences may come out of order


def parse_time(text: str, zone: ZoneInfo) -> int:
    """Return an ISO 8601 time; one without an offset is local to the zone. ValueError, OverflowError."""
    time = datetime.fromisoformat(text)
    return int((time if time.tzinfo else time.replace(tzinfo=zone)).timestamp())


def comes_round(cron: str) -> bool:
    """Tell whether a cron expression has five fields and ever matches: 30 February never does."""
    if len(cron.split()) != 5:
        return False
    try:
        croniter(cron, datetime(2024, 1, 1, tzinfo=UTC)).get_next()
    except (CroniterError, ValueError):
        return False
    return True


def latest(cron: str, zone: ZoneInfo, at: float) -> int | None:
    """Return the last occurrence up to and including `at`."""
    times = _occurrences(cron, zone, at, forward=False)
    found = [time for time in times if time <= at]
    return max(found, default=None)


def following(cron: str, zone: ZoneInfo, at: float) -> int | None:
    """Return the first occurrence after `at`."""
    times = _occurrences(cron, zone, at, forward=True)
    found = [time for time in times if time > at]
    return min(found, default=None)


def _occurrences(cron: str, zone: ZoneInfo, at: float, *, forward: bool) -> Iterator[int]:
    """Yield the occurrences around `at` until some lie beyond it."""
    local = datetime.fromtimestamp(at, zone).replace(tzinfo=None)
    source = croniter(cron, local - SHIFT if forward else local + SHIFT)
    beyond = 0
    while beyond < NEIGHBOURS:
        try:
            time: datetime = source.get_next(datetime) if forward else source.get_prev(datetime)
        except CroniterError:
            return  # nothing more within the years that croniter looks at
        found = int(time.replace(tzinfo=zone).timestamp())
        beyond += found > at if forward else found <= at
        yield found
