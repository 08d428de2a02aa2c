"""The families of devices: a snapshot of the fleet that is brought up to date at the start of each scrape.

Guarantees: a device is never half updated, and appears once in every family or in none; a change that arrives while
a scrape is rendered waits for the next one. A scrape that is cut off loses no change.

The downtime of a device that is down moves with the clock: its line is not in the table but made anew each time.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final

import msgspec

from exporter import conventions as names
from exporter.metrics.exposition.lines import Family, label_writer, tail, tail_of_seconds, tail_of_timestamp
from exporter.metrics.exposition.table import Block, Column, Table

if TYPE_CHECKING:
    from exporter.domain.accounts import Device
    from exporter.domain.fleet import Fleet
    from exporter.domain.identity import Identity
    from exporter.lib.pace import Pace
    from exporter.metrics.exposition.scrape import Scrape

FAMILIES: Final = (
    Family(names.DEVICE_UP, "gauge", names.HELP[names.DEVICE_UP]),
    Family(names.DEVICE_DISCONNECTS, "counter", names.HELP[names.DEVICE_DISCONNECTS]),
    Family(names.DEVICE_DOWNTIME, "counter", names.HELP[names.DEVICE_DOWNTIME]),
    Family(names.DEVICE_STATE_CHANGE, "gauge", names.HELP[names.DEVICE_STATE_CHANGE]),
    Family(names.DEVICE_FIRST_SEEN, "gauge", names.HELP[names.DEVICE_FIRST_SEEN]),
    Family(names.DEVICE_INFO, "gauge", names.HELP[names.DEVICE_INFO]),
)
_UP, _DISCONNECTS, _DOWNTIME, _STATE_CHANGE, _FIRST_SEEN, _INFO = range(len(FAMILIES))
_COLUMNS: Final = tuple(Column(family.name.encode(), whole=family.name == names.DEVICE_INFO) for family in FAMILIES)
_DOWN_SINCE: Final = Family(names.DEVICE_DOWN_SINCE, "gauge", names.HELP[names.DEVICE_DOWN_SINCE])
_LABELS: Final = sorted(names.DEVICE_LABELS)
_INFO_LABELS: Final = sorted(names.INFO_LABELS)


class _Down(msgspec.Struct, frozen=True, gc=False):
    """A device that is down, as of the snapshot."""

    labels: bytes
    info: bytes
    floor: float
    closed: int
    since: int

    def downtime(self, now: float) -> float:
        """Return the counter at `now`, as `Device.exposed_downtime` does."""
        return max(self.floor, self.closed + max(0, now - self.since))


class DeviceFamilies:
    """The table of all devices, and what is known of those that are down."""

    def __init__(self, fleet: Fleet, rows: int) -> None:
        self._fleet = fleet
        self._table = Table(_COLUMNS, rows)
        self._identities: list[Identity | None] = []
        self._down: dict[int, _Down] = {}
        self._pending: set[Device] = set()
        self._labels_of = attrgetter(*_LABELS)
        self._info_of = attrgetter(*_INFO_LABELS)
        self._write_labels = label_writer(_LABELS)
        self._write_info = label_writer(_INFO_LABELS)

    async def update(self, pace: Pace) -> None:
        """Take over what changed in the fleet."""
        if self._pending:
            self._pending |= self._fleet.dirty
        else:
            self._pending = self._fleet.dirty
        self._fleet.dirty = set()
        pending, update = self._pending, self._update
        while pending:
            update(pending.pop())
            if pace.spent():
                await pace.rest()

    async def render(self, scrape: Scrape) -> None:
        """Write all device families."""
        for column, family in enumerate(FAMILIES):
            scrape.header(family)
            await scrape.column(self._table, column)
            if column == _DOWNTIME:
                await self._render_down(scrape)
        await self._render_down_since(scrape)

    def labels(self, device: Device) -> bytes:
        """Return a device's labels as of the snapshot, b"" if it is not part of it."""
        if device.slot < 0:
            return b""
        block, row = self._table.place(device.slot)
        return block.labels(row)

    async def _render_down(self, scrape: Scrape) -> None:
        name, now, pace = _COLUMNS[_DOWNTIME].name, scrape.now, scrape.pace
        for down in self._down.values():
            scrape.write(name, down.labels, tail_of_seconds(down.downtime(now)))
            if pace.spent():
                await pace.rest()

    async def _render_down_since(self, scrape: Scrape) -> None:
        scrape.header(_DOWN_SINCE)
        name, pace = _DOWN_SINCE.name.encode(), scrape.pace
        for down in self._down.values():
            scrape.write(name, down.info, tail_of_timestamp(down.since))
            if pace.spent():
                await pace.rest()

    def _update(self, device: Device) -> None:
        if self._fleet.devices.get(device.identity.device_id) is not device:
            self._drop(device)
            return
        if device.slot < 0:
            device.slot = self._table.take()
            if device.slot >= len(self._identities):
                self._identities += [None] * (device.slot + 1 - len(self._identities))
        block, row = self._table.place(device.slot)
        if self._identities[device.slot] is not device.identity:
            self._update_identity(device, block, row)
        self._update_values(device, block, row)

    def _update_identity(self, device: Device, block: Block, row: int) -> None:
        identity = self._identities[device.slot] = device.identity
        labels = self._write_labels(self._labels_of(identity))
        if labels != block.labels(row):
            block.relabel(row, labels)
        block.set(row, _INFO, b"%b%b 1.0\n" % (_COLUMNS[_INFO].name, self._write_info(self._info_of(identity))))

    def _update_values(self, device: Device, block: Block, row: int) -> None:
        slot, timeline = device.slot, device.timeline
        first_seen = since = tail_of_timestamp(timeline.since)
        if timeline.first_seen != timeline.since:
            first_seen = tail_of_timestamp(timeline.first_seen)
        block.set(row, _UP, tail(timeline.up))
        block.set(row, _DISCONNECTS, tail(timeline.outages))
        block.set(row, _STATE_CHANGE, since)
        block.set(row, _FIRST_SEEN, first_seen)
        if timeline.up:
            self._down.pop(slot, None)
            downtime = tail_of_seconds(max(device.downtime_floor, timeline.closed_downtime))
        else:
            info = self._write_info(self._info_of(device.identity))
            floor, closed = device.downtime_floor, timeline.closed_downtime
            self._down[slot] = _Down(block.labels(row), info, floor, closed, timeline.since)
            downtime = b""
        block.set(row, _DOWNTIME, downtime)

    def _drop(self, device: Device) -> None:
        slot = device.slot
        if slot < 0:
            return
        device.slot = -1
        self._table.release(slot)
        self._identities[slot] = None
        self._down.pop(slot, None)
