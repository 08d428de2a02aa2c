"""Wall clock that never runs backwards: a counter that moves with it must not either."""

from __future__ import annotations

import time


class Clock:
    """Call it for Unix seconds, whole milliseconds. When the system clock is set back, it stands still until then."""

    def __init__(self) -> None:
        self._latest = 0.0

    def __call__(self) -> float:
        """Return the time."""
        self._latest = max(self._latest, time.time_ns() // 1_000_000 / 1000)
        return self._latest

    @property
    def behind(self) -> float:
        """Seconds that the system clock must still make up before this one goes on; 0 as a rule."""
        return max(0.0, self._latest - time.time_ns() // 1_000_000 / 1000)


def elapsed() -> float:
    """Return seconds since some moment, suspended time included, whatever is done to the wall clock."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
