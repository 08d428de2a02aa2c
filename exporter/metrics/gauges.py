"""Gauges of features, as data. See `exposition.gauges` for what `values(now)` may return."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from exporter.metrics.exposition.gauges import DeviceValues, Values


class OfDevices(NamedTuple):
    """A gauge with the labels of devices. Its help is in the conventions."""

    name: str
    values: DeviceValues


class OfLabels(NamedTuple):
    """A gauge with labels of its own. Its help is in the conventions."""

    name: str
    labels: tuple[str, ...]
    values: Values


Gauge = OfDevices | OfLabels
