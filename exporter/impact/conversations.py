"""The conversations of every channel, kept in memory: pure, no clock, no I/O.

Guarantees: a conversation is active at a time t if it had a message less than `window` before t (future ones within the
sender's skew count as heard); it waits for a human if its newest message says so. Any order of arrival and any
duplication of the same messages gives the same answers. Recording costs O(log n) for a new conversation and O(1) for a
known one; counts are ready to read; memory is bounded by `limit` conversations, of which the longest silent go first.

`at` answers for the past, too, exactly for `grace` seconds back if the window is not shorter than grace and skew
together. What is asked of the past about waiting is answered with the newest message.

Times are Unix seconds; those of messages are whole. `now` must not run backwards. Not thread-safe.
"""

from __future__ import annotations

from collections import OrderedDict
from heapq import heappop, heappush, heapreplace
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_GRACE: Final = 3600.0
_LONG_AGO: Final = -(10**12)


class Row(NamedTuple):
    """A conversation as it is stored. `conversation` is a keyed hash, signed 64 bits; times are event times."""

    channel_id: str
    engine: str
    business_id: str
    conversation: int
    previous: int
    """The last message of the run before this one."""
    first: int
    """The first message of this run: messages less than a window apart."""
    last: int
    need_human: bool


class Impact(NamedTuple):
    """How many conversations are active, and how many of them wait for a human."""

    active: int
    waiting: int


class Channel:
    """One channel and its counts, which are those of the last `expire`. Only `Conversations` changes it."""

    __slots__ = ("active", "business_id", "channel_id", "conversations", "engine", "newest", "waiting")

    def __init__(self, channel_id: str, engine: str, business_id: str) -> None:
        self.channel_id = channel_id
        self.engine = engine
        self.business_id = business_id
        self.newest = _LONG_AGO
        self.active = 0
        self.waiting = 0
        self.conversations: dict[int, _Conversation] = {}


class _Conversation(msgspec.Struct, gc=False, eq=False):
    """One conversation. Invisible to the garbage collector, which would walk 100,000 of them again and again.

    `Conversations` breaks the only cycle, through `channel`, when it forgets a conversation.
    """

    channel: Channel
    key: int
    first: int
    stamp: int
    """The newest message as time * 2 + need_human: of two in one second the one that waits wins."""
    previous: int = _LONG_AGO
    lapsed: bool = False

    def row(self) -> Row:
        channel, stamp = self.channel, self.stamp
        ids = (channel.channel_id, channel.engine, channel.business_id)
        return Row(*ids, self.key, self.previous, self.first, stamp >> 1, bool(stamp & 1))


class Conversations:
    """All channels. `grace` is how long a conversation is remembered after it lapsed."""

    def __init__(self, window: float, *, limit: int = 100_000, grace: float | None = None) -> None:
        self.channels: dict[str, Channel] = {}
        self.size = 0
        """Conversations in memory, those included that lapsed: that were silent for a window."""
        self._window = window
        self.memory: float = window + (min(LONGEST_GRACE, window / 2) if grace is None else grace)
        """How long a silent conversation is remembered, seconds."""
        self.limit = max(1, limit)
        self._serial = count()
        # By the last message as it was when queued; a conversation that spoke since is queued anew when its turn comes.
        self._queue: list[tuple[int, int, _Conversation]] = []
        self._lapsed: OrderedDict[_Conversation, None] = OrderedDict()  # unlike dict, cheap to take from the front
        self._changed: dict[_Conversation, None] = {}

    def record(
        self,
        channel_id: str,
        engine: str,
        business_id: str,
        conversation: int,
        timestamp: int,
        need_human: bool,
        now: float,
    ) -> None:
        """Take in one message. A message too old to matter is ignored."""
        channel = self.channels.get(channel_id)
        known = None if channel is None else channel.conversations.get(conversation)
        if channel is None or known is None:
            if now - timestamp < self.memory:
                self._add(channel_id, engine, business_id, conversation, timestamp, need_human)
            return
        if timestamp >= channel.newest:
            channel.newest = timestamp
            if channel.engine != engine or channel.business_id != business_id:
                channel.engine, channel.business_id = engine, business_id
        stamp = timestamp * 2 + need_human
        if stamp > known.stamp:
            self._advance(known, timestamp, stamp)
        elif timestamp < known.first:
            self._precede(known, timestamp)

    @property
    def newest(self) -> int:
        """The newest message that is remembered, Unix seconds; 0: none."""
        return max((channel.newest for channel in self.channels.values()), default=0)

    def counts(self, now: float) -> Iterable[Channel]:
        """Return every channel that is remembered, with its counts as of `now`."""
        self.expire(now)
        return self.channels.values()

    def at(self, channel_id: str, moment: float) -> Impact:
        """Return what was active at an event time, such as that of a disconnect. O(conversations of the channel)."""
        channel = self.channels.get(channel_id)
        if channel is None:
            return Impact(0, 0)
        since = moment - self._window
        stamps = [
            known.stamp
            for known in channel.conversations.values()
            if (known.stamp >> 1 > since if known.first <= moment else known.previous > since)
        ]
        return Impact(len(stamps), sum(stamp & 1 for stamp in stamps))

    def expire(self, now: float) -> None:
        """Let lapse what is silent for a window, and forget what is silent for longer than can be asked for."""
        queue, silent = self._queue, now - self._window
        while queue and queue[0][0] <= silent:
            self._lapse_or_requeue()
        forgotten = now - self.memory
        while self._lapsed:
            oldest = next(iter(self._lapsed))
            if oldest.stamp >> 1 > forgotten:
                return
            self._forget_lapsed(oldest)

    # Persistence ---------------------------------------------------------------------------------------------

    def take_changes(self, most: int) -> list[Row]:
        """Return up to `most` rows that changed since they were last taken."""
        taken: list[Row] = []
        while self._changed and len(taken) < most:
            taken.append(self._changed.popitem()[0].row())
        return taken

    def put_back(self, rows: Iterable[Row]) -> None:
        """Mark taken rows as changed again, because they could not be saved."""
        for row in rows:
            channel = self.channels.get(row.channel_id)
            known = channel.conversations.get(row.conversation) if channel else None
            if known is not None:
                self._changed[known] = None

    def restore(self, rows: Iterable[Row], now: float) -> None:
        """Take in stored rows, those with the oldest last message first."""
        for row in rows:
            if now - row.last >= self.memory:
                continue
            ids = (row.channel_id, row.engine, row.business_id)
            known = self._add(*ids, row.conversation, row.last, row.need_human)
            known.first, known.previous = row.first, row.previous
            del self._changed[known]

    # Changes -------------------------------------------------------------------------------------------------

    def _add(
        self, channel_id: str, engine: str, business_id: str, key: int, timestamp: int, need_human: bool
    ) -> _Conversation:
        if self.size >= self.limit:
            self._evict()
        channel = self.channels.get(channel_id)
        if channel is None:
            channel = self.channels[channel_id] = Channel(channel_id, engine, business_id)
        if timestamp >= channel.newest:
            channel.newest, channel.engine, channel.business_id = timestamp, engine, business_id
        known = _Conversation(channel, key, timestamp, timestamp * 2 + need_human)
        channel.conversations[key] = known
        self.size += 1
        self._activate(known)
        self._changed[known] = None
        return known

    def _advance(self, known: _Conversation, timestamp: int, stamp: int) -> None:
        """Take in a message that is newer than all before it."""
        before = known.stamp
        if timestamp - (before >> 1) >= self._window:
            known.previous, known.first = before >> 1, timestamp
        known.stamp = stamp
        self._changed[known] = None
        if known.lapsed:
            del self._lapsed[known]
            self._activate(known)
        elif (stamp ^ before) & 1:
            known.channel.waiting += 1 if stamp & 1 else -1

    def _precede(self, known: _Conversation, timestamp: int) -> None:
        """Take in a late message from before the present run: it begins the run earlier, or ends the one before."""
        if known.first - timestamp < self._window:
            known.first = timestamp
        elif timestamp > known.previous:
            known.previous = timestamp
        else:
            return
        self._changed[known] = None

    def _activate(self, known: _Conversation) -> None:
        known.lapsed = False
        known.channel.active += 1
        known.channel.waiting += known.stamp & 1
        heappush(self._queue, (known.stamp >> 1, next(self._serial), known))

    def _lapse_or_requeue(self) -> None:
        queued, serial, known = self._queue[0]
        if known.stamp >> 1 > queued:
            heapreplace(self._queue, (known.stamp >> 1, serial, known))
            return
        heappop(self._queue)
        known.lapsed = True
        known.channel.active -= 1
        known.channel.waiting -= known.stamp & 1
        self._lapsed[known] = None

    def _evict(self) -> None:
        while not self._lapsed:
            self._lapse_or_requeue()
        self._forget_lapsed(next(iter(self._lapsed)))

    def _forget_lapsed(self, known: _Conversation) -> None:
        del self._lapsed[known]
        self._changed.pop(known, None)
        channel = known.channel
        del channel.conversations[known.key]
        self.size -= 1
        if not channel.conversations:
            del self.channels[channel.channel_id]
