"""The one thread that touches the journal. Jobs run in order; results come back on the event loop.

Records that are durable in the log are handed over here, and are appended to the journal before the next job runs: so
every job finds in the journal all that was acknowledged before it was posted. Where that fails, so does the job; the
records stay, and the next job tries again.
"""

from __future__ import annotations

import threading
from collections import deque
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from exporter.domain.records import Append, Journal

_Result = TypeVar("_Result")

TAKE_LIMIT: Final = 2000  # records in one transaction, so that jobs of others come in between


class Writer:
    """Runs jobs, each a function of the journal, one after another in a thread of its own."""

    def __init__(self, journal: Journal, loop: asyncio.AbstractEventLoop) -> None:
        self._journal = journal
        self._loop = loop
        self._jobs: SimpleQueue[tuple[Callable[[Journal], Any], Callable[[Any, Exception | None], None]] | None] = (
            SimpleQueue()
        )
        self._backlog: deque[tuple[int, list[Append]]] = deque()  # filled by the loop, emptied by the thread
        self._handed_over = 0
        self._taken = 0
        self._ended: asyncio.Future[None] = loop.create_future()
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def backlog(self) -> int:
        """How many records were handed over and are not in the journal yet."""
        return self._handed_over - self._taken

    def hand_over(self, first: int, batch: list[Append]) -> None:
        """Append durable records before the next job; the first one has the number `first`, the others follow."""
        self._backlog.append((first, batch))
        self._handed_over += len(batch)

    def post(self, job: Callable[[Journal], _Result], done: Callable[[_Result, Exception | None], None]) -> None:
        """Run a job and then, on the loop, `done(result, None)` or `done(None, error)`."""
        self._jobs.put((job, done))

    def run(self, job: Callable[[Journal], _Result]) -> asyncio.Future[_Result]:
        """Run a job; the future has its result or its exception."""
        future: asyncio.Future[_Result] = self._loop.create_future()

        def done(result: _Result, error: Exception | None) -> None:
            if future.cancelled():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        self.post(job, done)
        return future

    async def stop(self) -> None:
        """Finish all jobs, close the journal and end the thread; what it could not take over is still in the log."""
        self._jobs.put(None)
        await self._ended

    def _work(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, done = item
            try:
                self._catch_up()
                result, error = job(self._journal), None
            except Exception as caught:
                result, error = None, caught
            self._loop.call_soon_threadsafe(done, result, error)
        try:
            self._journal.close()
        finally:
            self._loop.call_soon_threadsafe(self._ended.set_result, None)

    def _catch_up(self) -> None:
        while self._backlog:
            taken: list[tuple[int, list[Append]]] = []
            numbers: list[int] = []
            batch: list[Append] = []
            while self._backlog and len(batch) < TAKE_LIMIT:
                first, some = self._backlog.popleft()
                taken.append((first, some))
                numbers += range(first, first + len(some))
                batch += some
            try:
                self._journal.append(batch, numbers)
            except BaseException:
                self._backlog.extendleft(reversed(taken))
                raise
            self._taken += len(batch)
