"""Maintenance windows and what they say about a device at a time. Pure; times are Unix seconds.

A window holds from its start up to its end, the end excluded. Windows that overlap or touch are one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from exporter.config.schema import Match
from exporter.lib.times import following, latest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.config.schema import Maintenance
    from exporter.domain.identity import Identity

JOINED: Final = 100
"""Occurrences of one repeated window that are taken as one; what follows is the next boundary, and changes nothing."""


class Span(NamedTuple):
    """From `start` up to `end`, which is not part of it."""

    start: int
    end: int


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

    def span(self, at: float) -> Span | None:
        """Return the first span that ends after `at`; None: it is over."""
        if self.cron is None or self.duration is None:
            return Span(self.start_at or 0, self.end_at) if self.end_at is not None and self.end_at > at else None
        zone, duration = ZoneInfo(self.timezone), max(1, int(self.duration))
        start = latest(self.cron, zone, at)
        if start is None or start + duration <= at:
            start = following(self.cron, zone, at)
        if start is None:
            return None
        end = start + duration
        for _ in range(JOINED):
            again = following(self.cron, zone, end - duration)
            if again is None or again > end:
                break
            end = again + duration
        return Span(start, end)


def from_config(window: Maintenance) -> Window:
    """Return a checked window of the configuration file."""
    return Window(
        window.match, window.timezone, window.cron, window.duration, window.start_at, window.end_at, window.comment
    )


class Schedule:
    """All windows by key. Asking costs little as long as the time does not jump about."""

    def __init__(self, windows: Iterable[tuple[str, Window]] = ()) -> None:
        self.windows = dict(windows)
        self._spans: dict[str, tuple[float, Span | None]] = {}  # key: (since when it is the first one, span)

    def span(self, key: str, at: float) -> Span | None:
        """Return the first span of a window that ends after `at`."""
        known = self._spans.get(key)
        if known is not None and known[0] <= at and (known[1] is None or at < known[1].end):
            return known[1]
        found = self.windows[key].span(at)
        self._spans[key] = (at, found)
        return found

    def active(self, at: float) -> list[Window]:
        """Return the windows that hold at a time."""
        spans = ((window, self.span(key, at)) for key, window in self.windows.items())
        return [window for window, span in spans if span is not None and span.start <= at]

    def planned_until(self, identity: Identity, at: float) -> float | None:
        """Return when the planned time that a device is in at `at` ends; None outside of windows."""
        until: float = at
        for _ in range(len(self.windows) + 1):
            ends = [
                span.end
                for key, window in self.windows.items()
                if (span := self.span(key, until)) is not None and span.start <= until and window.holds(identity)
            ]
            if not ends:
                break
            until = max(ends)
        return until if until > at else None

    def boundaries(self, after: float, until: float) -> list[int]:
        """Return the times in (after, until] at which a window starts or ends, in order."""
        found: set[int] = set()
        for key in self.windows:
            at = after
            while (span := self.span(key, at)) is not None and span.start <= until:
                found.update(time for time in span if after < time <= until)
                at = span.end
        return sorted(found)

    def next_boundary(self, after: float) -> int | None:
        """Return the first time after `after` at which a window starts or ends."""
        spans = [span for key in self.windows if (span := self.span(key, after)) is not None]
        return min((span.start if span.start > after else span.end for span in spans), default=None)
