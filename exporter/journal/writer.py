"""The one thread that touches the journal. Jobs run in order; results come back on the event loop."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from exporter.journal.records import Journal

_Result = TypeVar("_Result")


class Writer:
    """Runs jobs, each a function of the journal, one after another in a thread of its own."""

    def __init__(self, journal: Journal, loop: asyncio.AbstractEventLoop) -> None:
        self._journal = journal
        self._loop = loop
        self._jobs: SimpleQueue[tuple[Callable[[Journal], Any], Callable[[Any, Exception | None], None]] | None] = (
            SimpleQueue()
        )
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

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
        """Finish all jobs, close the journal and end the thread."""
        await self.run(lambda journal: journal.close())
        self._jobs.put(None)

    def _work(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, done = item
            try:
                result, error = job(self._journal), None
            except Exception as caught:
                result, error = None, caught
            self._loop.call_soon_threadsafe(done, result, error)
