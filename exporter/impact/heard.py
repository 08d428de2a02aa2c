"""When each channel last had a message from outside, and one to there. Pure: no clock, no I/O, bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Heard(NamedTuple):
    """One channel. Event times, Unix seconds; 0: none is known."""

    channel_id: str
    last_in: int = 0
    last_out: int = 0


class LastMessages:
    """The channels of the newest messages, `limit` at most."""

    def __init__(self, limit: int) -> None:
        self._limit = max(1, limit)
        self._channels: dict[str, Heard] = {}
        self._changed: dict[str, None] = {}

    def note(self, channel_id: str, at: int, *, inward: bool) -> None:
        """Take in one message."""
        known = self._channels.get(channel_id)
        if known is None or at > (known.last_in if inward else known.last_out):
            self._put(Heard(channel_id, at, 0) if inward else Heard(channel_id, 0, at))
            self._changed[channel_id] = None

    def of(self, channel_id: str) -> Heard:
        """Return what is known of a channel."""
        return self._channels.get(channel_id) or Heard(channel_id)

    def take_in(self, rows: Iterable[Heard]) -> None:
        """Take in what the journal says."""
        for row in rows:
            self._put(row)

    def take_changes(self, most: int) -> list[Heard]:
        """Return some of the channels that changed since they were returned before."""
        ids = list(self._changed)[:most]
        for channel_id in ids:
            del self._changed[channel_id]
        return [self.of(channel_id) for channel_id in ids]

    def put_back(self, rows: Iterable[Heard]) -> None:
        """Return these again: they could not be saved."""
        self._changed |= dict.fromkeys(row.channel_id for row in rows)

    def _put(self, new: Heard) -> None:
        known = self._channels.pop(new.channel_id, new)
        self._channels[new.channel_id] = Heard(
            new.channel_id, max(known.last_in, new.last_in), max(known.last_out, new.last_out)
        )
        if len(self._channels) > self._limit:
            oldest = next(iter(self._channels))
            del self._channels[oldest]
            self._changed.pop(oldest, None)
