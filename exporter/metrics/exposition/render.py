"""Renders a whole scrape: devices and the fleet natively, everything else from the registry by prometheus_client.

Guarantees: the body is one valid exposition, in gzip one valid stream of concatenated members; families are whole
and in a fixed order; one scrape is rendered at a time, in stretches of about a millisecond between which the event
loop turns. What changes meanwhile shows in the next scrape. One Exposition per fleet: it owns `fleet.dirty` and
`Device.slot`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics_exposition

from exporter.lib.pace import Pace
from exporter.metrics.exposition.devices import DeviceFamilies
from exporter.metrics.exposition.gauges import DeviceGauge, Gauge
from exporter.metrics.exposition.groups import GroupFamilies
from exporter.metrics.exposition.lines import END, Family
from exporter.metrics.exposition.scrape import Scrape
from exporter.metrics.exposition.table import ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from prometheus_client import CollectorRegistry, Metric

    from exporter.domain.fleet import Fleet
    from exporter.metrics.exposition.gauges import DeviceValues, Values


class _Single(NamedTuple):
    """A registry of one finished family, so that a large registry is rendered family by family."""

    metric: Metric

    def collect(self) -> list[Metric]:
        return [self.metric]


class Exposition:
    """Renders scrapes of one fleet and one registry."""

    def __init__(
        self,
        fleet: Fleet,
        registry: CollectorRegistry,
        *,
        chunk_size: int = ROWS,
        pace: Pace | None = None,
        silent: Callable[[], bool] = lambda: False,
    ) -> None:
        """`silent`: whether nothing is known of devices, so that only the registry is shown."""
        self._silent = silent
        self._registry = registry
        self._pace = pace or Pace()
        self._devices = DeviceFamilies(fleet, chunk_size)
        self._groups = GroupFamilies(fleet, chunk_size)
        self._gauges: list[DeviceGauge | Gauge] = []
        self._lock = asyncio.Lock()

    def add_device_gauge(self, name: str, help: str, values: DeviceValues) -> None:  # noqa: A002
        """Add a gauge with the labels of devices; see `gauges` for what `values(now)` may return."""
        self._gauges.append(DeviceGauge(Family(name, "gauge", help), self._devices, values))

    def add_gauge(self, name: str, help: str, label_names: Sequence[str], values: Values) -> None:  # noqa: A002
        """Add a gauge of many series with labels of its own; see `gauges` for what `values(now)` may return."""
        self._gauges.append(Gauge(Family(name, "gauge", help), label_names, values))

    async def render(
        self, now: float, *, openmetrics: bool, gzip: bool, names: Collection[str] = frozenset()
    ) -> list[bytes]:
        """Return the parts of the body at the time `now`, Unix seconds; `now` must not run backwards.

        With `names` only families of these names, or that have samples of these names.
        """
        async with self._lock:
            scrape = Scrape(now, self._pace, openmetrics=openmetrics, gzip=gzip, names=names)
            self._pace.start()
            if not self._silent():
                await self._render_fleet(scrape)
            await self._render_registry(scrape, openmetrics=openmetrics)
            scrape.flush()
            return scrape.parts

    async def _render_fleet(self, scrape: Scrape) -> None:
        await self._devices.update(self._pace)
        await self._groups.update(scrape.now, self._pace)
        await self._devices.render(scrape)
        for gauge in self._gauges:
            await gauge.render(scrape)
        await self._groups.render(scrape)

    async def _render_registry(self, scrape: Scrape, *, openmetrics: bool) -> None:
        generate = openmetrics_exposition.generate_latest if openmetrics else generate_latest
        for metric in self._registry.collect():
            scrape.begin(metric.name)
            scrape.write(generate(_Single(metric)).removesuffix(END))
            if self._pace.spent():
                await self._pace.rest()
        if openmetrics:
            scrape.end()
