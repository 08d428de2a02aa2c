"""What the exporter does by itself, again and again: heartbeat, checkpoint, retention, watching its own loop.

A round that fails is logged and counted in device_exporter_task_failures_total; the next one is tried all the same.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from exporter.errors import ConfigError, JournalUnavailable
from exporter.lib.logs import fields

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from exporter.config import Config
    from exporter.metrics.own import SelfMetrics
    from exporter.recording.recorder import Recorder

log = logging.getLogger(__name__)

CHECKPOINT_INTERVAL = 30.0  # seconds; bounds what a start after a crash has to replay
CHECKPOINT_DEVICES = 1000  # changed devices that make one due before that: webhooks wait while it is written
CHECKPOINT_SHARE = 0.02  # of the time at most, unless the interval is over
CHECKPOINT_LOOK = 0.25
PRUNE_INTERVAL = 86_400.0
FIRST_PRUNE = 600.0  # not while the start's backlog comes in
LAG_INTERVAL = 0.25


class Housekeeping:
    """Background rounds of a recorder; `start` once, `stop` once."""

    def __init__(self, recorder: Recorder, metrics: SelfMetrics, config: Callable[[], Config]) -> None:
        self._recorder = recorder
        self._metrics = metrics
        self._config = config
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start every round."""
        self.every("heartbeat", self._config().storage.heartbeat_interval, self._recorder.heartbeat)
        self.every("checkpoint", CHECKPOINT_LOOK, Checkpoints(self._recorder, time.monotonic))
        self.every("retention", PRUNE_INTERVAL, self._prune, first=FIRST_PRUNE)
        self._tasks.append(asyncio.create_task(self._watch_loop(), name="loop_lag"))

    def every(
        self, name: str, interval: float, action: Callable[[], Awaitable[None]], *, first: float | None = None
    ) -> None:
        """Run `action` every `interval` seconds, the first time after `first` (or one interval)."""
        failures = self._metrics.task_failures.labels(name)

        async def rounds() -> None:
            await asyncio.sleep(interval if first is None else first)
            while True:
                try:
                    await action()
                except JournalUnavailable as error:
                    failures.inc()
                    log.warning(
                        "a background task could not use the journal", extra=fields(task=name, error=str(error))
                    )
                except Exception:
                    failures.inc()
                    log.exception("a background task failed", extra=fields(task=name))
                await asyncio.sleep(interval)

        self._tasks.append(asyncio.create_task(rounds(), name=name))

    def keep(self, name: str, action: Callable[[], Awaitable[None]]) -> None:
        """Run `action`, and again a second after each failure, until it returns."""
        failures = self._metrics.task_failures.labels(name)

        async def rounds() -> None:
            while True:
                try:
                    return await action()
                except Exception:
                    failures.inc()
                    log.exception("a background task failed", extra=fields(task=name))
                    await asyncio.sleep(1)

        self._tasks.append(asyncio.create_task(rounds(), name=name))

    def once(self, name: str, action: Callable[[], Awaitable[None]]) -> None:
        """Run `action` once in the background; what it raises is logged and counted."""

        async def run() -> None:
            try:
                await action()
            except ConfigError:
                pass  # told where it arose
            except Exception:
                self._metrics.task_failures.labels(name).inc()
                log.exception("a background task failed", extra=fields(task=name))

        task = asyncio.create_task(run(), name=name)
        self._tasks.append(task)
        task.add_done_callback(self._tasks.remove)

    async def stop(self) -> None:
        """End every round."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _prune(self) -> None:
        await self._recorder.prune(self._config().storage.retention)

    async def _watch_loop(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_INTERVAL
            await asyncio.sleep(LAG_INTERVAL)
            self._metrics.loop_lag.observe(max(0.0, loop.time() - due))


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
