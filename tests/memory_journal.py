# ruff: noqa: ARG002 - what the protocol asks for and nobody but us can need
"""A journal in memory, to show what `Journal` asks of an implementation and that nothing else is asked.

What features read and keep is in a database, as their jobs speak SQL.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

from msgspec.structs import astuple, fields, replace

from exporter.domain.records import Blind, Checkpoint, DeviceHistory, Record, Rejected
from exporter.domain.timeline import Kind, fold
from exporter.errors import JournalUnavailable
from exporter.journal.history import history
from exporter.journal.port import Appended, Loaded, Stats
from exporter.journal.sqlite.schema import migrate
from exporter.journal.sqlite.transaction import SqliteTransaction
from exporter.journal.times import Times

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from exporter.domain.identity import Identity
    from exporter.domain.records import Append, History
    from exporter.domain.timeline import Timeline
    from exporter.journal.port import Numbered, Piece, Reader, Transaction

QUARANTINE_LIMIT = 1000


class Memory:
    """What outlives a journal, as a file does."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.records: dict[int, Record] = {}
        self.last = 0
        self.identities: dict[str, tuple[int, Identity]] = {}  # of each device: event time, newest identity
        self.bases: dict[str, Timeline | None] = {}
        self.devices: dict[str, Any] = {}
        self.groups: dict[tuple[str, str], Any] = {}
        self.histograms: dict[str, Any] = {}
        self.saved: Checkpoint | None = None
        self.pruned_before = 0
        self.blind: list[Blind] = []
        self.heard_ms = 0
        self.times = Times(0, 0)
        self.quarantine: list[Rejected] = []
        self.digests: list[str] = []
        self.tables = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        migrate(self.tables, pieces)

    def show(self) -> sqlite3.Connection:
        """Return the database, in which the tables are that features may read."""
        for table in ("event", "device", "identity"):
            self.tables.execute(f"DELETE FROM {table}")
        ids = {device_id: number for number, device_id in enumerate(self.identities, 1)}
        for device_id, (_, identity) in self.identities.items():
            values = (ids[device_id], *astuple(identity))
            names = ", ".join(("id", *(field.name for field in fields(identity))))
            places = ", ".join("?" * len(values))
            self.tables.execute(f"INSERT INTO identity ({names}) VALUES ({places})", values)
            row = (ids[device_id], device_id, ids[device_id])
            self.tables.execute("INSERT INTO device (id, device_id, identity) VALUES (?, ?, ?)", row)
        for number, record in self.records.items():
            device = ids[record.identity.device_id]
            event = (number, device, record.timestamp, record.kind, device, record.received_ms, record.exposed_ms)
            self.tables.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", event)
        return self.tables

    def events(self, device_id: str, upto: int | None = None) -> list[tuple[int, Kind]]:
        return [
            (record.timestamp, record.kind)
            for number, record in sorted(self.records.items())
            if record.identity.device_id == device_id and (upto is None or number <= upto)
        ]


class MemoryJournal:
    """`Journal` over a `Memory`."""

    shared = False

    def __init__(self, memory: Memory, clock: Callable[[], float]) -> None:
        self._memory = memory
        self._clock = clock
        self._open = False

    async def start(self) -> None:
        self._open = True

    async def load(self) -> Loaded:
        memory = self._used
        checkpoint = memory.saved
        if checkpoint is not None:
            states = [list(one.values()) for one in (memory.devices, memory.groups, memory.histograms)]
            checkpoint = replace(checkpoint, devices=states[0], groups=states[1], histograms=states[2], forgotten=[])
        times = memory.times
        newest = [identity for _, identity in memory.identities.values()]
        blind = list(memory.blind)
        return Loaded(checkpoint, newest, memory.pruned_before, blind, times.newest, times.exposed, memory.heard_ms, 0)

    async def append(self, batch: Sequence[Append], after: int) -> Appended:
        memory, at = self._used, self._tick()
        numbers: list[int | None] = []
        have = {(record.identity.device_id, record.timestamp, record.kind) for record in memory.records.values()}
        for one in batch:
            device_id = one.identity.device_id
            if (device_id, one.timestamp, one.kind) in have or one.timestamp < memory.pruned_before:
                numbers.append(None)
                continue
            have.add((device_id, one.timestamp, one.kind))
            memory.last += 1
            numbers.append(memory.last)
            exposed = memory.times.exposed
            memory.records[memory.last] = Record(one.identity, one.timestamp, one.kind, at, exposed)
            if one.timestamp >= memory.identities.get(device_id, (0, None))[0]:
                memory.identities[device_id] = (one.timestamp, one.identity)
        return Appended(at, numbers, self._after(after))

    async def expose(self, after: int) -> Appended:
        memory = self._used
        memory.times.expose(*memory.times.exposing(round(self._clock() * 1000)))
        return Appended(memory.times.newest, (), self._after(after))

    def exposed(self) -> None:
        self._memory.times.end_exposition()

    async def tail(self, after: int, limit: int = 5000) -> list[Numbered]:
        return self._after(after)[:limit]

    async def histories(self, devices: Collection[str], upto: int) -> dict[str, DeviceHistory]:
        memory = self._used
        return {
            device_id: DeviceHistory(memory.events(device_id, upto), memory.bases.get(device_id))
            for device_id in devices
            if device_id in memory.identities
        }

    async def heartbeat(self, retry_span_ms: int) -> Blind | None:
        memory, now = self._used, self._tick()
        last, memory.heard_ms = memory.heard_ms, now
        if now < last:
            clipped = (Blind(start, min(end, now / 1000)) for start, end in memory.blind)
            memory.blind = [blind for blind in clipped if blind.start < blind.end]
        if not last or now - last <= retry_span_ms:
            return None
        memory.blind.append(Blind(last / 1000, (now - retry_span_ms) / 1000))
        return memory.blind[-1]

    async def save(self, checkpoint: Checkpoint, epoch: int) -> None:
        memory = self._used
        memory.devices.update({state.identity.device_id: state for state in checkpoint.devices})
        memory.groups.update({(state.engine, state.business_id): state for state in checkpoint.groups})
        memory.histograms.update({state.engine: state for state in checkpoint.histograms})
        for device_id in checkpoint.forgotten:
            memory.devices.pop(device_id, None)
        memory.saved = checkpoint

    async def prune(self, before: int, first_device: int, epoch: int) -> int | None:
        memory = self._used
        memory.pruned_before = max(before, memory.pruned_before)
        covered = memory.saved.seq if memory.saved is not None else 0
        old = {number: record for number, record in memory.records.items() if record.timestamp < before}
        waiting = {record.identity.device_id for number, record in old.items() if number > covered}
        gone = {number: record for number, record in old.items() if record.identity.device_id not in waiting}
        for device_id in {record.identity.device_id for record in gone.values()}:
            events = [(one.timestamp, one.kind) for one in gone.values() if one.identity.device_id == device_id]
            memory.bases[device_id] = fold(events, memory.bases.get(device_id))
        for number in gone:
            del memory.records[number]
        return None

    async def quarantine(self, code: str, message: str, payload: bytes | None, digest: str) -> int:
        memory, now = self._used, self._tick()
        if digest in memory.digests:
            place = memory.digests.index(digest)
            former = memory.quarantine[place]
            memory.quarantine[place] = former._replace(times=former.times + 1, received_at=now / 1000)
        else:
            number = memory.quarantine[-1].id + 1 if memory.quarantine else 1
            memory.quarantine.append(Rejected(number, now / 1000, code, message, 1, payload))
            memory.digests.append(digest)
            del memory.quarantine[:-QUARANTINE_LIMIT], memory.digests[:-QUARANTINE_LIMIT]
        return len(memory.quarantine)

    async def transact(self, job: Callable[[Transaction], Any], *, epoch: int | None = None) -> Any:
        tables = self._used.show()
        tables.execute("BEGIN")
        try:
            result = job(SqliteTransaction(tables))
        except BaseException:
            tables.rollback()
            raise
        tables.commit()
        return result

    async def read(self, job: Callable[[Reader], Any]) -> Any:
        return job(MemoryReader(self._used))

    async def check(self) -> None:
        pass

    async def lease(self, ttl: float) -> int | None:
        return 1

    async def resign(self) -> None:
        pass

    def stats(self) -> Stats:
        return Stats(works=self._open, why="" if self._open else "the journal is not open", oldest_wait=0.0)

    async def stop(self) -> None:
        self._open = False

    @property
    def _used(self) -> Memory:
        if not self._open:
            raise JournalUnavailable("the journal is not open")
        return self._memory

    def _tick(self) -> int:
        return self._used.times.tick(round(self._clock() * 1000))

    def _after(self, after: int) -> list[Numbered]:
        return [(number, record) for number, record in sorted(self._used.records.items()) if number > after]


class MemoryReader:
    """`Reader` over a `Memory`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        return self._memory.show().execute(sql, tuple(values)).fetchall()

    def device_count(self) -> int:
        return len(self._memory.identities)

    def histories(self) -> Iterator[History]:
        for device_id in self._memory.identities:
            found = self.device(device_id)
            assert found is not None
            yield found

    def device(self, device_id: str) -> History | None:
        if device_id not in self._memory.identities:
            return None
        _, identity = self._memory.identities[device_id]
        return history(identity, self._memory.events(device_id), self._memory.bases.get(device_id))

    def disconnects_since(self, start: int) -> list[tuple[str, int]]:
        found, inside = [], Counter[str]()
        for record in sorted(self._memory.records.values(), key=lambda one: one.timestamp):
            device_id = record.identity.device_id
            if record.kind in (Kind.PLANNED, Kind.PLANNED_END):
                inside[device_id] = record.kind is Kind.PLANNED
            elif record.kind is Kind.DISCONNECTED and record.timestamp >= start and not inside[device_id]:
                found.append((device_id, record.timestamp))
        return found

    def blind_intervals(self) -> list[Blind]:
        return list(self._memory.blind)

    def rejected(self, number: int | None = None) -> list[Rejected]:
        return [one for one in self._memory.quarantine if number in (None, one.id)]
