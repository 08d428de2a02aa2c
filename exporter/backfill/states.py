"""The life of a device as a list of states: what the exporter would have exposed at any time. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.domain.timeline import Outage
    from exporter.report.history import History


class State(msgspec.Struct, frozen=True, gc=False):
    """What is exposed from `at` until the next state. Event times and durations in seconds."""

    at: int
    until: float
    """Infinite for the last one of a device that is known."""
    first_seen: int
    up: bool
    since: int
    outages: int
    closed_downtime: int

    def downtime(self, now: int) -> int:
        """Return the downtime counter at a time within the state."""
        return self.closed_downtime if self.up else self.closed_downtime + now - self.since


def states(history: History) -> Iterator[State]:
    """Yield the states of a device in order; nothing while it was unknown or forgotten.

    Forgetting a device starts its counters again from zero.
    """
    for first_seen, end in history.observed:
        until = math.inf if end is None else float(end)
        own = [outage for outage in history.outages if first_seen <= outage.start < until]
        yield from _life(first_seen, until, own)


def _life(first_seen: int, until: float, outages: list[Outage]) -> Iterator[State]:
    at, closed = first_seen, 0
    for number, outage in enumerate(outages):
        if at < outage.start:
            yield State(at, outage.start, first_seen, True, at, number, closed)
        end = until if outage.end is None else min(outage.end, until)
        if outage.start < end:
            yield State(outage.start, end, first_seen, False, outage.start, number + 1, closed)
        if outage.end is None or end >= until:
            return
        at = outage.end
        closed += outage.end - outage.start
    yield State(at, until, first_seen, True, at, len(outages), closed)
