"""What one Alertmanager has still to be told. Each has an outbox, so that one that is away holds up no other.

Guarantees:
- What it did not acknowledge stays queued, in its newest state, and is tried again with backoff and jitter until it is.
  What it refuses for good is left to the next repetition, without holding up the rest.
- What mutes others is posted, and given a moment to work, before them; its end is posted after theirs.
- What the rules of Prometheus told people while we could not is left to them until they are done with it: people hear
  of an outage once.
"""

from __future__ import annotations

import asyncio
import logging
import random
from itertools import islice
from typing import TYPE_CHECKING, Final

from exporter.alerting.alert import INHIBITORS, RULES_SOURCE, SOURCE, Alert
from exporter.alerting.client import Refused, Unavailable
from exporter.alerting.payload import labels_of, payload
from exporter.domain.thresholds import OF_ALERTS
from exporter.lib.logs import fields
from exporter.lib.waiting import Wake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from exporter.alerting.alert import Fingerprint
    from exporter.alerting.client import Client, Standing
    from exporter.alerting.silences import Silences
    from exporter.config.schema import Alerts
    from exporter.metrics.own import SelfMetrics

log = logging.getLogger(__name__)

BATCH: Final = 200
FIRST_BACKOFF: Final = 0.2
STALE: Final = 0.5  # seconds between two looks whether we know again what others know
LAST_BACKOFF: Final = 5.0
INHIBITION: Final = 0.05
"""Seconds that an Alertmanager gets to take in what mutes, before what is muted comes."""
RULES_MAY_SPEAK: Final = 75.0
"""The rules speak 90 s after we should have. What nobody heard of from us for so long is asked about first."""
ANSWER_AGE: Final = 5.0
"""How long one answer is used, seconds."""
LIFE: Final = 3600.0
"""How long Alertmanager keeps an alert that is not re-sent, seconds. Everything is ended explicitly, so this only
decides what becomes of alerts when the exporter dies: they stay, and ExporterDown fires beside them."""


class Outbox:
    """The queue of one Alertmanager. `adopt` takes what it had before we spoke to it first.

    `silences` are lifted from what ended before its end is posted, and hear what it took.
    """

    def __init__(
        self,
        client: Client,
        settings: Callable[[], Alerts],
        metrics: SelfMetrics,
        clock: Callable[[], float],
        adopt: Callable[[list[Standing]], None],
        told: Callable[[Alert], None] = lambda _alert: None,
        fresh: Callable[[], bool] = lambda: True,
        silences: Silences | None = None,
    ) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock
        self._adopt = adopt
        self._told = told
        self._fresh = fresh
        self._silences = silences
        self._queues: tuple[dict[Fingerprint, Alert], ...] = ({}, {}, {})  # by rank
        self._wake = Wake()
        self._met = False  # whether we know what it had before our first post
        self._try_out = False  # whether an empty post is wanted, to see that the way works
        self._standing: list[Standing] = []
        self._asked_at = 0.0
        self._left: set[str] = set()  # ids of devices that are left to the rules
        self._ok = metrics.pushes.labels(client.url, "ok")
        self._error = metrics.pushes.labels(client.url, "error")
        self._latency = metrics.push_latency
        self.failing = False
        self.reached_at: float | None = None
        """When it last took what we had to say, Unix seconds."""

    @property
    def url(self) -> str:
        """Which Alertmanager it is."""
        return self._client.url

    def put(self, alerts: list[Alert]) -> None:
        """Queue alerts; the newest state of an alert takes the place of an older one.

        An empty list is posted, too: that the way is broken shall show before it is needed.
        """
        self._try_out = not alerts
        for alert in alerts:
            rank = _rank(alert)
            if rank != _PLAIN:
                self._queues[_LAST - rank].pop(alert.fingerprint, None)
            self._queues[rank][alert.fingerprint] = alert
        self._wake.set()

    async def run(self) -> None:
        """Post for ever."""
        backoff = 0.0
        while True:
            try:
                await self._work()
            except Unavailable as error:
                self._failed(str(error))
                backoff = min(LAST_BACKOFF, backoff * 2 or FIRST_BACKOFF)
                await asyncio.sleep(backoff * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            else:
                backoff = 0.0
                await self._wake.wait()

    async def hand_over(self, alerts: Iterable[Alert], within: float) -> None:
        """Let the rules take over: what fires ends by itself after so many seconds. Tried once."""
        firing = [alert for alert in alerts if alert.ends_at is None]
        for start in range(0, len(firing), BATCH):
            try:
                await self._post(firing[start : start + BATCH], within)
            except Unavailable as error:
                self._failed(str(error))
                return

    async def _work(self) -> None:
        if not self._met:
            extra = self._settings().labels
            ours = [alert for alert in await self._ask() if alert.labels["source"] == SOURCE and alert.agrees(extra)]
            self._adopt([alert.without(extra) for alert in ours])
            self._met = True
        if self._try_out:
            await self._client.post([])
            self._try_out = False
            self._succeeded([])
        while (queue := await self._first_queue()) is not None:
            batch = [queue.pop(fingerprint) for fingerprint in list(islice(queue, BATCH))]
            try:
                await self._post(await self._without_told(batch), LIFE)
            except Unavailable:
                self._put_back(batch)
                raise
            if self._silences is not None:
                self._silences.took(batch)  # what is left to the rules, too: they told it
            if queue is self._queues[0] and self._queues[_PLAIN]:
                await asyncio.sleep(INHIBITION)

    async def _first_queue(self) -> dict[Fingerprint, Alert] | None:
        """Return what goes out next; only once we know what others know, or what has ended could be told anew."""
        while any(self._queues) and not self._fresh():  # noqa: ASYNC110 - nothing wakes it
            await asyncio.sleep(STALE)
        return next(filter(None, self._queues), None)

    def _put_back(self, batch: list[Alert]) -> None:
        for alert in batch:
            if not any(alert.fingerprint in queue for queue in self._queues):
                self._queues[_rank(alert)][alert.fingerprint] = alert

    # -- what the rules told ------------------------------------------------------------------------------------------

    async def _ask(self) -> list[Standing]:
        if self._clock() - self._asked_at > ANSWER_AGE:
            self._standing = await self._client.standing()
            self._asked_at = self._clock()
        return self._standing

    async def _without_told(self, batch: list[Alert]) -> list[Alert]:
        """Return the batch without what is left to the rules."""
        now = self._clock()
        unsure = {alert for alert in batch if self._may_be_told(alert, now)}
        if not unsure:
            return batch
        extra = self._settings().labels
        ours, told = self._sorted(await self._ask(), extra)
        left = {
            alert
            for alert in unsure
            if frozenset(labels_of(alert, extra).items()) not in ours
            and (_device(alert) in told or (alert.ends_at is not None and _device(alert) in self._left))
        }
        self._left -= {_device(alert) for alert in unsure}
        self._left |= {_device(alert) for alert in left}
        return [alert for alert in batch if alert not in left]

    @staticmethod
    def _sorted(standing: list[Standing], extra: Mapping[str, str]) -> tuple[set[Fingerprint], set[str]]:
        """Return all alerts by their labels, and the ids of the devices that the rules of our fleet speak of."""
        rules = [alert for alert in standing if alert.labels["source"] == RULES_SOURCE and alert.agrees(extra)]
        told = {alert.labels.get("device_id", "") for alert in rules}
        return {frozenset(alert.labels.items()) for alert in standing}, told

    def _may_be_told(self, alert: Alert, now: float) -> bool:
        if alert.name not in OF_ALERTS:
            return False
        if _device(alert) in self._left:
            return True
        if alert.ends_at is not None:
            return alert.acknowledged_at is None
        return alert.unheard_for(now) > RULES_MAY_SPEAK

    # -- posting ------------------------------------------------------------------------------------------------------

    async def _post(self, batch: list[Alert], ends_ahead: float) -> None:
        """Post a batch, an empty one too: where all is left to the rules, the way is still tried and counted."""
        if self._silences is not None and (ended := [alert for alert in batch if alert.ends_at is not None]):
            await self._silences.lift(ended)  # an end that is silenced is told to nobody
        now, settings = self._clock(), self._settings()
        for alert in batch:
            if alert.beside is None:
                alert.beside = settings.labels  # for good: with others it would be another alert
        try:
            await self._client.post([payload(alert, now, ends_ahead, settings) for alert in batch])
        except Refused as error:
            if len(batch) == 1:
                self._failed(str(error), alert=batch[0].name, device_id=batch[0].labels.get("device_id"))
                return
            half = len(batch) // 2  # it took the good ones and does not say which
            await self._post(batch[:half], ends_ahead)
            await self._post(batch[half:], ends_ahead)
        else:
            self._succeeded(batch)

    def _succeeded(self, batch: list[Alert]) -> None:
        self._ok.inc()
        now = self.reached_at = self._clock()
        for alert in batch:
            wanted_at, first = alert.wanted_at, alert.acknowledged_at is None and alert.ends_at is None
            if first and wanted_at is not None:
                self._latency.observe(max(0.0, now - wanted_at))
            alert.acknowledged_at = now
            if first:
                self._told(alert)
        if self.failing:
            self.failing = False
            log.info("an Alertmanager takes alerts again", extra=fields(alertmanager=self._client.url))

    def _failed(self, reason: str, **about: str | None) -> None:
        self._error.inc()
        if not self.failing:
            self.failing = True
            told = fields(alertmanager=self._client.url, reason=reason, **about)
            log.warning("an Alertmanager does not take alerts", extra=told)


_PLAIN, _LAST = 1, 2


def _device(alert: Alert) -> str:
    return alert.labels["device_id"]


def _rank(alert: Alert) -> int:
    """Return 0 for what mutes others, 2 for its end, 1 for everything else."""
    if alert.name not in INHIBITORS:
        return _PLAIN
    return 0 if alert.ends_at is None else _LAST
