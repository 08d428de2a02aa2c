"""The plain way to expose a fleet: a prometheus_client collector over it. Slow, obvious; oracle and yardstick."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from exporter import conventions as names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from exporter.domain.accounts import Device
    from exporter.domain.fleet import Fleet


class FleetCollector:
    """The families of devices and of the fleet at the time `now`, in the order of the real exposition."""

    def __init__(self, fleet: Fleet, now: float = 0.0) -> None:
        self.fleet = fleet
        self.now = now

    def collect(self) -> Iterator[Metric]:
        yield from self._devices()
        yield from self._groups()
        yield self._histogram()

    def _devices(self) -> Iterator[Metric]:
        gauge, counter = GaugeMetricFamily, CounterMetricFamily
        for family, name, value in (
            (gauge, names.DEVICE_UP, lambda device: device.timeline.up),
            (counter, names.DEVICE_DISCONNECTS, lambda device: device.timeline.outages),
            (counter, names.DEVICE_DOWNTIME, lambda device: round(device.exposed_downtime(self.now), 3)),
            (gauge, names.DEVICE_STATE_CHANGE, lambda device: device.timeline.since),
            (gauge, names.DEVICE_FIRST_SEEN, lambda device: device.timeline.first_seen),
        ):
            metric = family(name, names.HELP[name], labels=names.DEVICE_LABELS)
            for device in self.fleet.devices.values():
                metric.add_metric(_labels(device, names.DEVICE_LABELS), value(device))
            yield metric
        info = GaugeMetricFamily(names.DEVICE_INFO, names.HELP[names.DEVICE_INFO], labels=names.INFO_LABELS)
        for device in self.fleet.devices.values():
            info.add_metric(_labels(device, names.INFO_LABELS), 1)
        yield info
        name = names.DEVICE_DOWN_SINCE
        down = GaugeMetricFamily(name, names.HELP[name], labels=names.INFO_LABELS)
        for device in self.fleet.down.values():
            down.add_metric(_labels(device, names.INFO_LABELS), device.timeline.since)
        yield down

    def _groups(self) -> Iterator[Metric]:
        devices = GaugeMetricFamily(
            names.FLEET_DEVICES, names.HELP[names.FLEET_DEVICES], labels=[*names.GROUP_LABELS, "state"]
        )
        for (engine, business_id), group in self.fleet.groups.items():
            devices.add_metric([engine, business_id, "up"], group.up)
            devices.add_metric([engine, business_id, "down"], group.down)
        yield devices
        for name, value in (
            (names.FLEET_DOWNTIME, lambda group: group.downtime(self.now)),
            (names.FLEET_OBSERVED, lambda group: group.observed(self.now)),
            (names.FLEET_DISCONNECTS, lambda group: group.outages),
        ):
            metric = CounterMetricFamily(name, names.HELP[name], labels=names.GROUP_LABELS)
            for key, group in self.fleet.groups.items():
                metric.add_metric(key, value(group))
            yield metric
        for name, known in (
            (names.FLEET_DOWNTIME_KNOWN, lambda group: group.downtime_known(self.now)),
            (names.FLEET_OBSERVED_KNOWN, lambda group: group.observed_known(self.now)),
        ):
            gauge = GaugeMetricFamily(name, names.HELP[name], labels=names.GROUP_LABELS)
            for key, group in self.fleet.groups.items():
                gauge.add_metric(key, known(group))
            yield gauge

    def _histogram(self) -> Metric:
        name = names.FLEET_OUTAGE_DURATION
        metric = HistogramMetricFamily(name, names.HELP[name], labels=["engine"])
        for engine, histogram in self.fleet.histograms.items():
            bounds = [*map(str, names.OUTAGE_BUCKETS), "+Inf"]
            metric.add_metric([engine], list(zip(bounds, histogram.cumulative(), strict=True)), histogram.exposed_sum())
        return metric


def _labels(device: Device, wanted: tuple[str, ...]) -> list[str]:
    return [getattr(device.identity, name) for name in wanted]
