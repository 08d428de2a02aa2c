"""Keeps the daily sums of every device: each round takes in some of the devices that the journal has news of.

A round reads first and writes then, both in small pieces, and nothing where there is no news. If it fails, the next
one does the same work again.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from exporter.days import store
from exporter.days.computing import MARGIN, Computing
from exporter.days.reading import blind_text
from exporter.days.store import Progress
from exporter.domain.records import Blind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from exporter.days.store import Computed
    from exporter.journal.port import Reader, Transaction
    from exporter.recording.recorder import Recorder

PIECE_SIZE: Final = 100
"""Devices, or records, that one round looks at: webhooks wait for its transaction."""
SHARE: Final = 0.05
"""Of the time, where there is much to do."""


class _Round(NamedTuple):
    """What a round found."""

    progress: Progress
    computed: Sequence[Computed] = ()
    anew: bool = False
    over: bool = False
    """Whether there is no more to do now."""


class DaySums:
    """`zones` names the time zones whose days are kept, `retention` for how many seconds."""

    def __init__(self, recorder: Recorder, zones: Callable[[], Iterable[str]], retention: Callable[[], float]) -> None:
        self._recorder = recorder
        self._zones = zones
        self._retention = retention
        self._unheard: tuple[str, str] = ("", "")
        self._touched: dict[int, int] = {}

    async def catch_up(self) -> None:
        """Take in what is new. JournalUnavailable."""
        while True:
            began = time.monotonic()
            if await self.round():
                return
            await asyncio.sleep((time.monotonic() - began) / SHARE)

    def begin_anew(self) -> None:
        """Know nothing of what was to be done: another exporter has gone on."""
        self._unheard, self._touched = ("", ""), {}

    async def round(self) -> bool:
        """Take in some of what is new; return whether that was all. JournalUnavailable."""
        found = await self._recorder.read(self._look)

        def write(transaction: Transaction) -> None:
            if found.anew:
                store.begin(transaction, found.progress)
            else:
                store.put(transaction, found.computed)
                store.note(transaction, found.progress)

        if found.anew or found.computed or not found.over:
            try:
                await self._recorder.transact_leading(store.PIECE.name, write)
            except BaseException:
                self._unheard = ("", "")  # what was to be written must be found again
                raise
        return found.over

    async def prune(self) -> None:
        """Delete the days that retention has passed by. JournalUnavailable."""
        oldest = self._oldest()
        await self._recorder.transact_leading(store.PIECE.name, lambda transaction: store.prune(transaction, oldest))

    def _oldest(self) -> int:
        return max(0, int(self._recorder.clock() - self._retention()))

    def _look(self, reader: Reader) -> _Round:
        """Find the next piece of work: devices that were never summed, then other blind time, then new records."""
        zones, blind = " ".join(sorted(set(self._zones()))), reader.blind_intervals()
        progress = store.progress(reader)
        if progress is None or progress.zones != zones:
            newest = store.newest(reader)
            return _Round(Progress(newest, 0, self._oldest(), zones, blind_text(blind)), anew=True)
        oldest = max(progress.oldest, self._oldest())
        computing = Computing(reader, zones, oldest=oldest, now=self._recorder.clock(), blind=blind)
        unbuilt = store.devices_after(reader, progress.built, PIECE_SIZE)
        if unbuilt:
            done = msgspec.structs.replace(progress, built=unbuilt[-1])
            return _Round(done, computing.devices(dict.fromkeys(unbuilt, 0)))
        if progress.blind != blind_text(blind):
            return self._look_at_blind(reader, progress, blind, computing)
        changed, seq = store.changed(reader, progress.seq, PIECE_SIZE)
        done = msgspec.structs.replace(progress, seq=seq)
        return _Round(done, computing.devices(changed), over=seq - progress.seq < PIECE_SIZE)

    def _look_at_blind(
        self, reader: Reader, progress: Progress, blind: Sequence[Blind], computing: Computing
    ) -> _Round:
        """Take in some of the devices whose sums have days with other blind time than they were made with."""
        wanted = (progress.blind, blind_text(blind))
        if self._unheard != wanted:
            former = msgspec.json.decode(progress.blind, type=list[Blind])
            self._touched = {}
            for start, end in set(former) ^ set(blind):
                for device in store.touched(reader, start, end, MARGIN):
                    self._touched[device] = min(int(start), self._touched.get(device, int(start)))
            self._unheard = wanted
        some = dict(list(self._touched.items())[:PIECE_SIZE])
        self._touched = {device: since for device, since in self._touched.items() if device not in some}
        done = progress if self._touched else msgspec.structs.replace(progress, blind=wanted[1])
        return _Round(done, computing.devices(some))
