"""Follows what other exporters append to the same journal, and says how far behind this one may be.

Whoever has not heard of the journal for a while knows nothing of what the others know: it is silent rather than wrong.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.journal.port import Journal
    from exporter.recording.commits import Commits

POLL: Final = 0.1
"""Seconds between two looks, where no commit of our own has looked in between."""
RETRY: Final = 0.5
FRESH: Final = 5.0
"""Seconds without the journal after which alerts that fire are not told any more, and nobody should send us events."""
SILENT: Final = 30.0
"""Seconds without the journal after which nothing is exposed of devices."""
SKEW: Final = 30.0
"""Seconds by which our clock may differ from the journal's."""


class Following:
    """See the module. A journal of one exporter only is never behind."""

    def __init__(self, journal: Journal, commits: Commits, elapsed: Callable[[], float]) -> None:
        self._journal = journal
        self._commits = commits
        self._elapsed = elapsed

    @property
    def shared(self) -> bool:
        """Whether there may be other exporters on the journal."""
        return self._journal.shared

    @property
    def lag(self) -> float:
        """Seconds since when the others may have appended what we do not know; 0: there are no others."""
        return max(0.0, self._elapsed() - self._commits.level_at) if self._journal.shared else 0.0

    @property
    def fresh(self) -> bool:
        """Whether what we know is good enough to raise an alarm."""
        return self.lag <= FRESH

    @property
    def silent(self) -> bool:
        """Whether what we know of devices is too old to be shown."""
        return self.lag > SILENT

    @property
    def right(self) -> bool:
        """Whether this exporter may be sent events: it is fresh, and its clock is not far off."""
        return self.fresh and abs(self.skew) <= SKEW

    @property
    def trouble(self) -> str:
        """What is wrong with our clock, in a sentence; empty: nothing."""
        if abs(self.skew) <= SKEW:
            return ""
        which = "ahead of" if self.skew > 0 else "behind"
        return f"the clock of this machine is {abs(self.skew):.0f} s {which} the database's: set it, as by NTP"

    @property
    def skew(self) -> float:
        """Seconds that our clock is ahead of the journal's."""
        return self._commits.skew if self._journal.shared else 0.0

    @property
    def standbys(self) -> float:
        """Servers that hold each commit besides the first; NaN: not known, or there is no such thing."""
        return self._journal.stats().standbys

    def on_diverged(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the journal has another past than memory, and all must be loaded anew."""
        self._commits.on_diverged = callback

    async def run(self) -> None:
        """Follow until cancelled; ends at once where there is nobody to follow."""
        while self._journal.shared:
            await asyncio.sleep(POLL)
            if self.lag >= POLL and not await self._commits.look():
                await asyncio.sleep(RETRY)
