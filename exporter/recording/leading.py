"""Which of several exporters leads: does what must be done once only.

The lease is a row of the journal's, by the journal's clock. Here it counts from before it was asked for, a little
shorter, and by a clock that nobody sets and that goes on while the machine sleeps: whoever leads here leads there.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING, Final

from exporter.errors import JournalUnavailable, NotLeading
from exporter.lib.logs import fields

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from exporter.journal.port import Journal

log = logging.getLogger(__name__)

TTL: Final = 6.0
"""Seconds that a lease lasts; so long nobody leads where the leader vanishes."""
RENEW: Final = TTL / 4
MARGIN: Final = TTL / 6
RETRY: Final = 0.5


class Leading:
    """`ask` once, then `run` beside all else. A journal of one exporter only: it leads for ever."""

    def __init__(self, journal: Journal, elapsed: Callable[[], float]) -> None:
        self._journal = journal
        self._elapsed = elapsed
        self._epoch = 0
        self._until = 0.0
        self._resigned = False
        self._gained = asyncio.Event()
        self._lost = asyncio.Event()

    @property
    def leads(self) -> bool:
        """Whether this exporter leads, this very moment."""
        return self._elapsed() < self._until

    @property
    def epoch(self) -> int:
        """The number of this leadership, with which each write is checked. NotLeading."""
        if not self.leads:
            raise NotLeading("another exporter leads, or none")
        return self._epoch

    async def ask(self) -> None:
        """Lead, or go on leading, if nobody else does. JournalUnavailable."""
        began = self._elapsed()
        epoch = await self._journal.lease(TTL)
        if epoch != self._epoch or not self.leads:
            self._tell(leads=False)  # in between another one led, or nobody
        self._epoch = epoch or 0
        self._until = 0.0 if epoch is None else began + TTL - MARGIN if self._journal.shared else math.inf
        self._tell(leads=self.leads)

    async def run(self) -> None:
        """Lead whenever nobody else does, until cancelled."""
        while self._until < math.inf and not self._resigned:
            wait = RENEW
            try:
                await self.ask()
            except JournalUnavailable:
                wait = RETRY
                self._tell(leads=self.leads)
            await asyncio.sleep(min(wait, self._until - self._elapsed()) if self.leads else RETRY)
            self._tell(leads=self.leads)

    async def resign(self) -> None:
        """Let another one lead at once, and lead no more: at a clean stop."""
        led, self._until, self._resigned = self.leads, 0.0, True
        self._tell(leads=False)
        if led:
            await self._journal.resign()

    async def while_leading(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work` from the beginning whenever this exporter begins to lead, and end it when it leads no more."""
        while True:
            await self._gained.wait()
            running = asyncio.ensure_future(work())
            losing = asyncio.ensure_future(self._lost.wait())
            try:
                await asyncio.wait((running, losing), return_when=asyncio.FIRST_COMPLETED)
                if running.done():
                    return await running
            finally:
                losing.cancel()
                running.cancel()
                await asyncio.wait((running,))

    def _tell(self, *, leads: bool) -> None:
        if leads == self._gained.is_set():
            return
        if leads:
            self._lost = asyncio.Event()
            self._gained.set()
        else:
            self._gained.clear()
            self._lost.set()
        if self._journal.shared:
            log.info("leads now" if leads else "leads no more", extra=fields(epoch=self._epoch))
