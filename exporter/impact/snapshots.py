"""Brings changes of the conversations to the journal, in small batches every few seconds.

No message is fsynced by itself: after a SIGKILL the last `interval` seconds of messages are lost to the impact counts
(and to nothing else). A batch that cannot be written is put back and tried again at the next round.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Protocol

from exporter.errors import ExporterError
from exporter.lib.logs import fields

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exporter.impact.conversations import Conversations, Row

log = logging.getLogger(__name__)

BATCH: Final = 100
"""Rows in one transaction: 1-2 ms of the writer thread, so that the device events between two batches hardly wait."""
PRUNE_EVERY: Final = 600.0


class AsyncStore(Protocol):
    """The journal's side: each call runs in its writer thread; raises JournalUnavailable or Overloaded."""

    async def save(self, rows: Sequence[Row]) -> None:
        """Run `Store.save`."""

    async def prune(self, before: int, keep: int) -> None:
        """Run `Store.prune`."""


class Snapshotter:
    """Run `run` as a task and call `flush` at a clean stop."""

    def __init__(
        self, conversations: Conversations, store: AsyncStore, clock: Callable[[], float], *, interval: float = 5.0
    ) -> None:
        self._conversations = conversations
        self._store = store
        self._clock = clock
        self._interval = interval
        self._pruned_at = clock()

    async def run(self) -> None:
        """Save every `interval` seconds until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            await self.flush()

    async def flush(self) -> bool:
        """Save all changes and prune where it is time; return whether all of that worked."""
        now = self._clock()
        self._conversations.expire(now)
        try:
            await self._save()
            if now - self._pruned_at >= PRUNE_EVERY:
                await self._store.prune(int(now - self._conversations.memory), self._conversations.limit)
                self._pruned_at = now
        except ExporterError as error:
            log.warning("conversations were not saved; trying again", extra=fields(error=str(error)))
            return False
        return True

    async def _save(self) -> None:
        while rows := self._conversations.take_changes(BATCH):
            try:
                await self._store.save(rows)
            except BaseException:
                self._conversations.put_back(rows)
                raise
