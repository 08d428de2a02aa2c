"""The relay's rules: which URLs, what was sent before, how long to wait, what to answer.

Guarantees: a notification is sent once to each URL of its target within `repeat_window`; a failed URL is tried again at
the next delivery, and then only that one. A send that outlasts the time-out goes on: a delivery that comes meanwhile
joins it instead of sending a second time, and its late success is remembered.
A target gets so many texts an hour and one that says that the next ones are held back: see `exporter.notify.quota`.
Where what was sent cannot be looked up, the text is sent: a second one is better than none.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
from prometheus_client import Counter, Histogram

from exporter.conventions import SELF_PREFIX
from exporter.errors import ExporterError, JournalUnavailable, Overloaded
from exporter.lib.logs import fields
from exporter.lib.times import zone_of
from exporter.notify.buttons import with_button
from exporter.notify.deliveries import Deliveries, SentElsewhere, delivery_key
from exporter.notify.quota import Quota, Verdict
from exporter.notify.sending import SUCCESSES, Result, TargetUnavailable, read_urls
from exporter.notify.text import Style, render, render_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prometheus_client import CollectorRegistry

    from exporter.config.schema import Alerts, Notify, Target
    from exporter.notify.webhook import Notification

log = logging.getLogger(__name__)

MOST_RUNNING: Final = 200
"""Texts on their way at once, waiting ones included; beyond that a delivery is refused."""


class UnknownTarget(ExporterError):
    """The configuration has no such target. Permanent."""

    code = "unknown_target"


class Sender(Protocol):
    """Sends one text to one URL."""

    async def send(self, url: str, text: str, *, resolved: bool, patience: float) -> Result:
        """Return when the outcome is known."""


class Receipt(msgspec.Struct, frozen=True):
    """What became of one delivery, a result for each URL of the target."""

    results: tuple[Result, ...]

    @property
    def complete(self) -> bool:
        """Whether every URL has the text, now or from before."""
        return SUCCESSES.issuperset(self.results)


class RelayMetrics:
    """The relay's own metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._sends = Counter(
            f"{SELF_PREFIX}_notify_total",
            "Texts by target and result, one for each URL of the target.",
            ["target", "result"],
            registry=registry,
        )
        self._seconds = Histogram(
            f"{SELF_PREFIX}_notify_duration_seconds",
            "How long a service took to take or refuse a text.",
            ["target"],
            registry=registry,
            buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
        )

    def announce(self, target: str) -> None:
        """Make the series of a target exist, at 0: else its first failure would be invisible to `increase()`."""
        self._seconds.labels(target)
        for result in Result:
            self._sends.labels(target, result.value)

    def count(self, target: str, result: Result) -> None:
        """Count one text."""
        self._sends.labels(target, result.value).inc()

    def took(self, target: str, seconds: float) -> None:
        """Observe one send that was really made."""
        self._seconds.labels(target).observe(seconds)


class Relay:
    """Takes notifications and sends their texts. Lives on the event loop."""

    def __init__(
        self,
        notify: Notify,
        alerts: Alerts,
        *,
        sender: Sender,
        deliveries: Deliveries,
        registry: CollectorRegistry,
        clock: Callable[[], float],
        on_sent: Callable[[str, float, list[str]], None] = lambda _target, _at, _device_ids: None,
    ) -> None:
        self._sender = sender
        self._on_sent = on_sent
        self._deliveries = deliveries
        self._metrics = RelayMetrics(registry)
        self._clock = clock
        self._quota = Quota()
        self._running: dict[bytes, asyncio.Task[Result]] = {}
        self.reconfigure(notify, alerts)

    def reconfigure(self, notify: Notify, alerts: Alerts) -> None:
        """Take new settings; what is on its way goes on."""
        self.notify = notify
        self._alerts = alerts
        self._zone = zone_of(alerts.timezone)
        for name in notify.targets:
            self._metrics.announce(name)

    async def deliver(self, name: str, notification: Notification) -> Receipt:
        """Send to every URL of the target that does not have this notification yet.

        Raises UnknownTarget, and TargetUnavailable if the URLs cannot be read.
        """
        target = self.notify.targets.get(name)
        if target is None:
            raise UnknownTarget("no such target in the configuration")
        urls = await self._urls(name, target)
        text = render(notification, self.style(target), self._clock())
        identity, resolved = notification.identity(name), notification.status == "resolved"
        verdict = self._quota.judge(name, identity, target.per_hour, self._clock())
        if verdict is Verdict.HOLD:
            return self._hold(name, len(urls))
        if verdict is Verdict.SAY_SO:
            text = render_limit(target.per_hour, self._quota.free_at(name), self.style(target), self._clock())
        keys = [delivery_key(identity, url) for url in urls]
        link, language = notification.ack_url, self.style(target).language
        urls = [with_button(url, link, name, language) for url in urls]
        results = await asyncio.gather(
            *(self._one(name, key, url, text, resolved=resolved) for key, url in zip(keys, urls, strict=True))
        )
        _tell(name, results)
        if Result.SENT in results:
            self._on_sent(name, self._clock(), notification.devices_down())
        return Receipt(tuple(results))

    def _hold(self, name: str, urls: int) -> Receipt:
        for _ in range(urls):
            self._metrics.count(name, Result.HELD)
        log.warning("a text is held back: the target has had its texts of this hour", extra=fields(target=name))
        return Receipt((Result.HELD,) * urls)

    def style(self, target: Target) -> Style:
        """Return how a target wants its texts."""
        return Style(target.language or self._alerts.language, self._zone, min(10, max(1, target.sms_parts)))

    async def close(self, patience: float) -> None:
        """Let what is on its way finish for `patience` seconds, then leave it."""
        running = list(self._running.values())
        if running:
            await asyncio.wait(running, timeout=patience)
        for task in running:
            task.cancel()

    async def _urls(self, name: str, target: Target) -> Sequence[str]:
        if target.urls_file is None:
            return target.urls
        try:
            return await asyncio.to_thread(read_urls, target.urls_file)
        except TargetUnavailable as error:
            self._metrics.count(name, Result.UNAVAILABLE)
            log.error("no URLs to notify", extra=fields(target=name, error=str(error)))  # noqa: TRY400 - no trace needed
            raise

    async def _one(self, name: str, key: bytes, url: str, text: str, *, resolved: bool) -> Result:
        task = self._running.get(key)
        if task is None:
            if len(self._running) >= MOST_RUNNING:
                self._metrics.count(name, Result.UNAVAILABLE)
                return Result.UNAVAILABLE
            task = asyncio.create_task(self._attempt(name, key, url, text, resolved=resolved))
            self._running[key] = task
            task.add_done_callback(lambda _: self._running.pop(key, None))
        try:
            async with asyncio.timeout(self.notify.timeout):
                return await asyncio.shield(task)
        except TimeoutError:
            self._metrics.count(name, Result.TIMEOUT)
            return Result.TIMEOUT

    async def _attempt(self, name: str, key: bytes, url: str, text: str, *, resolved: bool) -> Result:
        try:
            if await self._sent_before(key):
                self._metrics.count(name, Result.DUPLICATE)
                return Result.DUPLICATE
        except SentElsewhere:
            self._metrics.count(name, Result.ELSEWHERE)
            return Result.ELSEWHERE
        begun = time.monotonic()
        result = await self._sender.send(url, text, resolved=resolved, patience=self.notify.timeout)
        if result is not Result.TIMEOUT:  # whoever waited has counted that
            self._metrics.count(name, result)
            self._metrics.took(name, time.monotonic() - begun)
        if result is Result.SENT:
            await self._remember(key)
        else:
            with contextlib.suppress(JournalUnavailable, Overloaded):
                await self._deliveries.give_up(key)
        return result

    async def _sent_before(self, key: bytes) -> bool:
        try:
            return await self._deliveries.sent_after(key, self._clock() - self.notify.repeat_window)
        except (JournalUnavailable, Overloaded) as error:
            log.warning("cannot look up what was sent: sending", extra=fields(error=str(error)))
            return False

    async def _remember(self, key: bytes) -> None:
        try:
            await self._deliveries.record(key, self._clock())
        except (JournalUnavailable, Overloaded) as error:
            log.warning("sent, but a restart will not know it", extra=fields(error=str(error)))


def _tell(name: str, results: Sequence[Result]) -> None:
    failed = [result.value for result in results if result not in SUCCESSES]
    if failed:
        log.warning("not every URL has the text", extra=fields(target=name, urls=len(results), failed=",".join(failed)))
    else:
        log.info("notified", extra=fields(target=name, urls=len(results)))
