"""Waiting until there is something to do, or for so long."""

from __future__ import annotations

import asyncio


class Wake:
    """One task waits, others wake it. A `set` while it does not wait is kept: the next `wait` returns at once."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Wake the task."""
        self._event.set()

    async def wait(self, seconds: float | None = None) -> bool:
        """Return True once woken, or False after so many seconds; None: wait for ever."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True
