"""Counters and histograms of one thread: what is counted for every webhook costs a fraction of a microsecond.

The instruments of prometheus_client take a lock each time. These take none, and must be used from one thread only.
Their series come out of the registry the same, and exist from the first call of `labels` on.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric


class Tally:
    """One counter."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def inc(self) -> None:
        """Count one."""
        self.count += 1


class Tallies(Collector):
    """A family of counters; `name` ends in `_total`."""

    def __init__(self, name: str, text: str, labels: Sequence[str], registry: CollectorRegistry) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._series: dict[tuple[str, ...], Tally] = {}
        registry.register(self)

    def labels(self, *values: str) -> Tally:
        """Return the counter with these values of the labels, in their order."""
        return self._series.setdefault(values, Tally())

    def collect(self) -> Iterator[Metric]:
        """Yield the family."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for values, tally in self._series.items():
            family.add_metric(values, tally.count)
        yield family


class Distribution:
    """One histogram."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value


class Distributions(Collector):
    """A family of histograms; `bounds` are the rising upper bounds of their buckets, without infinity."""

    def __init__(
        self, name: str, text: str, bounds: Sequence[float], labels: Sequence[str], registry: CollectorRegistry
    ) -> None:
        self._name = name
        self._text = text
        self._bounds = bounds
        self._names = [*map(floatToGoString, bounds), "+Inf"]
        self._labels = labels
        self._series: dict[tuple[str, ...], Distribution] = {}
        registry.register(self)

    def labels(self, *values: str) -> Distribution:
        """Return the histogram with these values of the labels, in their order."""
        return self._series.setdefault(values, Distribution(self._bounds))

    def collect(self) -> Iterator[Metric]:
        """Yield the family."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        for values, found in self._series.items():
            buckets = list(zip(self._names, accumulate(found.counts), strict=True))
            family.add_metric(values, buckets, found.sum)
        yield family
