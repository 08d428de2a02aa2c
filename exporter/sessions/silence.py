"""Sessions that the gateway calls connected although no message goes through: "connected" is no proof of life. Pure.

What changes with each message (a time, a count) is compared from read to read. It is held in memory: after a start, or
a new configuration, silence counts anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from exporter.gateways.state_api import Reading


class Heard(NamedTuple):
    """What a session's activity was when it last changed, and when that was read, Unix seconds."""

    activity: str
    at: float


class Silence:
    """One gateway's. `after`, seconds, is how long a session may be silent; 0: for ever."""

    def __init__(self, after: float) -> None:
        self._after = after
        self._heard: dict[str, Heard] = {}
        self._read_at = 0.0

    def listen(self, readings: Iterable[Reading], now: float) -> list[str]:
        """Take what was read at `now`; return the sessions that are silent from now on."""
        before = {session for session, _ in self.silent()}
        self._heard = {one.session: self._of(one, now) for one in readings if one.state == "up" and one.activity}
        self._read_at = now
        return [session for session, _ in self.silent() if session not in before]

    def silent(self) -> Iterator[tuple[str, float]]:
        """Yield the sessions that are silent, and since when."""
        if self._after:
            yield from (
                (name, heard.at) for name, heard in self._heard.items() if self._read_at - heard.at >= self._after
            )

    def _of(self, reading: Reading, now: float) -> Heard:
        known = self._heard.get(reading.session)
        return known if known is not None and known.activity == reading.activity else Heard(reading.activity, now)
