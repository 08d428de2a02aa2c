"""The time that a journal of one writer gives its records and expositions. Pure: the clock's reading is an argument.

All times are Unix milliseconds. They rise, so that what was exposed can be told from what came after; but where the
clock was set back, they follow it at once: a reading that was wrong must not decide for hours what counts.
"""

from __future__ import annotations

from typing import Final

from exporter.journal.port import EXPOSING

SET_BACK: Final = 1000
"""A reading so many milliseconds before the newest time tells that the clock was set back."""


class Times:
    """See the module."""

    def __init__(self, newest: int, exposing_until: int) -> None:
        """Go on from the newest time, 0: none; until `exposing_until` the state may have been exposed."""
        self.newest = newest
        self._exposing_until = exposing_until
        self._turned = False  # the clock was set back, and nothing has been exposed since

    @property
    def exposed(self) -> int:
        """The newest time at which the state can have been exposed; 0: never."""
        return self._exposing_until if self._turned else min(self.newest, self._exposing_until)

    def tick(self, now: int) -> int:
        """Return the time of a record: not before any earlier one, and after every earlier exposition."""
        if self._is_set_back(now):
            self.newest, self._turned = now, True
        else:
            self.newest = max(now, self.newest + 1 if self.newest <= self._exposing_until else self.newest)
        return self.newest

    def exposing(self, now: int) -> tuple[int, int]:
        """Return the time of an exposition, and until when it lasts unless it is renewed; `expose` makes it so."""
        at = now if self._is_set_back(now) else max(now, self.newest + 1)
        until = at + round(EXPOSING * 1000)
        return at, until if self._turned or at < self.newest else max(until, self._exposing_until)

    def expose(self, at: int, until: int) -> None:
        """Begin the exposition that `exposing` gave."""
        self.newest, self._exposing_until, self._turned = at, until, False

    def end_exposition(self) -> None:
        """Let what comes now be later than all that was exposed."""
        if not self._turned and self.newest < self._exposing_until:
            self._exposing_until = self.newest + 1

    def _is_set_back(self, now: int) -> bool:
        return now < self.newest - SET_BACK
