"""Builders for tests of the journal and the recorder."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from exporter.app.features import PIECES
from exporter.domain.identity import Identity
from exporter.domain.records import Append
from exporter.gateways.events import DeviceEvent
from exporter.journal.sqlite.database import Database
from exporter.journal.sqlite.journal import SqliteJournal
from exporter.metrics.own import SelfMetrics
from exporter.recording.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from exporter.domain.timeline import Kind
    from exporter.journal.port import Piece

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


def append(timestamp: int, kind: Kind, device_id: str = "d1", **names: str) -> Append:
    return Append(identity(device_id, **names), timestamp, kind)


def open_database(path: Path, pieces: Sequence[Piece] = (), clock: FakeClock | None = None) -> Database:
    """Open a journal's file as its thread does."""
    return Database(path, clock or FakeClock(), pieces)


class Site:
    """A recorder on a journal in a folder, that can be killed and started again."""

    def __init__(self, folder: Path, clock: FakeClock | None = None) -> None:
        self.path = folder / "exporter.db"
        self.clock = clock or FakeClock()

    async def start(self) -> Recorder:
        self.metrics = SelfMetrics(CollectorRegistry())
        self.journal = SqliteJournal(self.path, self.clock, PIECES)
        self.recorder = Recorder(self.journal, self.clock, self.metrics)
        await self.recorder.start()
        return self.recorder

    async def kill(self) -> None:
        """End without a checkpoint, as SIGKILL does."""
        await self.recorder.end()

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Let the journal's file take no event."""
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute(
                "CREATE TRIGGER full BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
            )
        try:
            yield
        finally:
            with closing(sqlite3.connect(self.path)) as connection:
                connection.execute("DROP TRIGGER full")

    def sample(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"device_exporter_{name}", labels)


def picture(recorder: Recorder) -> object:
    """Everything of the fleet that a restart must bring back."""
    fleet = recorder.fleet
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
