"""The families of the fleet: sums per engine and business, and the histogram of outages per engine.

Most groups stand still but for the observed time, which always moves: a group costs two lines a scrape unless it
changed or has devices down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exporter import conventions as names
from exporter.metrics.exposition.lines import Family, label_writer, tail
from exporter.metrics.exposition.table import Column, Table

if TYPE_CHECKING:
    from exporter.domain.accounts import Group, OutageHistogram
    from exporter.domain.fleet import Fleet
    from exporter.lib.pace import Pace
    from exporter.metrics.exposition.scrape import Scrape

_DEVICES: Final = Family(names.FLEET_DEVICES, "gauge", names.HELP[names.FLEET_DEVICES])
_DOWNTIME: Final = Family(names.FLEET_DOWNTIME, "counter", names.HELP[names.FLEET_DOWNTIME])
_OBSERVED: Final = Family(names.FLEET_OBSERVED, "counter", names.HELP[names.FLEET_OBSERVED])
_DISCONNECTS: Final = Family(names.FLEET_DISCONNECTS, "counter", names.HELP[names.FLEET_DISCONNECTS])
_DOWNTIME_KNOWN: Final = Family(names.FLEET_DOWNTIME_KNOWN, "gauge", names.HELP[names.FLEET_DOWNTIME_KNOWN])
_OBSERVED_KNOWN: Final = Family(names.FLEET_OBSERVED_KNOWN, "gauge", names.HELP[names.FLEET_OBSERVED_KNOWN])
_DURATION: Final = Family(names.FLEET_OUTAGE_DURATION, "histogram", names.HELP[names.FLEET_OUTAGE_DURATION])

_FAMILIES: Final = (_DEVICES, _DOWNTIME, _OBSERVED, _DISCONNECTS, _DOWNTIME_KNOWN, _OBSERVED_KNOWN)
_DEVICES_COLUMN, _DOWNTIME_COLUMN, _OBSERVED_COLUMN, _DISCONNECTS_COLUMN = range(4)
_DOWNTIME_KNOWN_COLUMN, _OBSERVED_KNOWN_COLUMN = 4, 5
_COLUMNS: Final = tuple(Column(family.name.encode(), whole=family is _DEVICES) for family in _FAMILIES)
_BOUNDS: Final = (*(str(bound).encode() for bound in names.OUTAGE_BUCKETS), b"+Inf")

_Seen = tuple[int, int, int, int, int]


class GroupFamilies:
    """The table of all groups; rows are the fleet's groups in the order of their first appearance."""

    def __init__(self, fleet: Fleet, rows: int) -> None:
        self._fleet = fleet
        self._table = Table(_COLUMNS, rows)
        self._seen: list[_Seen | None] = []
        self._write_labels = label_writer(sorted(names.GROUP_LABELS))

    async def update(self, now: float, pace: Pace) -> None:
        """Bring every group to the time `now`, Unix seconds."""
        for slot, group in enumerate(list(self._fleet.groups.values())):
            if slot == len(self._seen):
                self._add(group)
            self._update(slot, group, now)
            if pace.spent():
                await pace.rest()

    async def render(self, scrape: Scrape) -> None:
        """Write all families of the fleet."""
        for column, family in enumerate(_FAMILIES):
            scrape.header(family)
            await scrape.column(self._table, column)
        scrape.header(_DURATION)
        for engine, histogram in list(self._fleet.histograms.items()):
            _write_histogram(scrape, engine, histogram)
            if scrape.pace.spent():
                await scrape.pace.rest()

    def _add(self, group: Group) -> None:
        block, row = self._table.place(self._table.take())
        block.relabel(row, self._write_labels((group.business_id, group.engine)))
        self._seen.append(None)

    def _update(self, slot: int, group: Group, now: float) -> None:
        block, row = self._table.place(slot)
        seen = (group.up, group.down, group.outages, group.closed_ms, group.downtime_floor_ms)
        changed = seen != self._seen[slot]
        if changed:
            self._seen[slot] = seen
            block.set(row, _DEVICES_COLUMN, _lines_of_states(block.labels(row), group))
            block.set(row, _DISCONNECTS_COLUMN, tail(group.outages))
        if changed or group.down:
            block.set(row, _DOWNTIME_COLUMN, tail(group.downtime(now)))
            block.set(row, _DOWNTIME_KNOWN_COLUMN, tail(group.downtime_known(now)))
        block.set(row, _OBSERVED_COLUMN, tail(group.observed(now)))
        block.set(row, _OBSERVED_KNOWN_COLUMN, tail(group.observed_known(now)))


def _lines_of_states(labels: bytes, group: Group) -> bytes:
    start = _COLUMNS[_DEVICES_COLUMN].name + labels[:-1]
    return b'%b,state="up"}%b%b,state="down"}%b' % (start, tail(group.up), start, tail(group.down))


_write_engine = label_writer(("engine",))


def _write_histogram(scrape: Scrape, engine: str, histogram: OutageHistogram) -> None:
    name, labels = _DURATION.name.encode(), _write_engine((engine,))
    counts = histogram.cumulative()
    for bound, count in zip(_BOUNDS, counts, strict=True):
        scrape.write(b'%b_bucket%b,le="%b"}%b' % (name, labels[:-1], bound, tail(count)))
    scrape.write(name, b"_count", labels, tail(counts[-1]))
    scrape.write(name, b"_sum", labels, tail(histogram.exposed_sum()))
