"""What every journal must do, whatever it keeps its records in. An implementation is one more line in `STORAGES`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from exporter.conventions import ACCEPTED, DUPLICATE, LATE
from exporter.domain.records import Blind, Checkpoint, SavedDevice
from exporter.domain.timeline import Kind, Outage, fold
from exporter.errors import JournalUnavailable
from exporter.journal.port import Piece
from exporter.journal.postgres.journal import PostgresJournal
from exporter.journal.sqlite.journal import SqliteJournal
from exporter.metrics.own import SelfMetrics
from exporter.recording.recorder import Recorder
from exporter.sessions import store as sessions
from tests.memory_journal import Memory, MemoryJournal
from tests.postgres import shared_cluster
from tests.unit.journal_site import NOW, FakeClock, append, event, identity, picture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from exporter.journal.port import Journal, Transaction

DOWN, UP, CUT = Kind.DISCONNECTED, Kind.CONNECTED, Kind.FORGOTTEN
NOW_MS = NOW * 1000
TOYS = Piece("toys", ("CREATE TABLE toy (name TEXT PRIMARY KEY, price {bigint} NOT NULL);",))
PIECES = [TOYS, sessions.PIECE]


class Storage(Protocol):
    """Where a journal keeps what outlives it."""

    def journal(self, clock: FakeClock) -> Journal:
        """Return a journal, not started."""


class SqliteStorage:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "exporter.db"

    def journal(self, clock: FakeClock) -> Journal:
        return SqliteJournal(self._path, clock, PIECES)


class MemoryStorage:
    def __init__(self, _folder: Path) -> None:
        self._memory = Memory([TOYS])

    def journal(self, clock: FakeClock) -> Journal:
        return MemoryJournal(self._memory, clock)

    def end(self) -> None:
        """Forget it, as no journal does when it stops."""
        self._memory.tables.close()


class PostgresStorage:
    def __init__(self, _folder: Path) -> None:
        self._url = shared_cluster().database()

    def journal(self, clock: FakeClock) -> Journal:
        return PostgresJournal(self._url, PIECES, clock=clock)


STORAGES = (SqliteStorage, MemoryStorage, PostgresStorage)
DATABASES = tuple(storage for storage in STORAGES if storage is not MemoryStorage)
"""Those that keep what gateways told, too."""


@pytest.fixture(params=STORAGES, ids=lambda storage: storage.__name__.removesuffix("Storage").lower())
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    made: Storage = request.param(tmp_path)
    yield made
    if isinstance(made, MemoryStorage):
        made.end()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def journal(storage: Storage, clock: FakeClock) -> AsyncIterator[Journal]:
    opened = storage.journal(clock)
    await opened.start()
    yield opened
    await opened.stop()


async def again(storage: Storage, journal: Journal, clock: FakeClock) -> Journal:
    """End a journal without a word, and open it anew."""
    await journal.stop()
    opened = storage.journal(clock)
    await opened.start()
    return opened


class TestAppend:
    async def test_records_are_numbered_without_gaps_and_come_back_in_their_order(self, journal: Journal) -> None:
        given = [append(NOW + 10, UP), append(NOW, DOWN, "d2"), append(NOW + 5, DOWN)]
        first = await journal.append(given[:2], 0)
        second = await journal.append(given[2:], 2)
        assert [list(first.numbers), list(second.numbers)] == [[1, 2], [3]]
        assert [number for number, _ in second.missed] == [3]
        records = await journal.tail(0)
        assert records == [*first.missed, *second.missed]
        assert [(record.identity, record.timestamp, record.kind) for _, record in records] == [
            (one.identity, one.timestamp, one.kind) for one in given
        ]

    async def test_what_the_journal_has_gets_no_number_also_within_one_batch(self, journal: Journal) -> None:
        await journal.append([append(NOW, DOWN)], 0)
        batch = [append(NOW, DOWN), append(NOW, UP), append(NOW, UP), append(NOW, DOWN, "d2")]
        appended = await journal.append(batch, 1)
        assert list(appended.numbers) == [None, 2, None, 3]
        assert [number for number, _ in appended.missed] == [2, 3]
        assert list((await journal.append(batch, 3)).numbers) == [None] * 4
        assert [number for number, _ in await journal.tail(0)] == [1, 2, 3]

    async def test_whoever_missed_records_gets_them_with_its_own(self, journal: Journal) -> None:
        await journal.append([append(NOW, UP), append(NOW + 1, DOWN)], 0)
        appended = await journal.append([append(NOW + 2, UP)], 1)
        assert [number for number, _ in appended.missed] == [2, 3]
        assert [number for number, _ in (await journal.append([append(NOW, UP)], 0)).missed] == [1, 2, 3]

    async def test_a_batch_that_is_large_is_kept_whole(self, journal: Journal) -> None:
        batch = [append(NOW + step, UP, f"d{step % 300}") for step in range(2000)]
        assert list((await journal.append(batch, 0)).numbers) == list(range(1, 2001))
        assert len(await journal.tail(0, 1500)) == 1500
        assert len(await journal.tail(1500)) == 500

    async def test_the_newest_identity_is_that_of_the_newest_event(self, journal: Journal) -> None:
        names = [(NOW, "Old"), (NOW + 9, "New"), (NOW + 5, "Late")]
        for timestamp, name in names:
            await journal.append([append(timestamp, UP, name=name)], 0)
        assert [one.device_name for one in (await journal.load()).identities] == ["New"]
        assert [record.identity.device_name for _, record in await journal.tail(0)] == ["Old", "New", "Late"]

    async def test_names_come_back_as_they_went_in(self, journal: Journal) -> None:
        hostile = identity(name="a\"b\\c\nd'; DROP TABLE event; -- é😀")
        await journal.append([append(NOW, UP, name=hostile.device_name)], 0)
        assert (await journal.tail(0))[0][1].identity == hostile


class TestTime:
    async def test_records_carry_the_journals_time_which_a_slow_clock_does_not_turn_back(
        self, journal: Journal, clock: FakeClock
    ) -> None:
        times = []
        for now in (NOW, NOW + 5, NOW + 4.5, NOW + 6):
            clock.now = now
            times.append((await journal.append([append(int(now * 2), UP)], 0)).at_ms)
        assert times == sorted(times)
        assert times[:2] + times[3:] == [NOW_MS, NOW_MS + 5000, NOW_MS + 6000]
        assert [record.received_ms for _, record in await journal.tail(0)] == times

    async def test_before_any_exposition_nothing_was_exposed(self, journal: Journal) -> None:
        await journal.append([append(NOW, UP)], 0)
        assert (await journal.tail(0))[0][1].exposed_ms == 0

    async def test_while_an_exposition_lasts_each_record_is_exposed_at_its_own_time(
        self, journal: Journal, clock: FakeClock
    ) -> None:
        mark = await journal.expose(0)
        first = await journal.append([append(NOW, UP)], 0)
        clock.now = NOW + 1.5
        second = await journal.append([append(NOW + 1, DOWN)], 1)
        clock.now = NOW + 60
        third = await journal.append([append(NOW + 2, UP)], 2)
        fourth = await journal.append([append(NOW + 3, DOWN)], 3)
        exposed = [record.exposed_ms for _, record in await journal.tail(0)]
        assert mark.at_ms < first.at_ms < second.at_ms
        assert exposed[:2] == [first.at_ms, second.at_ms]
        assert second.at_ms < exposed[2] == exposed[3]  # nothing was exposed between the last two
        assert exposed[3] <= min(third.at_ms, fourth.at_ms)

    async def test_an_exposition_that_ended_exposes_nothing_that_comes_later(self, journal: Journal) -> None:
        await journal.expose(0)
        first = await journal.append([append(NOW, UP)], 0)
        journal.exposed()
        for step in (1, 2):
            await journal.append([append(NOW + step, UP)], step)
        exposed = [record.exposed_ms for _, record in await journal.tail(0)]
        assert first.at_ms == exposed[0] < exposed[1] == exposed[2]

    async def test_each_exposition_is_later_than_all_that_was_before_it(self, journal: Journal) -> None:
        appended = await journal.append([append(NOW, UP)], 0)
        first = await journal.expose(0)
        second = await journal.expose(1)
        assert appended.at_ms < first.at_ms < second.at_ms
        assert [number for number, _ in first.missed] == [1]
        assert list(second.missed) == []

    async def test_after_an_end_without_a_word_time_goes_on_and_what_was_exposed_is_known(
        self, storage: Storage, journal: Journal, clock: FakeClock
    ) -> None:
        clock.now = NOW + 50
        mark = await journal.expose(0)
        clock.now = NOW + 49.5
        journal = await again(storage, journal, clock)
        loaded = await journal.load()
        assert loaded.at_ms >= mark.at_ms
        appended = await journal.append([append(NOW, UP)], 0)
        assert appended.at_ms > mark.at_ms
        assert (await journal.tail(0))[0][1].exposed_ms > mark.at_ms
        await journal.stop()

    @pytest.mark.parametrize("restart", [False, True], ids=["as it runs", "over a restart"])
    async def test_where_the_clock_was_set_back_time_follows_and_what_was_exposed_ahead_is_known(
        self, storage: Storage, journal: Journal, clock: FakeClock, restart: bool
    ) -> None:
        clock.now = NOW + 600
        ahead = await journal.expose(0)
        clock.now = NOW
        if restart:
            journal = await again(storage, journal, clock)
        assert (await journal.append([append(NOW, UP)], 0)).at_ms == NOW_MS
        clock.now += 1
        assert (await journal.append([append(NOW + 1, DOWN)], 1)).at_ms == NOW_MS + 1000
        clock.now += 9
        mark = await journal.expose(2)
        third = await journal.append([append(NOW + 2, UP)], 2)
        exposed = [record.exposed_ms for _, record in await journal.tail(0)]
        assert mark.at_ms == NOW_MS + 10_000
        assert exposed[:2] == [ahead.at_ms + 2000] * 2
        assert mark.at_ms < exposed[2] == third.at_ms
        await journal.stop()

    async def test_blind_time_that_a_clock_ahead_saw_is_taken_back(self, journal: Journal, clock: FakeClock) -> None:
        assert await journal.heartbeat(90_000) is None
        clock.now = NOW + 25_200
        assert await journal.heartbeat(90_000) == Blind(NOW, NOW + 25_110)
        clock.now = NOW + 20
        assert await journal.heartbeat(90_000) is None
        assert list((await journal.load()).blind) == [Blind(NOW, NOW + 20)]
        assert await journal.heartbeat(90_000) is None

    @pytest.mark.parametrize(
        ("gap", "blind"),
        [
            pytest.param(90, None, id="as long as the sender retries nothing is lost"),
            pytest.param(1000, Blind(NOW, NOW + 910), id="a long gap is blind but for the retry span at its end"),
        ],
    )
    async def test_a_gap_between_heartbeats_is_blind(
        self, journal: Journal, clock: FakeClock, gap: int, blind: Blind | None
    ) -> None:
        assert await journal.heartbeat(90_000) is None
        clock.now += gap
        assert await journal.heartbeat(90_000) == blind
        loaded = await journal.load()
        assert list(loaded.blind) == ([blind] if blind else [])
        assert loaded.heard_ms == clock.now * 1000
        assert await journal.read(lambda reader: reader.blind_intervals()) == list(loaded.blind)


class TestHistory:
    async def test_a_history_goes_up_to_a_record_and_no_further(self, journal: Journal) -> None:
        for timestamp, kind in ((NOW, UP), (NOW - 5, DOWN), (NOW + 5, DOWN)):
            await journal.append([append(timestamp, kind)], 0)
        found = await journal.histories(["d1", "nobody"], 2)
        assert list(found) == ["d1"]
        assert (sorted(found["d1"].events), found["d1"].base) == ([(NOW - 5, DOWN), (NOW, UP)], None)

    async def test_readers_find_at_once_what_was_appended(self, journal: Journal) -> None:
        await journal.append([append(NOW, UP), append(NOW + 10, DOWN), append(NOW + 30, CUT), append(NOW + 50, UP)], 0)
        await journal.append([append(NOW, UP, "d2")], 4)
        history = await journal.read(lambda reader: reader.device("d1"))
        assert history is not None
        assert history.observed == [(NOW, NOW + 30), (NOW + 50, None)]
        assert history.outages == [Outage(NOW + 10, NOW + 30)]
        assert await journal.read(lambda reader: [one.identity.device_id for one in reader.histories()]) == ["d1", "d2"]
        assert await journal.read(lambda reader: reader.device_count()) == 2
        assert await journal.read(lambda reader: reader.device("nobody")) is None

    async def test_disconnects_inside_planned_windows_are_left_out(self, journal: Journal) -> None:
        kinds = [(0, UP), (5, DOWN), (10, Kind.PLANNED), (15, DOWN), (20, Kind.PLANNED_END), (25, DOWN)]
        await journal.append([append(NOW + at, kind) for at, kind in kinds], 0)
        assert await journal.read(lambda reader: reader.disconnects_since(NOW + 1)) == [
            ("d1", NOW + 5),
            ("d1", NOW + 25),
        ]


def saved_device(device_id: str, outages: int) -> SavedDevice:
    return SavedDevice(identity(device_id), NOW, NOW, NOW, True, NOW, outages, 0, 0.0, NOW, 0.0, 0)


class TestCheckpointAndRetention:
    async def test_checkpoints_add_up(self, storage: Storage, journal: Journal, clock: FakeClock) -> None:
        assert (await journal.load()).checkpoint is None
        await journal.append([append(NOW, UP, f"d{number}") for number in range(3)], 0)
        await save(journal, Checkpoint(2, NOW_MS, [saved_device("d0", 1), saved_device("d1", 1)], [], [], []))
        await save(journal, Checkpoint(3, NOW_MS + 5, [saved_device("d1", 2)], ["d0"], [], []))
        journal = await again(storage, journal, clock)
        found = (await journal.load()).checkpoint
        assert found is not None
        assert (found.seq, found.saved_ms, found.forgotten) == (3, NOW_MS + 5, [])
        assert found.devices == [saved_device("d1", 2)]
        await journal.stop()

    async def test_pruned_events_leave_the_timeline_as_it_was_and_are_never_taken_again(
        self, storage: Storage, journal: Journal, clock: FakeClock
    ) -> None:
        events = [(NOW, UP), (NOW + 10, DOWN), (NOW + 20, UP), (NOW + 30, DOWN), (NOW + 50, UP)]
        await journal.append([append(*one) for one in events], 0)
        await save(journal, Checkpoint(5, NOW_MS, [], [], [], []))
        await prune(journal, NOW + 25)
        journal = await again(storage, journal, clock)
        found = (await journal.histories(["d1"], 5))["d1"]
        assert sorted(found.events) == events[3:]
        assert fold(found.events, found.base) == fold(events)
        assert (await journal.load()).pruned_before == NOW + 25
        assert list((await journal.append([append(NOW + 10, DOWN), append(NOW + 60, DOWN)], 5)).numbers) == [None, 6]
        await journal.stop()

    async def test_a_device_with_an_old_event_that_no_checkpoint_covers_is_left_as_it_is(
        self, journal: Journal
    ) -> None:
        await journal.append([append(NOW + 10, UP), append(NOW + 10, UP, "d2")], 0)
        await save(journal, Checkpoint(2, NOW_MS, [], [], [], []))
        await journal.append([append(NOW, DOWN)], 2)
        await prune(journal, NOW + 25)
        found = await journal.histories(["d1", "d2"], 9)
        assert sorted(found["d1"].events) == [(NOW, DOWN), (NOW + 10, UP)]
        assert found["d2"].events == []

    async def test_numbers_go_on_where_everything_was_pruned(
        self, storage: Storage, journal: Journal, clock: FakeClock
    ) -> None:
        await journal.append([append(NOW + number, UP, f"d{number}") for number in range(450)], 0)
        await save(journal, Checkpoint(450, NOW_MS, [], [], [], []))
        await prune(journal, NOW + 1000)
        assert await journal.tail(0) == []
        journal = await again(storage, journal, clock)
        assert list((await journal.append([append(NOW + 2000, UP)], 450)).numbers) == [451]
        await journal.stop()


async def lead(journal: Journal) -> int:
    epoch = await journal.lease(60.0)
    assert epoch is not None
    return epoch


async def save(journal: Journal, checkpoint: Checkpoint) -> None:
    await journal.save(checkpoint, await lead(journal))


async def prune(journal: Journal, before: int) -> None:
    epoch, device = await lead(journal), 0
    while device is not None:
        device = await journal.prune(before, device, epoch)


class TestTheRest:
    async def test_features_find_the_newest_devices_and_events_in_tables(self, journal: Journal) -> None:
        first = await journal.append([append(NOW, UP, name="Old"), append(NOW + 1, DOWN, "d2")], 0)
        await journal.append([append(NOW + 2, DOWN, name="New")], 2)
        query = (
            "SELECT e.seq, d.device_id, e.timestamp, e.kind, e.received_ms, i.device_name FROM event e "
            "JOIN device d ON d.id = e.device JOIN identity i ON i.id = d.identity "
            "WHERE e.received_ms >= ? ORDER BY e.seq"
        )
        expected = [(1, "d1", NOW, 1, "New"), (2, "d2", NOW + 1, 0, "Front desk"), (3, "d1", NOW + 2, 0, "New")]
        for look in (journal.read, journal.transact):
            rows = await look(lambda tables: tables.rows(query, (first.at_ms,)))
            assert [(*row[:4], row[5]) for row in rows] == expected

    async def test_the_quarantine_counts_the_same_body_and_is_bounded(self, journal: Journal) -> None:
        for number in range(1005):
            await journal.quarantine("invalid_json", "bad", b"{}", f"digest{number}")
        assert await journal.quarantine("invalid_json", "bad", b"{}", "digest1000") == 1000
        found = await journal.read(lambda reader: reader.rejected())
        assert len(found) == 1000
        assert [(one.id, one.times) for one in found if one.times != 1] == [(1001, 2)]
        assert await journal.read(lambda reader: reader.rejected(1001)) == [one for one in found if one.id == 1001]

    async def test_a_job_is_one_transaction_all_or_nothing(self, journal: Journal) -> None:
        def buy(transaction: Transaction) -> int:
            transaction.many("toy", ("name", "price"), [("ball", 5), ("kite", 7)], key=("name",))
            return transaction.run("UPDATE toy SET price = price + 1")

        def fail(transaction: Transaction) -> None:
            transaction.run("DELETE FROM toy")
            raise KeyError("a bug in a feature")

        assert await journal.transact(buy) == 2
        with pytest.raises(KeyError):
            await journal.transact(fail)
        await journal.append([append(NOW, UP)], 0)
        rows = await journal.read(lambda reader: reader.rows("SELECT name, price FROM toy ORDER BY name"))
        assert rows == [("ball", 6), ("kite", 8)]

    async def test_it_leads_until_it_resigns_and_works_until_it_stops(self, journal: Journal) -> None:
        assert await journal.lease(6.0) == 1
        await journal.resign()
        assert journal.stats().works
        await journal.stop()
        assert not journal.stats().works
        with pytest.raises(JournalUnavailable, match="not open"):
            await journal.append([append(NOW, UP)], 0)

    async def test_appends_and_everything_else_at_once_take_their_turns(self, journal: Journal) -> None:
        appends = [journal.append([append(NOW + step, UP)], 0) for step in range(50)]
        others = [journal.heartbeat(90_000), journal.expose(0), journal.quarantine("a", "b", None, "c")]
        await asyncio.gather(*appends, *others)
        assert [number for number, _ in await journal.tail(0)] == list(range(1, 51))


@pytest.mark.parametrize("storage", DATABASES, indirect=True)
async def test_a_history_has_what_the_gateway_told_beside_the_events(journal: Journal) -> None:
    given = [append(NOW - 100, UP, "gw:s1"), append(NOW - 50, DOWN, "gw:s1")]
    await journal.append([replace(one, identity=replace(one.identity, gateway="gw")) for one in given], 0)
    await journal.transact(lambda tables: sessions.save_reason(tables, [("gw:s1", NOW - 50, "banned")]))
    await journal.transact(lambda tables: sessions.save_blind(tables, "gw:s1", NOW - 70, NOW - 50))

    alone = await journal.read(lambda reader: reader.device("gw:s1"))
    [among_all] = await journal.read(lambda reader: list(reader.histories()))

    assert alone is not None
    assert alone == among_all
    assert (alone.blind, alone.reasons) == ([(NOW - 70, NOW - 50)], {NOW - 50: "banned"})
    assert await journal.transact(sessions.blind_seconds) == {"gw:s1": 20}


@pytest.mark.parametrize("storage", [SqliteStorage, PostgresStorage], indirect=True)
async def test_what_gateways_told_goes_with_the_events_of_its_time_and_its_sum_stays(journal: Journal) -> None:
    reasons = [("gw:s1", NOW - 900, "banned"), ("gw:s2", NOW - 800, "stopped"), ("gw:s1", NOW - 10, "logged_out")]
    await journal.transact(lambda tables: sessions.save_reason(tables, reasons))
    for device_id, start, end in (("gw:s1", 950, 900), ("gw:s2", 850, 800), ("up:s1", 700, 650), ("gw:s1", 20, 10)):
        await journal.transact(lambda t, of=device_id, a=start, b=end: sessions.save_blind(t, of, NOW - a, NOW - b))
    before = await journal.transact(sessions.blind_seconds)

    for _ in range(2):  # a second time finds nothing more to do
        await journal.transact(lambda tables: sessions.prune(tables, NOW - 500, [("gw:s2", NOW - 800)]))

    # of what runs the reason is needed, however old it is
    assert await journal.transact(sessions.load_reasons) == reasons[1:]
    rows = await journal.read(lambda reader: reader.rows('SELECT device_id, start, "end" FROM session_blind'))
    assert sorted(rows) == [("gw:", 0, 100), ("gw:s1", NOW - 20, NOW - 10), ("up:", 0, 50)]
    after = await journal.transact(sessions.blind_seconds)
    assert sum(after.values()) == sum(before.values()) == 160


async def test_a_recorder_on_it_comes_back_as_it_was_when_killed(storage: Storage, clock: FakeClock) -> None:
    recorder = Recorder(storage.journal(clock), clock, SelfMetrics(CollectorRegistry()))
    await recorder.start()
    assert await recorder.submit(event(NOW - 100, up=True)) == ACCEPTED
    await recorder.save_checkpoint()
    assert await recorder.submit(event(NOW - 50, up=False)) == ACCEPTED
    async with recorder.exposing() as now:
        exposed = recorder.fleet.devices["d1"].exposed_downtime(now)
    assert await recorder.submit(event(NOW - 40, up=True)) == ACCEPTED
    assert await recorder.submit(event(NOW - 45, up=True, device_id="d2")) == ACCEPTED
    assert await recorder.submit(event(NOW - 60, up=False, device_id="d2")) == LATE
    assert await recorder.submit(event(NOW - 40, up=True)) == DUPLICATE
    before = picture(recorder)
    await recorder.end()
    recorder = Recorder(storage.journal(clock), clock, SelfMetrics(CollectorRegistry()))
    await recorder.start()
    assert picture(recorder) == before
    assert recorder.fleet.devices["d1"].exposed_downtime(NOW) >= exposed
    await recorder.stop()
