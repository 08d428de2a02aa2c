"""Incidents without an exporter around them: a journal's tables in SQLite, a fleet, and a clock that tests move."""

from __future__ import annotations

import itertools
import sqlite3
import weakref
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from exporter.domain.applying import Applier
from exporter.domain.fleet import Fleet
from exporter.domain.identity import Identity
from exporter.domain.policy import Policies, Policy
from exporter.domain.records import DeviceHistory, History, Record
from exporter.domain.timeline import Kind, outages
from exporter.errors import JournalUnavailable
from exporter.incidents.schema import PIECE
from exporter.incidents.service import Incidents
from exporter.incidents.view import Filter, View
from exporter.journal.sqlite.schema import migrate
from exporter.journal.sqlite.transaction import SqliteTransaction

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from exporter.domain.fleet import Change
    from exporter.incidents.model import Entry, Incident
    from exporter.journal.port import Transaction

BEGIN = 1738056000
THRESHOLD = 300.0


def identity(device_id: str = "device_1", **values: str) -> Identity:
    """Return an identity; keywords replace its fields."""
    fields = {
        "device_id": device_id,
        "device_name": f"Front desk {device_id}",
        "engine": "telegram",
        "channel_id": f"channel_{device_id}",
        "channel_name": "Telegram Toko",
        "business_id": "biz_9",
        "business_name": "Toko Makmur",
        "user_id": "merchant_2",
        "user_name": "",
    }
    return Identity(**(fields | values))


class Disk:
    """What a SIGKILL leaves: the file, and the events in it."""

    def __init__(self, path: Path | str = ":memory:") -> None:
        self.path = path
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        weakref.finalize(self, self.connection.close)
        migrate(self.connection, [PIECE])
        self.records: list[Record] = []


class FakeRecorder:
    """A recorder whose journal is a list. `broken` lets every transaction fail."""

    def __init__(self, disk: Disk, now: float) -> None:
        self.disk = disk
        self.now = now
        self.broken = False
        self.leading = SimpleNamespace(leads=True)
        self.fleet = Fleet()
        self._applier = Applier(self.fleet, print)
        self._events: dict[str, list[tuple[int, Kind]]] = {}
        self.applied = 0
        for record in disk.records:
            self._apply(record, live=False)

    def clock(self) -> float:
        return self.now

    def subscribe(self, callback: Callable[[Change], None]) -> None:
        self._applier.listeners.append(callback)

    async def transact(self, operation: str, job: Callable[[Transaction], Any]) -> Any:
        assert operation == PIECE.name
        if self.broken:
            raise JournalUnavailable("disk full")
        connection = self.disk.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = job(SqliteTransaction(connection))
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        return result

    transact_leading = transact

    async def read(self, job: Callable[[Transaction], Any]) -> Any:
        return job(SqliteTransaction(self.disk.connection))

    async def history(self, device_id: str) -> History | None:
        events = self._events.get(device_id)
        if events is None:
            return None
        begins = sorted(at for at, kind in events if kind is Kind.PLANNED)
        ends = sorted(at for at, kind in events if kind is Kind.PLANNED_END)
        return History(identity(device_id), outages(events), [], list(itertools.zip_longest(begins, ends)))

    def plan(self, at: int, device_id: str = "device_1", *, end: bool = False) -> None:
        """Let a planned window begin or end."""
        kind = Kind.PLANNED_END if end else Kind.PLANNED
        self._journal(at, kind, self.fleet.devices[device_id].identity)

    def hear(self, at: int, *, up: bool, device: Identity | None = None) -> None:
        """Journal and apply one event, unless it is known already."""
        self._journal(at, Kind.CONNECTED if up else Kind.DISCONNECTED, device or identity())

    def forget(self, device_id: str) -> None:
        self._journal(int(self.now), Kind.FORGOTTEN, self.fleet.devices[device_id].identity)

    def _journal(self, at: int, kind: Kind, who: Identity) -> None:
        if (at, kind) in self._events.get(who.device_id, []):
            return
        record = Record(who, at, kind, round(self.now * 1000), 0)
        self.disk.records.append(record)
        connection = self.disk.connection
        connection.execute("INSERT OR IGNORE INTO device (device_id) VALUES (?)", (who.device_id,))
        row = connection.execute("SELECT id FROM device WHERE device_id = ?", (who.device_id,)).fetchone()[0]
        connection.execute(
            "INSERT INTO event VALUES (?, ?, ?, ?, 0, ?, 0)",
            (len(self.disk.records), row, at, kind, record.received_ms),
        )
        self._apply(record, live=True)

    def _apply(self, record: Record, *, live: bool) -> None:
        events = self._events.setdefault(record.identity.device_id, [])
        events.append((record.timestamp, record.kind))
        history = DeviceHistory(list(events), None) if self._applier.is_late(record) else None
        self._applier.apply(record, history, live=live)
        self.applied += 1


class Desk:
    """The incidents of a fake recorder."""

    def __init__(self, disk: Disk | None = None, now: float = BEGIN, **options: Any) -> None:
        self.disk = disk or Disk()
        self.policies = Policies({"default": Policy(alert_after=THRESHOLD, severity="critical")})
        self.recorder = FakeRecorder(self.disk, now)
        self.incidents = Incidents(self.recorder, lambda: self.policies, **options)  # type: ignore[arg-type]

    async def start(self) -> Desk:
        await self.incidents.start()
        await self.go(self.recorder.now)
        return self

    async def go(self, now: float) -> None:
        """Let the time be `now`, and everything that is due be done and durable."""
        self.recorder.now = now
        self.incidents.open.advance(now)
        for _ in range(20):
            await self.incidents.flush()
            if not self.incidents.open.unclear:
                return
        raise AssertionError("it never becomes clear")

    async def hear(self, at: int, *, up: bool, now: float | None = None, device: Identity | None = None) -> None:
        """Take in an event when it is `now`, by default its own time."""
        self.recorder.now = at if now is None else now
        self.recorder.hear(at, up=up, device=device)
        await self.go(self.recorder.now)

    async def restarted(self, now: float | None = None, **options: Any) -> Desk:
        """Return what a SIGKILL and a start make of it."""
        return await Desk(self.disk, self.recorder.now if now is None else now, **options).start()

    # -- what is there ------------------------------------------------------------------------------------------------

    def _view(self) -> View:
        return View(SqliteTransaction(self.disk.connection))

    def all(self, **wanted: Any) -> list[Incident]:
        """Return the incidents, oldest first."""
        return self._view().page(Filter(**wanted), self.recorder.now, limit=10_000)[::-1]

    def timeline(self, number: int = 1) -> list[Entry]:
        return self._view().timelines([number])[number]

    def kinds(self, number: int = 1) -> list[str]:
        return [entry.kind for entry in self.timeline(number)]

    def facts(self) -> list[tuple[int, float | None, str]]:
        """Return (start, end, resolution) of every incident."""
        return [(one.started_at, one.resolved_at, one.resolution) for one in self.all()]
