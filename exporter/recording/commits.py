"""Group commit: what waits goes into the journal together, then into the fleet, and is answered.

Guarantees:
- An answer other than an error is given only after the record is durable in the journal and visible in the fleet.
- One commit at a time; everything that comes meanwhile shares the next one. Expositions take their turn among them.
- Memory is a fold over the records in their order, each exactly once. A commit whose outcome is unknown is made up for
  by the next one: the journal says with each what memory lacks.

One loop does it all, from the top of `run` to the bottom.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from exporter.conventions import DUPLICATE
from exporter.domain.records import DeviceHistory
from exporter.errors import JournalDamaged, JournalDiverged, JournalUnavailable
from exporter.lib.logs import RateLimited

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exporter.domain.applying import Applier
    from exporter.domain.records import Append
    from exporter.journal.port import Appended, Journal, Numbered
    from exporter.metrics.own import SelfMetrics

log = logging.getLogger(__name__)

BATCH_LIMIT: Final = 2_000
WAY: Final = 0.001  # seconds that are left to events between two stretches of other work
ADVICE: Final = "records are missing; stop the exporter and put the newest backup in its place"
PAGE: Final = 500  # records that are read at once; between pages others have their turn


class Waiting(NamedTuple):
    """An event that waits for its commit, and the answer that somebody awaits."""

    append: Append
    answer: asyncio.Future[str]


class Commits:
    """See the module. `load` first, then keep `run` running."""

    def __init__(
        self,
        journal: Journal,
        applier: Applier,
        metrics: SelfMetrics,
        *,
        clock: Callable[[], float],
        elapsed: Callable[[], float],
    ) -> None:
        self.waiting: list[Waiting] = []
        self.applied = 0
        """Number of the last record in memory."""
        self.at_ms = 0
        """The journal's time as it was last heard."""
        self.exposed_ms = 0
        """No later record tells of an exposition before this one; 0: none yet."""
        self.level_at = -math.inf
        """`elapsed` when memory last had all that the journal had."""
        self.skew = 0.0
        """How far our clock was ahead of the journal's when we last heard of it, seconds."""
        self.on_diverged: Callable[[], None] = lambda: None
        """Called when the journal has another past than memory, which can only be loaded anew."""
        self.idle = asyncio.Event()
        """Nothing waits and no commit is under way."""
        self.idle.set()
        self._wanted = asyncio.Event()
        self._under_way: list[Waiting] = []
        self._exposers: list[asyncio.Future[None]] = []
        self._mark_due = False  # an exposition that the journal does not know of yet
        self._looks: list[asyncio.Future[bool]] = []
        self._gaps_until = 0
        self._clock, self._elapsed = clock, elapsed
        self._journal = journal
        self._applier = applier
        self._metrics = metrics
        self._failing = False  # the last commit failed
        self._warn = RateLimited(log)

    @property
    def shown_ms(self) -> int:
        """The time at which the fleet may be shown: of what others append, only the last mark tells what was seen."""
        return (self.exposed_ms or self.at_ms) if self._journal.shared else self.at_ms

    async def load(self, loaded_seq: int, gaps_until: int) -> None:
        """Apply what the journal has beyond record `loaded_seq`, which memory is at."""
        self.applied, self._gaps_until = loaded_seq, gaps_until
        while not await self._read({}, live=False):
            pass

    def put(self, append: Append) -> asyncio.Future[str]:
        """Commit an event soon; the future has its outcome, or JournalUnavailable."""
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.waiting.append(Waiting(append, answer))
        self._wake()
        return answer

    def expose(self) -> asyncio.Future[None]:
        """Note in the journal that the fleet is exposed; the future ends when that is done or has failed.

        Where it fails it is made up for before the next commit, so that this one counts as later all the same.
        """
        exposer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._exposers.append(exposer)
        self._mark_due = True
        self._wake()
        return exposer

    def look(self) -> asyncio.Future[bool]:
        """Apply what others appended; the future tells whether the journal could be asked."""
        look: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._looks.append(look)
        self._wake()
        return look

    async def flushed(self) -> None:
        """Return when all that waits now is applied, or has failed."""
        answers = [waiting.answer for waiting in (*self._under_way, *self.waiting)]
        if answers:
            await asyncio.wait(answers)

    async def give_way(self) -> None:
        """Let the event loop turn: once, or, while something is committed, for as long as a stretch of work takes.

        An event needs some ten turns from its request to its answer, and in between the journal's thread needs the
        interpreter.
        """
        await asyncio.sleep(0 if self.idle.is_set() else WAY)

    def warn_again(self) -> None:
        """Let what still goes on be logged."""
        self._warn.flush()

    async def run(self) -> None:
        """Commit what comes, for ever."""
        while True:
            await self._wanted.wait()  # all requests of one turn of the loop share the commit
            self._wanted.clear()
            while self.waiting or self._exposers or self._looks:
                try:
                    if self._mark_due:
                        await self._mark()
                    if self.waiting:
                        await self._commit()
                    if self._looks and await self._read({}):
                        self._looked(True)
                except Exception as error:  # whatever it is, nobody may wait for ever for an answer
                    self._fail(error)
            self.idle.set()

    # -- a commit -----------------------------------------------------------------------------------------------------

    async def _commit(self) -> None:
        batch = self._under_way = self.waiting[:BATCH_LIMIT]
        del self.waiting[:BATCH_LIMIT]
        started, began = time.perf_counter(), self._elapsed()
        try:
            appended = await self._journal.append([waiting.append for waiting in batch], self.applied)
        finally:
            self._metrics.commits.observe(time.perf_counter() - started)
            self._metrics.batches.observe(len(batch))
        outcomes = await self._take(appended, began)
        self._under_way = []
        for (_, answer), number in zip(batch, appended.numbers, strict=True):
            if not answer.done():  # who asked may have gone
                answer.set_result(DUPLICATE if number is None else outcomes[number])
        if self._failing:
            self._failing = False
            self._warn.warning("journal_recovered", "events are stored again")

    async def _mark(self) -> None:
        exposers, began = len(self._exposers), self._elapsed()
        marked = await self._journal.expose(self.applied)
        await self._take(marked, began)
        self._applier.exposed(marked.at_ms)
        self.exposed_ms = marked.at_ms
        self._mark_due = len(self._exposers) > exposers
        self._marked(exposers)

    async def _take(self, appended: Appended, began: float) -> dict[int, str]:
        """Apply what memory lacks; return the outcomes by number. The journal was asked when `elapsed` was `began`."""
        self.skew = self._clock() - appended.at_ms / 1000
        outcomes = await self._apply(appended.missed, live=True)
        if appended.until:
            outcomes |= await self._catch_up(appended.until)
        self.at_ms, self.level_at = appended.at_ms, began
        return outcomes

    async def _catch_up(self, upto: int) -> dict[int, str]:
        """Apply what others appended up to a number at least: who waits for that need not wait for what comes after."""
        outcomes: dict[int, str] = {}
        while self.applied < upto and not await self._read(outcomes):
            pass
        return outcomes

    async def _read(self, outcomes: dict[int, str], *, live: bool = True) -> bool:
        """Apply the next records, some at a time; add their outcomes and return whether that was all."""
        began = self._elapsed()
        records = await self._journal.tail(self.applied, PAGE)
        outcomes |= await self._apply(records, live=live)
        if len(records) == PAGE:
            return False
        self.level_at = began
        return True

    async def _apply(self, records: Sequence[Numbered], *, live: bool) -> dict[int, str]:
        late = self._late(records)
        histories = await self._journal.histories(late, self.applied) if late else {}
        outcomes: dict[int, str] = {}
        for number, record in records:
            if number != self.applied + 1 and (number <= self.applied or number > self._gaps_until + 1):
                what = f"after record {self.applied} of the journal comes {number}"
                if self._journal.shared:
                    raise JournalDiverged(what)
                raise JournalDamaged(f"{what}: {ADVICE}")
            history = None
            device_id = record.identity.device_id
            if device_id in late:
                past = histories.setdefault(device_id, DeviceHistory([], None))
                past.events.append((record.timestamp, record.kind))
                history = past if self._applier.is_late(record) else None
            outcomes[number] = self._applier.apply(record, history, live=live)
            self.applied = number
        return outcomes

    def _late(self, records: Sequence[Numbered]) -> set[str]:
        """Return the devices whose past is needed: an event is not newer than all that is known of its device."""
        newest: dict[str, int] = {}
        late: set[str] = set()
        for _, record in records:
            device_id = record.identity.device_id
            if record.timestamp <= newest.get(device_id, -1) or self._applier.is_late(record):
                late.add(device_id)
            newest[device_id] = max(newest.get(device_id, -1), record.timestamp)
        return late

    # -- failure and waking -------------------------------------------------------------------------------------------

    def _fail(self, error: Exception) -> None:
        if not self._failing:
            self._warn.warning("journal_failing", "events cannot be stored", error=str(error))
        self._failing = True
        if isinstance(error, JournalDiverged):
            self.on_diverged()
        self._metrics.failures.labels("append" if self._under_way or self._mark_due else "tail").inc()
        if not isinstance(error, JournalUnavailable):
            log.error("the journal failed", exc_info=error)
            error = JournalUnavailable("the journal failed")
        if self._mark_due and not self._under_way:  # then nothing can be appended either
            self._under_way, self.waiting = self.waiting, []
        failed, self._under_way = self._under_way, []
        for _, answer in failed:
            if not answer.done():
                answer.set_exception(error)
        self._marked(len(self._exposers))
        self._looked(False)

    def _marked(self, count: int) -> None:
        """Let the first ones go on that wait for their mark."""
        for exposer in self._exposers[:count]:
            if not exposer.done():
                exposer.set_result(None)
        del self._exposers[:count]

    def _looked(self, done: bool) -> None:
        for look in self._looks:
            if not look.done():
                look.set_result(done)
        self._looks.clear()

    def _wake(self) -> None:
        self.idle.clear()
        self._wanted.set()
