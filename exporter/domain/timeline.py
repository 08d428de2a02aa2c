"""The timeline of one device: a pure function of the *set* of its events.

Guarantees: any order of arrival and any duplication of the same events gives the same timeline. Times are event
times in whole Unix seconds. No clock, no I/O: "now" is an argument.

Rules:
- The first event starts the observation; before it the device is unknown and not counted.
- A repeated kind changes nothing.
- Two different kinds in one second: the one that changes the current state comes first, so the state after that
  second is the state before it. With nothing known before, the disconnect comes first.
- `FORGOTTEN` cuts: only events later than the last cut count.
- `PLANNED` and `PLANNED_END` bound planned maintenance. They change neither state nor outages, only what counts.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

import msgspec

from exporter.domain.planned import Planned, begin, end, outage_ended

if TYPE_CHECKING:
    from collections.abc import Iterable


class Kind(IntEnum):
    """What happened to a device. The values are stored in the journal."""

    DISCONNECTED = 0
    CONNECTED = 1
    FORGOTTEN = 2
    PLANNED = 3
    PLANNED_END = 4


class Timeline(msgspec.Struct, frozen=True, gc=False):
    """What is known of a device after its events up to and including `newest`. Times and durations in seconds."""

    first_seen: int
    """Event time of the first event."""
    newest: int
    """Event time of the newest event, redundant ones included."""
    up: bool
    since: int
    """Event time of the last change of state."""
    outages: int
    """Outages begun. Inserting a late event never lowers it."""
    closed_downtime: int
    """The durations of all finished outages, summed."""
    planned: Planned | None = None
    """None: no planned window has touched the device."""

    @property
    def down_since(self) -> int | None:
        """Begin of the running outage."""
        return None if self.up else self.since

    @property
    def in_window(self) -> bool:
        """Whether the device is inside a planned window."""
        return self.planned is not None and self.planned.since is not None

    def downtime(self, now: float) -> float:
        """Seconds of downtime up to `now`, the running outage included; never counts a negative duration."""
        if self.up or now <= self.since:
            return self.closed_downtime
        return self.closed_downtime + (now - self.since)

    def counted_downtime(self, now: float) -> float:
        """Seconds of downtime up to `now` outside planned windows."""
        planned = self.planned
        if planned is None:
            return self.downtime(now)
        running = 0 if self.up else planned.running_downtime(now, self.since)
        return self.downtime(now) - planned.downtime - running

    def planned_time(self, now: float) -> float:
        """Seconds of observation up to `now` inside planned windows."""
        planned = self.planned
        return 0 if planned is None else planned.observed + planned.running_observed(now, self.first_seen)


class Outage(msgspec.Struct, frozen=True, gc=False):
    """One outage, event times in seconds; `end` is None while it runs."""

    start: int
    end: int | None


Event = tuple[int, Kind]
"""(timestamp in seconds, kind)"""

_BOUNDARIES: Final = (Kind.PLANNED_END, Kind.PLANNED)  # within one second the end comes first


def advance(timeline: Timeline | None, timestamp: int, *, up: bool) -> Timeline:
    """Return the timeline after one more event that is later than all that it holds.

    Raises ValueError if it is not later: such a device must be folded again from its events.
    """
    if timeline is None:
        return Timeline(timestamp, timestamp, up, timestamp, 0 if up else 1, 0)
    if timestamp <= timeline.newest:
        raise ValueError("not later than the newest event")
    first_seen, since, outages, closed = timeline.first_seen, timeline.since, timeline.outages, timeline.closed_downtime
    planned = timeline.planned
    if up == timeline.up:
        return Timeline(first_seen, timestamp, up, since, outages, closed, planned)
    if up:
        planned = outage_ended(planned, timestamp, since)
        return Timeline(first_seen, timestamp, True, timestamp, outages, closed + timestamp - since, planned)
    return Timeline(first_seen, timestamp, False, timestamp, outages + 1, closed, planned)


def plan(timeline: Timeline, timestamp: int, kind: Kind) -> Timeline:
    """Return the timeline after the begin or the end of a planned window, later than all boundaries that it holds.

    Itself where that changes nothing. Events of the device after `timestamp` must be folded again.
    """
    if kind is Kind.PLANNED:
        planned: Planned | None = begin(timeline.planned, timestamp, timeline.down_since)
    else:
        planned = end(timeline.planned, timestamp, timeline.first_seen, timeline.down_since)
    return timeline if planned is timeline.planned else msgspec.structs.replace(timeline, planned=planned)


def _advance_both(timeline: Timeline | None, timestamp: int) -> Timeline:
    """Return the timeline after a disconnect and a connect in the one second `timestamp`: the state stays."""
    if timeline is None:
        return Timeline(timestamp, timestamp, True, timestamp, 1, 0)
    closed, planned = timeline.closed_downtime, timeline.planned
    if not timeline.up:
        closed, planned = closed + timestamp - timeline.since, outage_ended(planned, timestamp, timeline.since)
    return Timeline(timeline.first_seen, timestamp, timeline.up, timestamp, timeline.outages + 1, closed, planned)


def _seconds(events: Iterable[Event], base: Timeline | None) -> tuple[list[tuple[int, set[Kind]]], Timeline | None]:
    """Group events by second, in order, and apply the last cut to them and to the base."""
    seconds: dict[int, set[Kind]] = {}
    for timestamp, kind in events:
        seconds.setdefault(timestamp, set()).add(kind)
    cut = max((timestamp for timestamp, kinds in seconds.items() if Kind.FORGOTTEN in kinds), default=None)
    if cut is None:
        return sorted(seconds.items()), base
    return sorted((timestamp, kinds) for timestamp, kinds in seconds.items() if timestamp > cut), None


def _change(timeline: Timeline | None, timestamp: int, kinds: set[Kind]) -> Timeline:
    if len(kinds) > 1:
        return _advance_both(timeline, timestamp)
    return advance(timeline, timestamp, up=Kind.CONNECTED in kinds)


def fold(events: Iterable[Event], base: Timeline | None = None) -> Timeline | None:
    """Return the timeline of a set of events, in any order and however often repeated; None where nothing is known.

    `base` is the timeline up to an earlier second, for devices whose oldest events were pruned; all events must be
    later than it. A FORGOTTEN event discards the base and every event up to and including its own second.
    """
    seconds, timeline = _seconds(events, base)
    ahead: Planned | None = None  # a window that began before the first event
    for timestamp, kinds in seconds:
        changes = kinds.difference(_BOUNDARIES)
        if changes:
            timeline = _change(timeline, timestamp, changes)
            if ahead is not None:
                timeline, ahead = msgspec.structs.replace(timeline, planned=ahead), None
        for kind in (kind for kind in _BOUNDARIES if kind in kinds):
            if timeline is not None:
                timeline = plan(timeline, timestamp, kind)
            else:
                ahead = begin(ahead, timestamp, None) if kind is Kind.PLANNED else None
    return timeline


def outages(events: Iterable[Event], base: Timeline | None = None) -> list[Outage]:
    """Return the outages of a set of events in order; the last one may be running. See `fold` for `base`.

    An outage that runs in `base` is included; those that had finished by then are not known any more.
    """
    found: list[Outage] = []
    seconds, after = _seconds((event for event in events if event[1] not in _BOUNDARIES), base)
    start = after.down_since if after is not None else None
    for timestamp, kinds in seconds:
        before, after = after, _change(after, timestamp, kinds)
        if after.since != after.newest:
            continue  # redundant: nothing changed
        if start is not None:
            found.append(Outage(start, after.newest))
            start = None
        if after.outages > (before.outages if before is not None else 0):
            if after.up:
                found.append(Outage(after.newest, after.newest))
            else:
                start = after.newest
    if start is not None:
        found.append(Outage(start, None))
    return found
