"""Wall clock that never runs backwards: a counter that moves with it must not either."""

from __future__ import annotations

import time


class Clock:
    """Call it for Unix seconds, whole milliseconds. When the system clock is set back, it stands still until then."""

    def __init__(self) -> None:
        self._latest = 0.0

    def __call__(self) -> float:
        """Return the time."""
        now = time.time_ns() // 1_000_000 / 1000
        self._latest = max(self._latest, now)
        return self._latest
