"""The terminal that a process was started from: SIGHUP means that it is gone, or that the configuration has changed."""

from __future__ import annotations

import os


class Terminal:
    """Remembers which of the standard streams were a terminal at the start; a daemon has none."""

    def __init__(self) -> None:
        self._streams = [number for number in (0, 1, 2) if os.isatty(number)]

    def gone(self) -> bool:
        """Return whether there was a terminal and somebody has closed it."""
        return bool(self._streams) and not any(map(os.isatty, self._streams))
