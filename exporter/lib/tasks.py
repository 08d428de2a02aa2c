"""Work that goes on beside the requests, as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Task(NamedTuple):
    """A piece of work that is done again and again, or that runs for as long as the process does."""

    name: str
    """Failures are counted under it."""
    run: Callable[[], Awaitable[None]]
    interval: Callable[[], float] | float | None = None
    """Seconds between two rounds, asked anew for each; None: it runs until cancelled."""
    first: float | None = None
    """Seconds until the first round; None: one interval."""
    leading: bool = False
    """Whether only one of several exporters on one journal does it, the one that leads."""
