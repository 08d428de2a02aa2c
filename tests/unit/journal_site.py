"""Builders for tests of the journal and the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from exporter.engine import Engine
from exporter.events import DeviceEvent
from exporter.identity import Identity
from exporter.journal.reader import Reader
from exporter.journal.records import Append, Record
from exporter.journal.sqlite import SqliteJournal
from exporter.selfmetrics import SelfMetrics

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.timeline import Kind

NOW = 1_790_000_000


class FakeClock:
    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def identity(device_id: str = "d1", *, engine: str = "wa", business: str = "b1", name: str = "Front desk") -> Identity:
    return Identity(device_id, name, engine, "c1", "WhatsApp Business", business, "Toko Makmur", "m1", "Admin Cabang")


def event(timestamp: int, *, up: bool, device_id: str = "d1", **names: str) -> DeviceEvent:
    return DeviceEvent(timestamp=timestamp, up=up, identity=identity(device_id, **names))


def append(timestamp: int, kind: Kind, device_id: str = "d1", *, late: bool = False) -> Append:
    return Append(Record(identity(device_id), timestamp, kind, timestamp * 1000, 0), late)


class Site:
    """An engine on a journal in a folder, that can be killed and started again."""

    def __init__(self, folder: Path, clock: FakeClock | None = None) -> None:
        self.path = folder / "exporter.db"
        self.clock = clock or FakeClock()

    async def start(self) -> Engine:
        self.metrics = SelfMetrics(CollectorRegistry())
        self.journal = SqliteJournal(self.path)
        self.engine = Engine(self.journal, lambda: Reader(self.path), clock=self.clock, metrics=self.metrics)
        await self.engine.start()
        return self.engine

    async def kill(self) -> None:
        """End without a checkpoint, as SIGKILL does; what was committed is in the file."""
        await self.engine.writer.stop()

    def sample(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"device_exporter_{name}", labels)


def picture(engine: Engine) -> object:
    """Everything of the fleet that a restart must bring back."""
    fleet = engine.fleet
    devices = {
        key: (
            device.identity,
            device.identity_at,
            device.timeline,
            device.downtime_floor,
            device.observed_from,
            device.base_downtime,
            device.base_outages,
            device.held_at,
            device.base_planned,
        )
        for key, device in fleet.devices.items()
    }
    groups = {
        key: [getattr(group, name) for name in group.__slots__ if name != "future"]
        for key, group in fleet.groups.items()
    }
    histograms = {
        engine: (found.counts, found.total, found.floor, found.floor_sum, found.held_at)
        for engine, found in fleet.histograms.items()
    }
    return devices, groups, histograms, set(fleet.down)
