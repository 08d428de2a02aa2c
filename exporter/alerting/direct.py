"""The direct path as one background task: changes in, posts to every Alertmanager out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from exporter.alerting.board import Board
from exporter.alerting.outbox import Outbox, session
from exporter.conventions import ALERT_DEVICE_DOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.alerting.alert import Alert
    from exporter.config import Config
    from exporter.engine import Engine
    from exporter.fleet import Change, Device
    from exporter.selfmetrics import SelfMetrics

LIFE: Final = 3600.0
"""How long Alertmanager keeps an alert that is not re-sent, seconds. Everything is resolved explicitly, so this only
decides what becomes of alerts when the exporter dies: they stay, and ExporterDown fires beside them."""
DELIVERED_FOR: Final = 3.0
"""Re-send intervals for which an acknowledgement counts: an Alertmanager that restarts loses what it had."""
LOOK_BACK: Final = 5400.0
"""How far back a start looks for disconnects: a flapping that ended within LIFE may have gone untold."""


class DirectAlerts:
    """Runs while `run` runs. `config` is asked anew each time, so that a reload takes effect."""

    def __init__(
        self,
        engine: Engine,
        config: Callable[[], Config],
        metrics: SelfMetrics,
        *,
        impact: Callable[[Device], dict[str, int] | None] = lambda _device: None,
    ) -> None:
        self._engine = engine
        self._config = config
        self._metrics = metrics
        self.board = Board(engine.fleet, lambda: config().policies, impact=impact)
        self._outboxes: list[Outbox] = []
        self._wake = asyncio.Event()
        self._started = False
        engine.subscribe(self._changed)
        for url in config().alertmanager.urls:
            for result in ("ok", "error"):
                metrics.pushes.labels(url, result)

    @property
    def enabled(self) -> bool:
        """Whether there is anybody to tell."""
        config = self._config()
        return config.alerts.direct and bool(config.alertmanager.urls)

    def delivered(self, now: float) -> Iterator[tuple[Device, float]]:
        """Yield the gauge device_alert_delivered: devices down past their threshold."""
        if not self.enabled:
            return
        oldest = now - DELIVERED_FOR * self._config().alertmanager.resend_interval
        for (name, device_id), alert in list(self.board.firing.items()):
            device = self._engine.fleet.devices.get(device_id)
            if name == ALERT_DEVICE_DOWN and device is not None:
                yield device, float(alert.acknowledged_at is not None and alert.acknowledged_at >= oldest)

    def reconsider(self) -> None:
        """Judge every device anew after the policies changed."""
        if self._started:
            self.board.reconsider(self._engine.clock())
            self._wake.set()

    async def run(self) -> None:
        """Derive the state from the loaded fleet, then post until cancelled; returns where direct alerts are off."""
        if not self.enabled:
            return
        settings, clock = self._config().alertmanager, self._engine.clock
        async with session(settings) as client, asyncio.TaskGroup() as tasks:
            self._outboxes = [
                Outbox(url, client, lambda: self._config().alerts, self._metrics, clock, LIFE) for url in settings.urls
            ]
            self.board.load(clock(), await self._engine.disconnects_since(int(clock() - LOOK_BACK)), LIFE)
            self._started = True
            for outbox in self._outboxes:
                tasks.create_task(outbox.run())
            await self._keep_posting(settings.resend_interval)

    async def _keep_posting(self, resend_interval: float) -> None:
        clock = self._engine.clock
        next_resend = clock() + resend_interval
        while True:
            now = clock()
            self._post(self.board.advance(now))
            if now >= next_resend:
                next_resend = now + resend_interval
                self.board.tidy(now)
                self._post([*self.board.advance(now), *self.board.firing.values(), *self.board.resolved.values()])
            due = self.board.next_due()
            wait = max(0.0, min(next_resend, due if due is not None else next_resend) - now)
            self._wake.clear()
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def _changed(self, change: Change) -> None:
        if self._started:
            self.board.change(change, self._engine.clock())
            self._wake.set()

    def _post(self, alerts: list[Alert]) -> None:
        if alerts:
            for outbox in self._outboxes:
                outbox.put(alerts)
