"""Impact in the running exporter: message events in; at each disconnect the affected conversations are fixed.

What an outage affected does not change afterwards: it is kept per outage, in memory while the device is down and in the
journal, so that a restart says the same. `save` brings it there, and the conversations that changed, in small batches.
No message is durable by itself: after a SIGKILL the messages since the last `save` are lost to the impact counts (and
to nothing else). A batch that cannot be written is put back and tried again at the next round.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from exporter.conventions import AFFECTED_ANNOTATION, MESSAGE_IN, WAITING_ANNOTATION
from exporter.impact import store
from exporter.impact.conversations import Conversations
from exporter.impact.heard import LastMessages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.config.schema import Impact as Settings
    from exporter.domain.accounts import Device
    from exporter.domain.fleet import Change
    from exporter.gateways.events import MessageEvent
    from exporter.recording.recorder import Recorder

AFFECTED_BATCH: Final = 500
BATCH: Final = 100
"""Rows in one transaction: 1-2 ms of the journal's thread, so that device events between two batches hardly wait."""
PRUNE_EVERY: Final = 600.0
HEARD_FOR: Final = 400 * 86_400.0
"""Seconds for which it is known when a channel last had a message."""
OVERLAP: Final = 120.0
"""Seconds that a message may be on its way until another exporter has saved it."""


class ImpactService:
    """Counts conversations, and what each outage affects. Call `save` now and then, and at a clean stop."""

    def __init__(self, recorder: Recorder, settings: Settings, hasher: Callable[[str], int]) -> None:
        self._recorder = recorder
        self._hash = hasher
        self.conversations = Conversations(settings.window, limit=settings.max_conversations)
        self.last_messages = LastMessages(settings.max_conversations)
        self._pruned_at = self._heard_at = recorder.clock()
        self._facts: dict[str, tuple[int, int, int]] = {}  # device id: outage start, affected, waiting
        self._unsaved: list[store.Affected] = []
        recorder.subscribe(self._changed)

    async def start(self) -> None:
        """Load what was known. JournalUnavailable if it cannot be read."""
        transact, operation = self._recorder.transact, store.PIECE.name
        self.conversations.restore(await transact(operation, store.load), self._recorder.clock())
        self.last_messages.take_in(await transact(operation, store.load_heard))
        rows = await transact(operation, store.load_affected)
        down = self._recorder.fleet.down
        for device_id, start, affected, waiting in rows:
            device = down.get(device_id)
            if device is not None and device.timeline.since == start:
                self._facts[device_id] = (start, affected, waiting)

    def message(self, event: MessageEvent, now: float) -> None:
        """Take in a message event; costs a few microseconds and never waits."""
        self.last_messages.note(event.channel_id, event.timestamp, inward=event.event == MESSAGE_IN)
        self.conversations.record(
            event.channel_id,
            event.engine,
            event.business_id,
            self._hash(event.conversation_id),
            event.timestamp,
            event.need_human,
            now,
        )

    def facts_of(self, device: Device) -> dict[str, int] | None:
        """Return the annotations of a down device's outage: conversations affected, and those that wait for a human."""
        found = self._facts.get(device.identity.device_id)
        if found is None or found[0] != device.timeline.since:
            return None
        return {AFFECTED_ANNOTATION: found[1], WAITING_ANNOTATION: found[2]}

    def affected(self, _now: float) -> Iterator[tuple[Device, float]]:
        """Yield the gauge device_affected_conversations."""
        for device in list(self._recorder.fleet.down.values()):
            facts = self.facts_of(device)
            if facts is not None:
                yield device, facts[AFFECTED_ANNOTATION]

    def active(self, now: float) -> Iterator[tuple[tuple[str, ...], float]]:
        """Yield the gauge channel_active_conversations with its labels channel_id, engine, business_id."""
        for channel in list(self.conversations.counts(now)):
            yield (channel.channel_id, channel.engine, channel.business_id), channel.active

    async def save(self) -> None:
        """Bring everything that changed to the journal. JournalUnavailable: the rest is kept for the next time."""
        now, transact = self._recorder.clock(), self._recorder.transact
        self.conversations.expire(now)
        if self._recorder.following.shared:
            await self._hear_of_others(now)
        while affected := self._unsaved[:AFFECTED_BATCH]:
            await transact(store.PIECE.name, partial(store.save_affected, rows=affected))
            del self._unsaved[: len(affected)]
        while rows := self.conversations.take_changes(BATCH):
            try:
                await transact(store.PIECE.name, partial(store.save, rows=rows))
            except BaseException:
                self.conversations.put_back(rows)
                raise
        while heard := self.last_messages.take_changes(BATCH):
            try:
                await transact(store.PIECE.name, partial(store.save_heard, rows=heard))
            except BaseException:
                self.last_messages.put_back(heard)
                raise
        if now - self._pruned_at >= PRUNE_EVERY:
            before, keep = int(now - self.conversations.memory), self.conversations.limit
            await transact(store.PIECE.name, partial(store.prune, before=before, keep=keep))
            await transact(store.PIECE.name, partial(store.prune_heard, before=int(now - HEARD_FOR)))
            self._pruned_at = now

    async def _hear_of_others(self, now: float) -> None:
        """Take in the messages that others were told of, before our rows take the place of theirs."""
        since = int(self._heard_at - OVERLAP)
        for row in await self._recorder.transact(store.PIECE.name, partial(store.load_since, moment=since)):
            key = (row.channel_id, row.engine, row.business_id, row.conversation)
            for timestamp in (row.first, row.last):
                self.conversations.record(*key, timestamp, row.need_human and timestamp == row.last, now)
        self.last_messages.take_in(
            await self._recorder.transact(store.PIECE.name, partial(store.load_heard, since=since))
        )
        self._heard_at = now

    def _changed(self, change: Change) -> None:
        after, device_id = change.after, change.device.identity.device_id
        if after is None or after.up:
            self._facts.pop(device_id, None)
            return
        known = self._facts.get(device_id)
        if not change.live or (known is not None and known[0] == after.since):
            return
        found = self.conversations.at(change.device.identity.channel_id, after.since)
        self._facts[device_id] = (after.since, found.active, found.waiting)
        self._unsaved.append((device_id, after.since, found.active, found.waiting))
