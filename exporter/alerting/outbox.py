"""Posts alerts to every Alertmanager, each with its own queue, so that one that is away does not hold up the others.

Guarantees: what an Alertmanager did not acknowledge stays queued in its newest state and is tried again, with backoff
and jitter, until it does. Alerts that mute others are posted, and given a moment to work, before the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
from typing import TYPE_CHECKING, Final

import aiohttp
import msgspec

from exporter.alerting.alert import INHIBITORS, Alert, payload
from exporter.logs import fields

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from exporter.config_schema import Alertmanager, Alerts
    from exporter.selfmetrics import SelfMetrics

log = logging.getLogger(__name__)

BATCH: Final = 200
FIRST_BACKOFF: Final = 0.2
LAST_BACKOFF: Final = 10.0
INHIBITION: Final = 0.05
"""Seconds that an Alertmanager gets to take in what mutes, before what is muted comes."""


class Outbox:
    """The queue and the connection of one Alertmanager."""

    def __init__(
        self,
        url: str,
        session: aiohttp.ClientSession,
        settings: Callable[[], Alerts],
        metrics: SelfMetrics,
        clock: Callable[[], float],
        ends_ahead: float,
    ) -> None:
        self._url = f"{url.rstrip('/')}/api/v2/alerts"
        self._name = url
        self._session = session
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._ends_ahead = ends_ahead
        self._urgent: dict[Alert, None] = {}
        self._queue: dict[Alert, None] = {}
        self._wake = asyncio.Event()
        self._ok = metrics.pushes.labels(url, "ok")
        self._error = metrics.pushes.labels(url, "error")
        self._failing = False

    def put(self, alerts: Iterable[Alert]) -> None:
        """Queue alerts; those already queued keep their place."""
        for alert in alerts:
            queue = self._urgent if alert.name in INHIBITORS else self._queue
            queue[alert] = None
        self._wake.set()

    async def run(self) -> None:
        """Post for ever."""
        backoff = 0.0
        while True:
            await self._wake.wait()
            queue = self._urgent or self._queue
            if not queue:
                self._wake.clear()
                continue
            batch = list(queue)[:BATCH]
            for alert in batch:
                del queue[alert]
            if await self._post(batch):
                backoff = 0.0
                if queue is self._urgent and self._queue:
                    await asyncio.sleep(INHIBITION)
            else:
                queue.update(dict.fromkeys(batch))
                backoff = min(LAST_BACKOFF, backoff * 2 or FIRST_BACKOFF)
                await asyncio.sleep(backoff * random.uniform(0.5, 1.0))  # noqa: S311 - jitter

    async def _post(self, batch: list[Alert]) -> bool:
        now, settings = self._clock(), self._settings()
        body = msgspec.json.encode([payload(alert, now, self._ends_ahead, settings) for alert in batch])
        reason = ""
        try:
            async with self._session.post(self._url, data=body, headers={"Content-Type": "application/json"}) as answer:
                if answer.status >= 400:
                    reason = f"status {answer.status}"
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            reason = str(error) or type(error).__name__
        if reason:
            self._failed(reason)
            return False
        self._succeeded(batch)
        return True

    def _succeeded(self, batch: list[Alert]) -> None:
        self._ok.inc()
        now = self._clock()
        for alert in batch:
            if alert.acknowledged_at is None and alert.ends_at is None:
                self._metrics.push_latency.observe(max(0.0, now - alert.wanted_at))
            alert.acknowledged_at = now
        if self._failing:
            self._failing = False
            log.info("an Alertmanager takes alerts again", extra=fields(alertmanager=self._name))

    def _failed(self, reason: str) -> None:
        self._error.inc()
        if not self._failing:
            self._failing = True
            log.warning("an Alertmanager does not take alerts", extra=fields(alertmanager=self._name, reason=reason))


@contextlib.asynccontextmanager
async def session(settings: Alertmanager) -> AsyncIterator[aiohttp.ClientSession]:
    """Give a client session with the configured time-out, credentials and trust."""
    auth = None
    if settings.basic_auth is not None:
        auth = aiohttp.BasicAuth(settings.basic_auth.username, settings.basic_auth.password, "utf-8")
    trust: ssl.SSLContext | bool = True
    if settings.tls is not None:
        trust = ssl.create_default_context(cafile=settings.tls.ca_file)
        if settings.tls.cert_file:
            trust.load_cert_chain(settings.tls.cert_file, settings.tls.key_file)
        if settings.tls.insecure_skip_verify:
            trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    timeout = aiohttp.ClientTimeout(total=settings.timeout)
    connector = aiohttp.TCPConnector(ssl=trust, keepalive_timeout=120)
    async with aiohttp.ClientSession(auth=auth, timeout=timeout, connector=connector) as opened:
        yield opened
