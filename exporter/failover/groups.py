"""Keeps the accounts of all groups up to date with the journal, and exposes them as counters.

A change of a group's device has its histories read again, in a thread: exact, whatever a late event corrected. Between
the change and its reading, some milliseconds, the counters follow what was known before.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Final

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from exporter.conventions import FAILOVER_GROUP_DOWNTIME, FAILOVER_GROUP_OBSERVED, FAILOVER_LABELS, HELP
from exporter.errors import JournalUnavailable
from exporter.failover.accounts import Account, Sums
from exporter.lib.logs import RateLimited
from exporter.lib.waiting import Wake
from exporter.report.groups import group_history, group_identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client import Metric

    from exporter.domain.fleet import Change
    from exporter.failover.store import Pair, Store
    from exporter.journal.port import Read, Reader
    from exporter.report.history import History

log = logging.getLogger(__name__)

LONGEST_LAG: Final = 7 * 86400.0
SAVE_INTERVAL: Final = 30.0
"""Seconds; what a SIGKILL may lose of the floors."""
SETTLE_INTERVAL: Final = 3600.0
RETRY: Final = 1.0


class GroupAccounts(Collector):
    """The accounts of the pairs that are watched. Register it with the metrics' registry."""

    def __init__(
        self,
        store: Store,
        read: Read,
        clock: Callable[[], float],
        retention: Callable[[], float],
        *,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        """`leads`: whether this exporter is the one that accounts, and shows it."""
        self._leads = leads
        self._store = store
        self._read = read
        self._clock = clock
        self._retention = retention
        self._accounts: dict[Pair, Account] = {}
        self._members: dict[str, dict[str, None]] = {}
        self._dirty: dict[Pair, None] = {}
        self._wake = Wake()
        self._warn = RateLimited(log, per_minute=1)
        self._busy = asyncio.Lock()
        self._settle_due = 0.0

    async def watch(self, pairs: Iterable[Pair]) -> None:
        """Account for these pairs from now on, and for no others. JournalUnavailable if they cannot be read."""
        async with self._busy:
            await self._watch(list(pairs))
        self._dirty.update(dict.fromkeys(self._accounts))  # what changed meanwhile
        self._wake.set()

    async def _watch(self, pairs: list[Pair]) -> None:
        await self.save()
        members: dict[str, dict[str, None]] = {channel: {} for pair in pairs for channel in pair}
        known = await self._store.sums() if pairs else {}
        self._members = members  # from here on changes add to it
        for channel, device_id in await self._store.devices_of(members) if pairs else ():
            members[channel][device_id] = None
        accounts = {pair: Account(known.get(pair, Sums())) for pair in pairs}
        for pair, account in accounts.items():
            await self._take(pair, account)
        self._accounts = accounts

    def forget(self) -> None:
        """Forget the accounts, which another exporter has gone on with."""
        self._accounts = {}

    def changed(self, change: Change) -> None:
        """Take note of a change of any device; cheap for those of other channels."""
        device_id, channel = change.device.identity.device_id, change.device.identity.channel_id
        concerned = [found for found, devices in self._members.items() if found == channel or device_id in devices]
        for found in concerned:
            if found == channel:
                self._members[found][device_id] = None
            else:
                del self._members[found][device_id]
            self._dirty.update((pair, None) for pair in self._accounts if found in pair)
            self._wake.set()

    async def run(self) -> None:
        """Read again what changed, and save, until cancelled."""
        while True:
            await self._wake.wait(SAVE_INTERVAL)
            try:
                await self.refresh()
                self._warn.flush()
            except JournalUnavailable as error:
                self._warn.warning("journal_failing", "groups wait for the journal", error=str(error))
                self._wake.set()
                await asyncio.sleep(RETRY)

    async def refresh(self) -> None:
        """Read what changed since, everything once in a while, and save. JournalUnavailable: it stays to be done."""
        now = self._clock()
        if now >= self._settle_due:
            self._settle_due = now + SETTLE_INTERVAL
            self._dirty.update(dict.fromkeys(self._accounts))
        async with self._busy:
            while self._dirty:
                await self._refresh(next(iter(self._dirty)))
            await self.save()

    async def _refresh(self, pair: Pair) -> None:
        del self._dirty[pair]
        try:
            if pair in self._accounts:
                await self._take(pair, self._accounts[pair])
        except JournalUnavailable:
            self._dirty[pair] = None
            raise

    async def save(self) -> None:
        """Keep what was exposed and settled."""
        if self._accounts:
            await self._store.save_sums({pair: account.sums() for pair, account in self._accounts.items()})

    def collect(self) -> Iterator[Metric]:
        """Yield the counters."""
        now = self._clock()
        downtime = CounterMetricFamily(
            FAILOVER_GROUP_DOWNTIME, HELP[FAILOVER_GROUP_DOWNTIME], labels=list(FAILOVER_LABELS)
        )
        observed = CounterMetricFamily(
            FAILOVER_GROUP_OBSERVED, HELP[FAILOVER_GROUP_OBSERVED], labels=list(FAILOVER_LABELS)
        )
        for pair, account in list(self._accounts.items()) if self._leads() else ():
            downtime.add_metric(list(pair), account.downtime.value(now))
            observed.add_metric(list(pair), account.observed.value(now))
        yield from (downtime, observed)

    async def _take(self, pair: Pair, account: Account) -> None:
        devices = [device_id for channel in pair for device_id in self._members[channel]]
        members = await self._read(partial(_histories, devices))
        if members:
            lag = min(LONGEST_LAG, self._retention() / 2)
            account.take(group_history(group_identity(pair, members), members), self._clock(), lag)


def _histories(devices: list[str], reader: Reader) -> list[History]:
    found = (reader.device(device_id) for device_id in devices)
    return [history for history in found if history is not None]
