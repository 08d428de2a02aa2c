"""The time of day, and what is done to it.

The wall clock of a machine is set by hand, by an operator or by NTP, and may be wrong. Next to it stands the time since
the machine's start, which nobody sets: a jump of the one against the other is seen at the next look.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

JUMP: Final = 1.0
"""Seconds by which the wall clock must leave the time since the start between two looks to have jumped. Less is drift,
or a clock that is corrected slowly, and is followed."""
PROOF: Final = 10.0
"""How long a jump ahead must last to be believed, seconds."""


class Clock:
    """Call it for Unix seconds, whole milliseconds.

    It follows the wall clock. A jump ahead is believed after `PROOF`, and until then time goes on as before: a reading
    that was wrong for a moment makes nothing late or overdue. A jump back is believed at once. So it may run backwards:
    who counts with it must not (see `exporter.domain.accounts`).
    """

    def __init__(
        self,
        on_jump: Callable[[float], None] = lambda _seconds: None,
        *,
        wall: Callable[[], float] = time.time,
        since_start: Callable[[], float] | None = None,
    ) -> None:
        """`on_jump` is told of each jump that is believed: seconds ahead, or (negative) back."""
        self._on_jump = on_jump
        self._wall = wall
        self._since_start = since_start or elapsed
        self._offset = wall() - self._since_start()
        self._ahead: tuple[float, float] | None = None  # a jump ahead that is not believed yet: offset, seen since

    def __call__(self) -> float:
        """Return the time."""
        start = self._since_start()
        offset = self._wall() - start
        jumped = offset - self._offset
        if abs(jumped) < JUMP:
            self._offset, self._ahead = offset, None
        elif jumped < 0 or self._is_proven(offset, start):
            self._offset, self._ahead = offset, None
            self._on_jump(jumped)
        return int((start + self._offset) * 1000) / 1000

    def _is_proven(self, offset: float, start: float) -> bool:
        if self._ahead is None or abs(offset - self._ahead[0]) >= JUMP:
            self._ahead = offset, start
        return start - self._ahead[1] >= PROOF


def elapsed() -> float:
    """Return seconds since some moment, suspended time included, whatever is done to the wall clock."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
