"""A progress bar for long work, in a terminal only."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress

SHOW_AFTER = 0.5  # seconds: short work shows nothing
STEP = 0.1  # seconds between updates


class Bar:
    """Tells how far work is, from `start` to `end` in any unit; an infinite end shows a time that passes."""

    def __init__(self, title: str, start: float, end: float, *, enabled: bool) -> None:
        self._title, self._start, self._end = title, start, end
        self._enabled = enabled
        self._due = time.monotonic() + SHOW_AFTER
        self._progress: Progress | None = None

    def at(self, position: float, note: str = "") -> None:
        """Show that work has come to `position`; cheap, call it as often as you like."""
        if not self._enabled or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + STEP
        if self._progress is None:
            self._progress = self._opened()
        done = position - self._start
        self._progress.update(self._progress.task_ids[0], completed=done, note=note)

    def close(self) -> None:
        """Take the bar away."""
        if self._progress is not None:
            self._progress.stop()

    def _opened(self) -> Progress:
        from rich.console import Console  # noqa: PLC0415 - only where a bar is shown
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn  # noqa: PLC0415

        columns = (BarColumn(), TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[note]}"))
        progress = Progress(TextColumn("{task.description}"), *columns, console=Console(stderr=True), transient=True)
        total = None if self._end == float("inf") else self._end - self._start
        progress.add_task(self._title, total=total, note="")
        progress.start()
        return progress


@contextmanager
def progress_bar(title: str, start: float, end: float) -> Iterator[Bar]:
    """Give a bar on standard error; silent where that is no terminal and for work of less than half a second."""
    bar = Bar(title, start, end, enabled=sys.stderr.isatty())
    try:
        yield bar
    finally:
        bar.close()
