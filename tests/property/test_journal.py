"""The journal and the recorder die at any point: what comes back is the fold of what was acknowledged.

A run is a random mix of bursts of events (duplicates, late ones, ties), scrapes, checkpoints, retention, forgetting,
failures of SQLite before, inside and after a commit, and deaths. A death takes the files as they are at that instant.
No counter of any scrape is below what a former one showed. The model is independent of recorder, checkpoints and
retention: the plain list of all records, folded from scratch.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from exporter.domain.applying import Applier
from exporter.domain.fleet import Fleet
from exporter.domain.records import DeviceHistory
from exporter.domain.timeline import Kind, fold
from exporter.errors import InvalidEvent, JournalUnavailable
from exporter.journal.sqlite.connecting import connect
from exporter.lib.pace import Pace
from tests.unit.journal_site import NOW, Site, event, picture

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from exporter.domain.records import Append, Record
    from exporter.gateways.events import DeviceEvent
    from exporter.journal.port import Appended
    from exporter.recording.recorder import Recorder

MEMORY = Path("/dev/shm")  # a death of the process, not of the machine: the page cache survives it

events = st.builds(
    event,
    st.integers(NOW - 60, NOW + 4),
    up=st.booleans(),
    device_id=st.sampled_from(["d1", "d2", "d3"]),
    business=st.sampled_from(["b1", "b1", "b1", "b2"]),
    name=st.sampled_from(["Front desk", "Front desk", "Counter"]),
)
bursts = st.lists(events, min_size=1, max_size=5)

Told = tuple[str, int, Kind]


newest: list[sqlite3.Connection] = []  # the one that the running journal writes with


def remembered(path: Path) -> sqlite3.Connection:
    newest[:] = [connect(path)]
    return newest[0]


def interrupt(steps: int) -> None:
    """Let SQLite fail after so many of its steps from now on; 0 for never again."""
    with suppress(IndexError, sqlite3.ProgrammingError):  # there is none, or it is closed
        newest[0].set_progress_handler((lambda: 1) if steps else None, steps)


class Failing:
    """Fails the journal: before it writes, meanwhile, or when all is written but nobody hears of it."""

    def __init__(self, site: Site, where: str | int) -> None:
        self._site = site
        self._where = where

    def __enter__(self) -> None:
        self._append = self._site.journal.append
        self._site.journal.append = self._fail
        if isinstance(self._where, int):
            interrupt(self._where)

    def __exit__(self, *error: object) -> None:
        self._site.journal.append = self._append
        interrupt(0)

    async def _fail(self, batch: list[Append], after: int) -> Appended:
        if self._where == "before":
            raise JournalUnavailable("before the commit")
        appended = await self._append(batch, after)
        if self._where == "after":
            raise JournalUnavailable("after the commit")
        return appended


failures = st.one_of(st.sampled_from(["before", "after"]), st.integers(1, 400))


class Deaths(RuleBasedStateMachine):
    """One journal, one engine after another."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.connecting = patch("exporter.journal.sqlite.database.connect", remembered)
        self.connecting.start()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.life = 0
        self.told: set[Told] = set()  # acknowledged
        self.tried: set[Told] = set()  # all that was sent
        self.records: list[Record] = []  # what the journal held, pruned ones included
        self.read_to = 0
        self.shown: dict[object, Any] = {}  # what scrapes showed of the counters

    # -- what happens -----------------------------------------------------------------------------------------------

    @initialize()
    def start(self) -> None:
        self.site = Site(self._next_folder())
        self._run(self.site.start())

    @rule(burst=bursts)
    def events_come(self, burst: list[DeviceEvent]) -> None:
        self._run(self._send(burst))

    @rule(burst=bursts, where=failures)
    def events_come_while_the_journal_fails(self, burst: list[DeviceEvent], where: str | int) -> None:
        with Failing(self.site, where):
            self._run(self._send(burst))

    @rule(burst=bursts, where=failures)
    def it_dies_in_a_commit(self, burst: list[DeviceEvent], where: str | int) -> None:
        self.events_come_while_the_journal_fails(burst, where)
        self._die()

    @rule()
    def it_dies(self) -> None:
        before = self._picture()
        self._die()
        if before is not None:
            assert self._picture() == before

    @rule()
    def it_stops_and_starts(self) -> None:
        before = self._picture()
        self._run(self.recorder.stop())
        self._run(self.site.start())
        if before is not None:
            assert self._picture() == before

    @rule(seconds=st.integers(1, 40))
    def time_passes(self, seconds: int) -> None:
        self.site.clock.now += seconds

    @rule()
    def a_scrape_comes(self) -> None:
        self._run(self._scrape())

    @rule(burst=bursts, turns=st.integers(0, 8))
    def events_come_while_a_scrape_is_rendered(self, burst: list[DeviceEvent], turns: int) -> None:
        async def both() -> None:
            sending = asyncio.ensure_future(self._send(burst))
            for _ in range(turns):
                await asyncio.sleep(0)
            await asyncio.gather(sending, self._scrape())

        self._run(both())

    @rule()
    def a_checkpoint_is_written(self) -> None:
        self._run(self._settled(self.recorder.save_checkpoint))

    @rule(burst=bursts, turns=st.integers(0, 6))
    def events_come_while_a_checkpoint_is_taken(self, burst: list[DeviceEvent], turns: int) -> None:
        async def both() -> None:
            taking = asyncio.ensure_future(self._settled(self.recorder.save_checkpoint))
            for _ in range(turns):
                await asyncio.sleep(0)
            await asyncio.gather(taking, self._send(burst))

        # a turn of the loop after each device
        with patch("exporter.recording.recorder.Pace", partial(Pace, stretch=0)):
            self._run(both())

    @rule(steps=st.integers(1, 200))
    def a_checkpoint_fails(self, steps: int) -> None:
        interrupt(steps)
        self._run(self._settled(self.recorder.save_checkpoint))
        interrupt(0)

    @rule(retention=st.integers(20, 80))
    def old_events_are_pruned(self, retention: int) -> None:
        self._note_records()
        self._run(self._settled(lambda: self.recorder.prune(retention)))

    @rule(device_id=st.sampled_from(["d1", "d2", "d3"]))
    def a_device_is_forgotten(self, device_id: str) -> None:
        self._run(self._forget(device_id))

    # -- what must hold ---------------------------------------------------------------------------------------------

    @invariant()
    def the_journal_holds_what_was_acknowledged_and_nothing_that_was_not_sent(self) -> None:
        self._note_records()
        stored = [(record.identity.device_id, record.timestamp, record.kind) for record in self.records]
        assert len(stored) == len(set(stored))
        assert self.told <= set(stored) <= self.tried

    @invariant()
    def the_fleet_is_the_fold_of_the_journal(self) -> None:
        """Unless a commit's outcome is unknown: then that holds again after the next one."""
        self._note_records()
        if self.records and self.recorder.applied < self.read_to:
            return
        own: dict[str, list[tuple[int, Kind]]] = {}
        fleet = Fleet()
        applier = Applier(fleet, print)
        for record in self.records:
            history = own.setdefault(record.identity.device_id, [])
            history.append((record.timestamp, record.kind))
            applier.apply(record, DeviceHistory(list(history), None), live=False)
        folded = {device_id: timeline for device_id in own if (timeline := fold(own[device_id])) is not None}
        assert {device_id: device.timeline for device_id, device in self.recorder.fleet.devices.items()} == folded
        assert picture(self.recorder) == _Rebuilt.picture(fleet)

    def teardown(self) -> None:
        self._run(self.site.kill())
        self.connecting.stop()
        newest.clear()
        self.loop.close()
        shutil.rmtree(self.folder)

    # -- means ------------------------------------------------------------------------------------------------------

    @property
    def recorder(self) -> Recorder:
        return self.site.recorder

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    async def _send(self, burst: list[DeviceEvent]) -> None:
        told = [
            (sent.identity.device_id, sent.timestamp, Kind.CONNECTED if sent.up else Kind.DISCONNECTED)
            for sent in burst
        ]
        self.tried |= set(told)
        answers = await asyncio.gather(*(self.recorder.submit(sent) for sent in burst), return_exceptions=True)
        for key, answer in zip(told, answers, strict=True):
            if isinstance(answer, str):
                self.told.add(key)
            else:
                assert isinstance(answer, (JournalUnavailable, InvalidEvent)), answer

    async def _forget(self, device_id: str) -> None:
        device = self.recorder.fleet.devices.get(device_id)
        if device is None:
            return
        key = (device_id, max(int(self.site.clock.now), device.timeline.newest), Kind.FORGOTTEN)
        self.tried.add(key)
        try:
            await self.recorder.forget(device_id)
        except JournalUnavailable:
            return
        self.told.add(key)

    async def _settled(self, action: Callable[[], Coroutine[Any, Any, None]]) -> None:
        with suppress(JournalUnavailable):
            await action()

    def _die(self) -> None:
        """Take the database as it is now to a new place, and start there."""
        taken = self._next_folder()
        for file in self.site.path.parent.glob("exporter.db*"):
            if file.suffix in {".db", ".db-wal"}:
                shutil.copy(file, taken / file.name)
        self._run(self.site.kill())
        self.site = Site(taken, self.site.clock)
        self._run(self.site.start())

    def _next_folder(self) -> Path:
        self.life += 1
        made = self.folder / str(self.life)
        made.mkdir()
        return made

    def _picture(self) -> object | None:
        self._note_records()
        return None if self.recorder.applied < self.read_to else picture(self.recorder)

    def _note_records(self) -> None:
        """Read what is new in the journal."""
        for seq, record in self._run(self.site.journal.tail(self.read_to)):
            assert seq == self.read_to + 1
            self.read_to = seq
            self.records.append(record)

    async def _scrape(self) -> None:
        """Read every counter, with a turn of the loop after each; none is below what any scrape showed of it."""
        async with self.recorder.exposing() as now:
            for key, device in list(self.recorder.fleet.devices.items()):
                self._shown(("device", key, device.timeline.first_seen), device.exposed_downtime(now))
                await asyncio.sleep(0)
            for key, group in list(self.recorder.fleet.groups.items()):
                self._shown(("downtime", key), group.downtime(now))
                self._shown(("observed", key), group.observed(now))
                await asyncio.sleep(0)
            for key, histogram in list(self.recorder.fleet.histograms.items()):
                self._shown(("outages", key), histogram.cumulative())

    def _shown(self, key: object, value: Any) -> None:
        before = self.shown.get(key)
        assert before is None or value >= before, key
        if isinstance(value, list):
            assert before is None or all(new >= old for new, old in zip(value, before, strict=True)), key
        self.shown[key] = value


class _Rebuilt:
    """Looks like a recorder to `picture`."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet

    @classmethod
    def picture(cls, fleet: Fleet) -> object:
        return picture(cls(fleet))


TestDeaths = Deaths.TestCase
TestDeaths.settings = settings(
    max_examples=80, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
