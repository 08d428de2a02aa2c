"""Gauges whose values are asked for at each scrape.

The iterable that `values` returns is consumed while the event loop turns in between: it must survive changes of what
it reads, so iterate over a copy (`list(fleet.down.values())`), never over a live dictionary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.metrics.exposition.lines import Family, label_writer, tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from exporter.domain.accounts import Device
    from exporter.metrics.exposition.devices import DeviceFamilies
    from exporter.metrics.exposition.scrape import Scrape

    DeviceValues = Callable[[float], Iterable[tuple[Device, float]]]
    Values = Callable[[float], Iterable[tuple[tuple[str, ...], float]]]


class DeviceGauge:
    """A gauge with the labels of devices. `values(now)` yields each device at most once."""

    def __init__(self, family: Family, devices: DeviceFamilies, values: DeviceValues) -> None:
        self._family = family
        self._devices = devices
        self._values = values

    async def render(self, scrape: Scrape) -> None:
        """Write the family; a device that is not yet part of the snapshot waits for the next scrape."""
        scrape.header(self._family)
        name, pace, labels_of = self._family.name.encode(), scrape.pace, self._devices.labels
        for device, value in self._values(scrape.now):
            labels = labels_of(device)
            if labels:
                scrape.write(name, labels, tail(value))
            if pace.spent():
                await pace.rest()


class Gauge:
    """A gauge with labels of its own. `values(now)` yields each tuple of label values at most once."""

    def __init__(self, family: Family, label_names: Sequence[str], values: Values) -> None:
        self._family = family
        self._values = values
        self._order = sorted(range(len(label_names)), key=label_names.__getitem__)
        self._write = label_writer(sorted(label_names))
        self._known: dict[tuple[str, ...], bytes] = {}

    async def render(self, scrape: Scrape) -> None:
        """Write the family."""
        scrape.header(self._family)
        name, pace = self._family.name.encode(), scrape.pace
        known: dict[tuple[str, ...], bytes] = {}
        for key, value in self._values(scrape.now):
            labels = known[key] = self._known.get(key) or self._write(tuple(key[index] for index in self._order))
            scrape.write(name, labels, tail(value))
            if pace.spent():
                await pace.rest()
        self._known = known
