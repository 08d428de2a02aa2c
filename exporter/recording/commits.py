"""Group commit: what waits goes into the log together, then into the fleet, and is answered.

Guarantees:
- An answer other than an error is given only after the record is durable in the log and visible in the fleet.
- One commit at a time; everything that comes meanwhile shares the next one. The disk has the next one already while
  the usual commit is applied and answered, so that neither waits for the other.
- Memory is a fold over the records in their order. The usual commit is applied as soon as it is in the log. One with a
  record that may be late or a duplicate waits until the journal has it: only the journal knows what came before.
- After a failure whose outcome is unknown (`uncertain`), the next commit reads on from the last record in memory.

Everything here runs on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from exporter.conventions import DUPLICATE
from exporter.domain.records import Append
from exporter.errors import JournalUnavailable
from exporter.lib.logs import RateLimited

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from exporter.domain.applying import Applier
    from exporter.domain.records import DeviceHistory, Journal, Record
    from exporter.journal.sqlite.log import Log
    from exporter.journal.sqlite.thread import Writer
    from exporter.metrics.own import SelfMetrics

    Replayed = tuple[int, Record, DeviceHistory | None]

Answer = Callable[[str | JournalUnavailable], None]

log = logging.getLogger(__name__)

BATCH_LIMIT: Final = 2_000
BACKLOG_LIMIT: Final = 100_000  # records in the log that the journal's file lacks; beyond it nothing more is taken
TAKE_OVER_INTERVAL: Final = 0.25  # seconds until records in the log are taken over into the journal's file
TAKE_OVER_AT: Final = 5_000  # records that are taken over without waiting for that
RETRY: Final = 1.0


class Waiting(msgspec.Struct, frozen=True):
    """A record that waits for its commit, and who waits for it."""

    append: Append
    answer: Answer


class Committer:
    """See the module. `start` first."""

    def __init__(self, applier: Applier, metrics: SelfMetrics) -> None:
        self.waiting: list[Waiting] = []
        self.applied = 0
        """Number of the last record in memory."""
        self.uncertain = False
        """Whether the journal may hold records that memory lacks."""
        self.idle = asyncio.Event()
        """Nothing waits and no commit is under way."""
        self.idle.set()
        self._landed = asyncio.Event()  # no commit is under way
        self._landed.set()
        self._applier = applier
        self._metrics = metrics
        self._next = 1
        self._failing = False  # the last commit failed
        self._full = False  # the backlog is at its limit
        self._behind = False  # the journal's file could not take over what is in the log
        self._taking_over = False
        self._take_over_handle: asyncio.TimerHandle | None = None
        self._warn = RateLimited(log)

    def start(self, log_: Log, writer: Writer, loaded: int) -> None:
        """Take commits from now on; `loaded` is the number of the last record of the journal."""
        self._log, self._writer = log_, writer
        self._loop = asyncio.get_running_loop()
        self._next = loaded + 1

    def put(self, append: Append, answer: Answer) -> None:
        """Commit a record soon. JournalUnavailable if too much waits for the journal's file."""
        if self._full:
            raise JournalUnavailable("the journal's file does not take over what is in the log")
        self.waiting.append(Waiting(append, answer))
        if self.idle.is_set():
            self.idle.clear()
            self._loop.call_soon(self._commit)  # not at once: all requests of this turn of the loop share the commit

    async def landed(self) -> None:
        """Return when the commit that is under way now, if any, is applied or has failed."""
        await self._landed.wait()

    async def flushed(self) -> None:
        """Return when all that waits now is applied, or has failed."""
        if self.waiting:
            flushed = asyncio.Event()
            last = self.waiting[-1]

            def answer_and_set(result: str | JournalUnavailable) -> None:
                flushed.set()
                last.answer(result)

            self.waiting[-1] = Waiting(last.append, answer_and_set)
            await flushed.wait()
        await self._landed.wait()

    def stop(self) -> None:
        """Take nothing over any more by itself."""
        if self._take_over_handle is not None:
            self._take_over_handle.cancel()

    def warn_again(self) -> None:
        """Let what still goes on be logged."""
        self._warn.flush()

    # -- a commit -----------------------------------------------------------------------------------------------------

    def _commit(self) -> None:
        batch, self.waiting = self.waiting[:BATCH_LIMIT], self.waiting[BATCH_LIMIT:]
        appends = [waiting.append for waiting in batch]
        first, self._next = self._next, self._next + len(batch)
        started = time.perf_counter()
        self._landed.clear()

        def logged(error: Exception | None) -> None:
            self._metrics.commits.observe(time.perf_counter() - started)
            self._metrics.batches.observe(len(batch))
            if error is not None:
                self._fail(batch, error)
                self._land()
                return
            self._writer.hand_over(first, appends)
            self._take_over_soon()
            if self.uncertain or any(append.late for append in appends):
                self._settle(batch, first)
            elif self.waiting:
                self._landed.set()  # those who wait go on when this one is applied
                self._commit()
                self._finish(batch, first, None)
            else:
                self._finish(batch, first, None)
                self._land()

        try:
            self._log.append(appends, first, logged)
        except Exception as error:  # whatever it is, nobody may wait for ever for an answer
            self._loop.call_soon(logged, error)

    def _settle(self, batch: list[Waiting], first: int) -> None:
        """Finish a commit by what the journal has of it: duplicates are left out, late records bring a history."""
        after = self.applied
        usual = {number for number, one in enumerate(batch, first) if not one.append.late}

        def done(replayed: list[Replayed], error: Exception | None) -> None:
            if error is not None:
                self.uncertain = True
                self._fail(batch, error)
                self._land()
                return
            missed = [one for one in replayed if one[0] < first]
            self._finish(batch, first, {number: history for number, _, history in replayed}, missed)
            self._land()

        self._writer.post(lambda journal: list(replay(journal, after, usual)), done)

    def _finish(
        self,
        batch: list[Waiting],
        first: int,
        histories: dict[int, DeviceHistory | None] | None,
        missed: Sequence[Replayed] = (),
    ) -> None:
        """Apply a commit and answer it. `histories`: of the records that were new to the journal; None: all, usual."""
        self.uncertain = False
        number, apply = first, self._applier.apply
        batch.reverse()  # what is left in the batch still waits for an answer
        try:
            for self.applied, record, history in missed:
                apply(record, history, live=True)
            while batch:
                outcome = DUPLICATE
                if histories is None:
                    outcome = apply(batch[-1].append.record, None, live=True)
                elif number in histories:
                    outcome = apply(batch[-1].append.record, histories[number], live=True)
                self.applied, number = number, number + 1
                batch.pop().answer(outcome)
        except Exception as bug:
            self.uncertain = True
            self._fail(batch, bug)
        else:
            if self._failing:
                self._failing = False
                self._warn.warning("journal_recovered", "events are stored again")

    def _fail(self, batch: list[Waiting], error: Exception) -> None:
        if not self._failing:
            self._warn.warning("journal_failing", "events cannot be stored", error=str(error))
        self._failing = True
        self._metrics.failures.labels("append").inc()
        if not isinstance(error, JournalUnavailable):
            log.error("the journal failed", exc_info=error)
            error = JournalUnavailable("the journal failed")
        for waiting in batch:
            waiting.answer(error)

    def _land(self) -> None:
        self._landed.set()
        if self.waiting:
            self._loop.call_soon(self._commit)
        else:
            self.idle.set()

    # -- from the log into the journal's file -------------------------------------------------------------------------

    def _take_over_soon(self) -> None:
        self._full = self._writer.backlog >= BACKLOG_LIMIT
        if self._take_over_handle is None:
            self._take_over_handle = self._loop.call_later(TAKE_OVER_INTERVAL, self._take_over)
        elif self._writer.backlog >= TAKE_OVER_AT and not self._taking_over:
            self._take_over_handle.cancel()
            self._take_over()

    def _take_over(self) -> None:
        self._taking_over = True

        def done(last: int, error: Exception | None) -> None:
            self._taking_over = False
            self._take_over_handle = None
            self._full = self._writer.backlog >= BACKLOG_LIMIT
            if error is None:
                if self._behind:
                    self._warn.warning("journal_recovered", "the journal's file has taken over what was in the log")
                self._behind = False
                self._log.taken_over(last)
            else:
                self._metrics.failures.labels("take_over").inc()
                if not self._behind:
                    message = "the journal's file cannot take over what is in the log"
                    self._warn.warning("journal_behind", message, error=str(error))
                self._behind = True
            if self._writer.backlog:
                wait = RETRY if self._behind else TAKE_OVER_INTERVAL
                self._take_over_handle = self._loop.call_later(wait, self._take_over)

        self._writer.post(lambda journal: journal.appended(), done)


def replay(journal: Journal, after: int, usual: Collection[int]) -> Iterator[Replayed]:
    """Read the records beyond number `after`, with their device's history but for those with a `usual` number."""
    for number, record in journal.records_after(after):
        history = None if number in usual else journal.history(record.identity.device_id, number)
        yield number, record, history
