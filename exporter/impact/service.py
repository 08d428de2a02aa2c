"""Impact in the running exporter: message events in; at each disconnect the affected conversations are fixed.

What an outage affected does not change afterwards: it is kept per outage, in memory while the device is down and in the
journal's file, so that a restart says the same. Written with the snapshots, every few seconds.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from exporter.conventions import AFFECTED_ANNOTATION, WAITING_ANNOTATION
from exporter.errors import JournalUnavailable
from exporter.impact.conversations import Conversations
from exporter.impact.snapshots import Snapshotter
from exporter.impact.store import OPERATION, JournalStore

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    from exporter.config.schema import Impact as Settings
    from exporter.domain.fleet import Change, Device
    from exporter.gateways.csku.parse import MessageEvent
    from exporter.recording.recorder import Recorder

_Row = tuple[str, int, int, int]

BATCH: Final = 500
"""Rows in one transaction: the journal's thread is soon free again for events."""


_SAVE: Final = """
INSERT OR REPLACE INTO outage_impact
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
       json_extract(value, '$[3]')
FROM json_each(?)
"""  # one statement: for each row by itself the thread would need the interpreter again


class ImpactService:
    """Counts conversations, and what each outage affects."""

    def __init__(self, recorder: Recorder, settings: Settings, hasher: Callable[[str], int]) -> None:
        self._recorder = recorder
        self._hash = hasher
        self.conversations = Conversations(settings.window, limit=settings.max_conversations)
        self._store = JournalStore(recorder.transact)
        self._snapshotter = Snapshotter(self.conversations, self._store, recorder.clock)
        self._facts: dict[str, tuple[int, int, int]] = {}  # device id: outage start, affected, waiting
        self._unsaved: list[_Row] = []
        recorder.subscribe(self._changed)

    async def start(self) -> None:
        """Load what was known. JournalUnavailable if it cannot be read."""
        self.conversations.restore(await self._store.load(), self._recorder.clock())
        rows = await self._recorder.transact(OPERATION, _load)
        down = self._recorder.fleet.down
        for device_id, start, affected, waiting in rows:
            device = down.get(device_id)
            if device is not None and device.timeline.since == start:
                self._facts[device_id] = (start, affected, waiting)

    def message(self, event: MessageEvent, now: float) -> None:
        """Take in a message event; costs a few microseconds and never waits."""
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
        """Bring everything that changed to the journal; what cannot be written now is kept for the next time."""
        rows, self._unsaved = self._unsaved, []
        try:
            while rows:
                await self._recorder.transact(OPERATION, partial(_save, rows[:BATCH]))
                del rows[:BATCH]
        except JournalUnavailable:
            self._unsaved = rows + self._unsaved
            raise
        await self._snapshotter.flush()

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


def _save(rows: list[_Row], connection: sqlite3.Connection) -> None:
    connection.execute(_SAVE, (msgspec.json.encode(rows).decode(),))


def _load(connection: sqlite3.Connection) -> list[_Row]:
    return connection.execute("SELECT device_id, start, affected, waiting FROM outage_impact").fetchall()
