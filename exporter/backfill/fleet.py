"""The fleet families of a window: sums per engine and business, and the histogram of outages per engine.

One pass over the devices fills the sums, then each series is written on its own. What a forgotten device contributed
stays in the counters. A device counts under its newest engine and business for the whole window.
"""

from __future__ import annotations

from bisect import bisect_left
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, Self

from exporter import conventions as names
from exporter.backfill.sums import Sums
from exporter.metrics.exposition.lines import Family
from exporter.report.intervals import merge, subtract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from exporter.backfill.labels import Labels
    from exporter.backfill.steps import Steps
    from exporter.report.history import History
    from exporter.report.intervals import Interval

    _Value = Callable[..., int]
    """(time, *fields)"""
    Span = tuple[int, int | None]

Group = tuple[str, str]
"""(engine, business id)"""

_FIELDS = ("devices", "down", "counted", "counted_since", "lost", "lost_since", "outages")
"""How many there are and are down; of the observed time and the downtime the intervals outside planned windows."""
_BUCKETS = tuple(f"le_{index}" for index in range(len(names.OUTAGE_BUCKETS) + 1))
_BOUNDS = (*(str(bound).encode() for bound in names.OUTAGE_BUCKETS), b"+Inf")


class FleetSums:
    """The sums of all groups and engines. Devices of a group that `groups` lacks are left out."""

    def __init__(self, groups: Iterable[Group], steps: Steps, labels: Labels) -> None:
        self._steps = steps
        self._labels = labels
        self._groups = {group: row for row, group in enumerate(sorted(set(groups)))}
        self._engines = {engine: row for row, engine in enumerate(sorted({engine for engine, _ in self._groups}))}
        self._stack = ExitStack()
        self._sums = self._stack.enter_context(Sums(len(self._groups), _FIELDS, steps))
        self._finished = self._stack.enter_context(Sums(len(self._engines), (*_BUCKETS, "sum"), steps))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, history: History) -> None:
        """Count one device in."""
        row = self._groups.get((history.identity.engine, history.identity.business_id))
        if row is None:
            return  # it came after the groups were listed, so it has nothing in the window
        engine = self._engines[history.identity.engine]
        forgotten = {end for _, end in history.observed if end is not None}
        self._count(row, "devices", "counted", history.observed, history)
        self._count(row, "down", "lost", [(outage.start, outage.end) for outage in history.outages], history)
        for outage in history.outages:
            self._sums.change(row, "outages", outage.start, 1)
            if outage.end is not None and outage.end not in forgotten:
                seconds = outage.end - outage.start
                bucket = bisect_left(names.OUTAGE_BUCKETS, seconds)
                self._finished.change(engine, _BUCKETS[bucket], outage.end, 1)
                self._finished.change(engine, "sum", outage.end, seconds)

    def _count(self, row: int, number: str, time: str, spans: list[Span], history: History) -> None:
        for start, end in spans:
            self._sums.change(row, number, start, 1)
            if end is not None:
                self._sums.change(row, number, end, -1)
        for start, end in _without(spans, history.planned):
            self._sums.interval(row, time, f"{time}_since", start, end)

    def lines(self, family: str) -> Iterator[bytes]:
        """Yield the samples of one family, one series after the other."""
        if family == names.FLEET_DEVICES:
            return self._states()
        if family == names.FLEET_OUTAGE_DURATION:
            return self._histograms()
        return self._counters(family, _COUNTERS[family])

    def _counters(self, family: str, value: _Value) -> Iterator[bytes]:
        write_labels = self._labels.writer(sorted(names.GROUP_LABELS))
        for (engine, business_id), row in self._groups.items():
            prefix = family.encode() + write_labels((business_id, engine))
            for at, *numbers in self._seen(row):
                yield b"%b %d %d\n" % (prefix, value(at, *numbers), at)

    def _states(self) -> Iterator[bytes]:
        write_labels = self._labels.writer(sorted((*names.GROUP_LABELS, "state")))
        for (engine, business_id), row in self._groups.items():
            for state in ("up", "down"):
                prefix = names.FLEET_DEVICES.encode() + write_labels((business_id, engine, state))
                for at, devices, down, *_ in self._seen(row):
                    yield b"%b %d %d\n" % (prefix, down if state == "down" else devices - down, at)

    def _seen(self, row: int) -> Iterator[tuple[int, ...]]:
        """Yield (time, *fields) of a group from its first device on."""
        seen = False
        times = self._steps.times(self._steps.start, self._steps.end)
        for numbers in zip(times, *(self._sums.values(row, field) for field in _FIELDS), strict=True):
            seen = seen or numbers[1] > 0 or numbers[4] != 0
            if seen:
                yield numbers

    def _histograms(self) -> Iterator[bytes]:
        """Yield the histograms: at each time all buckets, the count and the sum of an engine."""
        name = names.FLEET_OUTAGE_DURATION.encode()
        write_labels = self._labels.writer(["engine"])
        for engine, row in self._engines.items():
            labels = write_labels((engine,))
            series = [b'%b_bucket%b,le="%b"}' % (name, labels[:-1], bound) for bound in _BOUNDS]
            times = self._steps.times(self._steps.start, self._steps.end)
            fields = (self._finished.values(row, field) for field in (*_BUCKETS, "sum"))
            for at, *counts, total in zip(times, *fields, strict=True):
                running = 0
                for prefix, count in zip(series, counts, strict=True):
                    running += count
                    yield b"%b %d %d\n" % (prefix, running, at)
                yield b"%b_count%b %d %d\n%b_sum%b %d %d\n" % (name, labels, running, at, name, labels, total, at)


def _without(spans: list[Span], planned: list[Span]) -> list[Span]:
    """Return the spans outside planned windows; a span that runs has no end. One without length stays out."""
    if not planned:
        return spans
    left = subtract(_closed(spans), _closed(planned))
    return [(start, None if end == _NEVER else end) for start, end in left]


def _closed(spans: list[Span]) -> list[Interval]:
    return merge((start, _NEVER if end is None else end) for start, end in spans)


_NEVER: Final = 1 << 62

_COUNTERS: Final[dict[str, _Value]] = {
    names.FLEET_DOWNTIME: lambda at, *numbers: numbers[5] + numbers[4] * at,
    names.FLEET_OBSERVED: lambda at, *numbers: numbers[3] + numbers[2] * at,
    names.FLEET_DISCONNECTS: lambda _, *numbers: numbers[6],
}
_COUNTERS[names.FLEET_DOWNTIME_KNOWN] = _COUNTERS[names.FLEET_DOWNTIME]  # history is written as it is known now
_COUNTERS[names.FLEET_OBSERVED_KNOWN] = _COUNTERS[names.FLEET_OBSERVED]

FAMILIES = (
    Family(names.FLEET_DEVICES, "gauge", names.HELP[names.FLEET_DEVICES]),
    Family(names.FLEET_DOWNTIME, "counter", names.HELP[names.FLEET_DOWNTIME]),
    Family(names.FLEET_OBSERVED, "counter", names.HELP[names.FLEET_OBSERVED]),
    Family(names.FLEET_DISCONNECTS, "counter", names.HELP[names.FLEET_DISCONNECTS]),
    Family(names.FLEET_DOWNTIME_KNOWN, "gauge", names.HELP[names.FLEET_DOWNTIME_KNOWN]),
    Family(names.FLEET_OBSERVED_KNOWN, "gauge", names.HELP[names.FLEET_OBSERVED_KNOWN]),
    Family(names.FLEET_OUTAGE_DURATION, "histogram", names.HELP[names.FLEET_OUTAGE_DURATION]),
)
