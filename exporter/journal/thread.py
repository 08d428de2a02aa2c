"""The one thread that touches the database. Jobs run in order; each result comes back on the event loop as a future."""

from __future__ import annotations

import contextlib
import threading
import time
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    Job = tuple[Callable[[], Any], asyncio.Future[Any]]

_Result = TypeVar("_Result")


class Thread:
    """Runs jobs one after another. A daemon: where the disk hangs for ever, the program can end all the same."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._left = 0  # jobs without a result
        self._since = 0.0  # since when the thread has been at the present one
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def busy_for(self) -> float:
        """Return for how many seconds the thread has been at its present job; 0: there is none."""
        return time.monotonic() - self._since if self._left else 0.0

    def run(self, job: Callable[[], _Result]) -> asyncio.Future[_Result]:
        """Run a job; the future has its result or its exception."""
        future: asyncio.Future[_Result] = self._loop.create_future()
        if not self._left:
            self._since = time.monotonic()
        self._left += 1
        self._jobs.put((job, future))
        return future

    def end(self) -> None:
        """End the thread when it has done its jobs."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, future = item
            try:
                result, error = job(), None
            except Exception as caught:
                result, error = None, caught
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile, and nobody waits
                self._loop.call_soon_threadsafe(self._done, future, result, error)

    def _done(self, future: asyncio.Future[Any], result: object, error: Exception | None) -> None:
        self._left -= 1
        self._since = time.monotonic()
        if future.cancelled():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
