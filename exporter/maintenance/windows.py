"""Maintenance windows and what they say about a device at a time. Pure; times are Unix seconds.

A window holds from its start up to its end, the end excluded. Windows that overlap or touch are one.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from operator import attrgetter
from typing import TYPE_CHECKING, Final

import msgspec

from exporter.config.schema import Match
from exporter.lib.times import zone_of
from exporter.maintenance.repeated import HORIZON, Span, spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from exporter.config.schema import Maintenance
    from exporter.domain.identity import Identity


KEPT: Final = 1000
"""Spans that are over and kept, so that a look back costs little."""


class Window(msgspec.Struct, frozen=True):
    """A window as the configuration or an operator gave it: single (`start_at`, `end_at`) or repeated (`cron`)."""

    match: Match
    timezone: str
    cron: str | None = None
    duration: float | None = None
    start_at: int | None = None
    end_at: int | None = None
    comment: str = ""

    def holds(self, identity: Identity) -> bool:
        """Tell whether the window is about a device."""
        match = self.match
        return (
            (match.device_id is None or match.device_id == identity.device_id)
            and (match.channel_id is None or match.channel_id == identity.channel_id)
            and (match.business_id is None or match.business_id == identity.business_id)
            and (match.engine is None or match.engine == identity.engine)
        )

    def spans(self, at: float) -> Iterator[Span]:
        """Yield the spans that end after `at`, in order; none: it is over."""
        if self.cron is not None and self.duration is not None:
            yield from spans(self.cron, max(1, int(self.duration)), zone_of(self.timezone), at)
        elif self.end_at is not None and self.end_at > at:
            yield Span(self.start_at or 0, self.end_at)

    def span(self, at: float) -> Span | None:
        """Return the first span that ends after `at`; None: it is over."""
        return next(self.spans(at), None)


def from_config(window: Maintenance) -> Window:
    """Return a checked window of the configuration file."""
    return Window(
        window.match, window.timezone, window.cron, window.duration, window.start_at, window.end_at, window.comment
    )


class Schedule:
    """All windows by key. Asking costs little as long as the time goes on."""

    def __init__(self, windows: Iterable[tuple[str, Window]] = ()) -> None:
        self.windows = dict(windows)
        self._ahead = {key: _Ahead(window) for key, window in self.windows.items()}

    def span(self, key: str, at: float) -> Span | None:
        """Return the first span of a window that ends after `at`."""
        return next(self._ahead[key].after(at), None)

    def without_past(self, at: float) -> Schedule:
        """Return the schedule without the windows that are over at a time."""
        left = Schedule()
        left.windows = {key: window for key, window in self.windows.items() if self.span(key, at) is not None}
        left._ahead = {key: self._ahead[key] for key in left.windows}
        return left

    def active(self, at: float) -> list[Window]:
        """Return the windows that hold at a time."""
        found = ((window, self.span(key, at)) for key, window in self.windows.items())
        return [window for window, span in found if span is not None and span.start <= at]

    def planned_until(self, identity: Identity, at: float) -> float | None:
        """Return when the planned time that a device is in at `at` ends, as far ahead as people look; else None."""
        about = (self._ahead[key].after(at) for key, window in self.windows.items() if window.holds(identity))
        until: float = at
        for span in heapq.merge(*about):
            if span.start > until or until - at > HORIZON:
                break
            until = max(until, span.end)
        return until if until > at else None

    def boundaries(self, after: float, until: float) -> Iterator[int]:
        """Yield the times in (after, until] at which a window starts or ends, in order."""
        last = after
        for time in heapq.merge(*(ahead.boundaries(after, until) for ahead in self._ahead.values())):
            if time > last:
                yield time
                last = time

    def next_boundary(self, after: float) -> int | None:
        """Return the first time after `after` at which a window starts or ends."""
        found = [span for key in self.windows if (span := self.span(key, after)) is not None]
        return min((span.start if span.start > after else span.end for span in found), default=None)


class _Ahead:
    """The spans of one window, found as they are asked for and kept."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._since = float("inf")  # what is found begins with the first span that ends after it
        self._found: list[Span] = []
        self._source: Iterator[Span] = iter(())

    def after(self, at: float) -> Iterator[Span]:
        """Yield the spans that end after `at`."""
        place = bisect_right(self._found, at, key=attrgetter("end"))
        far = bool(self._found) and at - self._found[-1].end > HORIZON
        if at < self._since or place > KEPT or far:
            self._since, self._found, self._source, place = at, [], self._window.spans(at), 0
        found, source = self._found, self._source  # others may ask for earlier times while we are followed
        while True:
            if place == len(found):
                span = next(source, None)
                if span is None:
                    return
                found.append(span)
            if found[place].end > at:
                yield found[place]
            place += 1

    def boundaries(self, after: float, until: float) -> Iterator[int]:
        """Yield when spans start and end in (after, until]."""
        for span in self.after(after):
            if span.start > until:
                return
            yield from (time for time in span if after < time <= until)
