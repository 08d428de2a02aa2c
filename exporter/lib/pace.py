"""Sharing the event loop: long work is done in stretches of a millisecond, so that no webhook waits for a scrape."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

STRETCH: Final = 0.001
"""Seconds of work between two turns of the event loop."""


async def _next_turn() -> None:
    await asyncio.sleep(0)


class Pace:
    """Says when a stretch is over. Ask `spent` after every small unit of work and `await rest()` if so."""

    def __init__(
        self,
        stretch: float = STRETCH,
        clock: Callable[[], float] = time.perf_counter,
        turn: Callable[[], Awaitable[None]] = _next_turn,
    ) -> None:
        self._stretch = stretch
        self._clock = clock
        self._turn = turn
        self._end = 0.0

    def start(self) -> None:
        """Begin a stretch."""
        self._end = self._clock() + self._stretch

    def spent(self) -> bool:
        """Return whether the stretch is over."""
        return self._clock() >= self._end

    async def rest(self) -> None:
        """Let the event loop turn once, then begin the next stretch."""
        await self._turn()
        self.start()
