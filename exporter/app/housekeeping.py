"""What the exporter does by itself, again and again: heartbeat, checkpoint, retention, looks at its disk and its loop.

A round that fails is counted in device_exporter_task_failures_total and logged, a task that waits for the journal once
a minute; the next one is tried all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

from exporter.errors import ConfigError, JournalUnavailable
from exporter.lib import systemd
from exporter.lib.logs import RateLimited, fields
from exporter.lib.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from exporter.config import Config
    from exporter.metrics.own import SelfMetrics
    from exporter.recording.leading import Leading
    from exporter.recording.recorder import Recorder

log = logging.getLogger(__name__)

CHECKPOINT_INTERVAL = 30.0  # seconds; bounds what a start after a crash has to replay
CHECKPOINT_DEVICES = 1000  # changed devices that make one due before that: webhooks wait while it is written
CHECKPOINT_SHARE = 0.02  # of the time at most, unless the interval is over
CHECKPOINT_LOOK = 0.25
PRUNE_INTERVAL = 86_400.0
FIRST_PRUNE = 600.0  # not while the start's backlog comes in
CHECK_INTERVAL = 86_400.0
FIRST_CHECK = 60.0
LAG_INTERVAL = 0.25
RETRY = 1.0
HANGS = 30.0  # seconds that the journal's storage may be at one piece of work


class Housekeeping:
    """Runs tasks in the background; `stop` once."""

    def __init__(self, metrics: SelfMetrics) -> None:
        self._metrics = metrics
        self._running: list[asyncio.Task[None]] = []
        self._warn = RateLimited(log, per_minute=1)

    def run(self, task: Task) -> None:
        """Run a task until `stop`: its rounds, or, where it has none, itself and again a second after each failure."""
        self._running.append(self._begin(task))

    def lead(self, leading: Leading, begin: Callable[[], Awaitable[None]], tasks: Collection[Task]) -> None:
        """Run tasks whenever this exporter leads, each time after `begin`."""

        async def work() -> None:
            while not await self._tried("leading", begin):  # noqa: ASYNC110 - nothing wakes it
                await asyncio.sleep(RETRY)
            await asyncio.gather(*map(self._begin, tasks))

        for name in ("leading", *(task.name for task in tasks)):
            self._metrics.task_failures.labels(name)
        self._running.append(asyncio.create_task(leading.while_leading(work), name="leading"))

    def _begin(self, task: Task) -> asyncio.Task[None]:
        work = self._for_ever(task) if task.interval is None else self._rounds(task, task.interval)
        self._metrics.task_failures.labels(task.name)
        return asyncio.create_task(work, name=task.name)

    def once(self, name: str, action: Callable[[], Awaitable[None]]) -> None:
        """Run `action` once; what it raises is logged and counted. A ConfigError is told where it arose."""

        async def told() -> None:
            with contextlib.suppress(ConfigError):
                await action()

        async def run() -> None:
            await self._tried(name, told)

        running = asyncio.create_task(run(), name=name)
        self._running.append(running)
        running.add_done_callback(self._running.remove)

    async def stop(self) -> None:
        """End every task."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _for_ever(self, task: Task) -> None:
        while not await self._tried(task.name, task.run):  # noqa: ASYNC110 - nothing wakes it
            await asyncio.sleep(RETRY)

    async def _rounds(self, task: Task, interval: Callable[[], float] | float) -> None:
        def seconds() -> float:
            return interval() if callable(interval) else interval

        await asyncio.sleep(seconds() if task.first is None else task.first)
        while True:
            await self._tried(task.name, task.run)
            await asyncio.sleep(seconds())

    async def _tried(self, name: str, action: Callable[[], Awaitable[None]]) -> bool:
        """Run `action`; tell whether it returned."""
        try:
            await action()
        except JournalUnavailable as error:
            self._metrics.task_failures.labels(name).inc()
            message = "a background task could not use the journal"
            self._warn.warning(f"journal_failing_{name}", message, task=name, error=str(error))
        except Exception:
            self._metrics.task_failures.labels(name).inc()
            log.exception("a background task failed", extra=fields(task=name))
        else:
            self._warn.flush()
            return True
        return False


def rounds(recorder: Recorder, metrics: SelfMetrics, settings: Callable[[], Config]) -> list[Task]:
    """Return what every exporter does for its journal and its own health."""

    async def prune() -> None:
        await recorder.prune(settings().storage.retention)

    async def watch_loop() -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_INTERVAL
            await asyncio.sleep(LAG_INTERVAL)
            metrics.loop_lag.observe(max(0.0, loop.time() - due))

    async def tell_systemd() -> None:
        if recorder.oldest_wait < HANGS:  # else a new process is wanted
            systemd.tell(systemd.ALIVE)

    tasks = [
        Task("heartbeat", recorder.heartbeat, lambda: settings().storage.heartbeat_interval),
        Task("checkpoint", Checkpoints(recorder, time.monotonic), CHECKPOINT_LOOK, leading=True),
        Task("retention", prune, PRUNE_INTERVAL, FIRST_PRUNE, leading=True),
        Task("check", recorder.check, CHECK_INTERVAL, FIRST_CHECK),
        Task("loop_lag", watch_loop),
    ]
    if watched := systemd.watchdog_interval():
        tasks.append(Task("watchdog", tell_systemd, watched, 0.0))
    return tasks


class Checkpoints:
    """Writes a checkpoint when it is due; call it often. Small ones soon, so that none of them is long."""

    def __init__(self, recorder: Recorder, clock: Callable[[], float]) -> None:
        self._recorder = recorder
        self._clock = clock
        self._due = clock() + CHECKPOINT_INTERVAL
        self._early = 0.0  # not before, however many devices changed

    async def __call__(self) -> None:
        """Write one if the interval is over, or if many devices changed. JournalUnavailable: the next call tries."""
        began = self._clock()
        many = len(self._recorder.fleet.unsaved) >= CHECKPOINT_DEVICES
        if began < self._due and not (many and began >= self._early):
            return
        await self._recorder.save_checkpoint()
        ended = self._clock()
        self._due = ended + CHECKPOINT_INTERVAL
        self._early = ended + (ended - began) / CHECKPOINT_SHARE
