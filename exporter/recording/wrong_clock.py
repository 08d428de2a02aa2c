"""What a clock that was wrong has left behind, and what must not follow from it.

Events are put where their own times say. Two things show that it is this machine's clock that is or was wrong: it shows
a time again, or a device's newest event lies further ahead than any sender is believed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.domain.accounts import Device

FRESH: Final = 30.0
"""By how many seconds the time of an event may differ from the clock's to be news: what is resent later, or comes from
a clock that is right where ours is behind, belongs where its time says."""


class WrongClock:
    """Times are Unix seconds; `max_ahead` returns how many seconds a sender's clock may be ahead."""

    def __init__(self, clock: Callable[[], float], max_ahead: Callable[[], float]) -> None:
        self._clock = clock
        self._max_ahead = max_ahead
        self._shown = 0.0

    def shown(self, at: float) -> None:
        """Take in a time that the clock has shown, in this run or in one before."""
        self._shown = max(self._shown, at)

    @property
    def is_behind(self) -> bool:
        """Whether the clock has shown a later time: what seems to come from the future may be true."""
        return self._clock() < self._shown - 1

    def overtook(self, newest: float, at: float) -> bool:
        """Whether an event of `at` is news although one of `newest` is known: that one's time cannot be true."""
        now = self._clock()
        return newest > now + (0 if self.is_behind else self._max_ahead()) and abs(at - now) <= FRESH

    def place(self, device: Device | None, at: int) -> int:
        """Return the second of an event of a device: its own, or the one after what is known with a wrong time."""
        if device is None or at > device.timeline.newest or not self.overtook(device.timeline.newest, at):
            return at
        return device.timeline.newest + 1
