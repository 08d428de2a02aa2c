"""Conversations on disk: hashed, in batches, bounded."""

import asyncio
import sqlite3
import stat

import pytest

from exporter.errors import ConfigError, JournalUnavailable
from exporter.impact.conversations import Conversations, Row
from exporter.impact.hashing import KEY_FILE, ConversationHasher, ensure_key
from exporter.impact.snapshots import BATCH, PRUNE_EVERY, Snapshotter
from exporter.impact.store import JournalStore, SqliteStore
from exporter.journal.sqlite.schema import migrate

NOW = 1_738_056_000


def row(conversation=1, last=NOW, *, channel="c1", need_human=False):
    return Row(channel, "wa", "b1", conversation, -(10**12), last - 10, last, need_human)


@pytest.fixture
def connection(tmp_path):
    opened = sqlite3.connect(tmp_path / "test.db", isolation_level=None)
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
def store(connection):
    return SqliteStore(connection)


# The table ----------------------------------------------------------------------------------------


def test_rows_come_back_the_oldest_first(store):
    rows = [row(2**63 - 1, NOW + 5, need_human=True), row(-(2**63), NOW), row(1, NOW + 1, channel="c'2\"; DROP")]
    store.save(rows)

    assert store.load() == sorted(rows, key=lambda one: one.last)
    assert [type(one.need_human) for one in store.load()] == [bool] * 3


def test_a_row_saved_again_is_replaced(store):
    store.save([row(need_human=True)])
    store.save([row(last=NOW + 9)])

    assert store.load() == [row(last=NOW + 9)]


def test_nothing_to_save_is_no_error(store):
    store.save([])

    assert store.load() == []


def test_old_rows_and_those_beyond_the_limit_are_pruned(store):
    store.save([row(number, NOW + number) for number in range(10)])

    store.prune(NOW + 3, keep=100)
    assert [one.conversation for one in store.load()] == list(range(3, 10))
    store.prune(NOW, keep=2)
    assert [one.conversation for one in store.load()] == [8, 9]


async def test_the_loop_reaches_the_table_by_transactions(connection):
    operations = []

    async def transact(operation, job):
        operations.append(operation)
        return job(connection)

    journal = JournalStore(transact)
    await journal.save([row(1), row(2, NOW + 1), row(3, NOW + 2)])
    await journal.prune(NOW + 1, keep=1)

    assert await journal.load() == [row(3, NOW + 2)]
    assert operations == ["impact"] * 3


# Hashes ----------------------------------------------------------------------------------------


def test_a_hash_depends_on_the_key_and_fits_sqlite():
    first, second = ConversationHasher(b"a" * 32), ConversationHasher(b"b" * 32)

    assert first("conversation_1") == first("conversation_1")
    assert len({first("conversation_1"), first("conversation_2"), second("conversation_1")}) == 3
    assert all(-(2**63) <= first(str(number)) < 2**63 for number in range(200))


def test_the_key_is_made_once_and_readable_by_its_owner_only(tmp_path):
    key = ensure_key(tmp_path / "data")

    assert ensure_key(tmp_path / "data") == key
    assert len(key) == 32
    assert stat.S_IMODE((tmp_path / "data" / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == [KEY_FILE]


def test_a_damaged_key_is_refused(tmp_path):
    (tmp_path / KEY_FILE).write_bytes(b"short")

    with pytest.raises(ConfigError, match="does not hold 32 bytes"):
        ensure_key(tmp_path)


def test_no_conversation_id_reaches_the_disk(tmp_path, store, connection):
    conversations, hasher = Conversations(100), ConversationHasher(ensure_key(tmp_path))
    for number in range(50):
        conversations.record("c1", "wa", "b1", hasher(f"conversation-of-ibu-sari-{number}"), NOW, False, NOW)
    store.save(conversations.take_changes(100))
    connection.execute("PRAGMA wal_checkpoint")

    files = list(tmp_path.iterdir())
    assert len(store.load()) == 50
    assert not any(b"ibu-sari" in path.read_bytes() for path in files)


# Snapshots ----------------------------------------------------------------------------------------


class FakeStore:
    """Remembers what it was told; fails while `broken`."""

    def __init__(self):
        self.batches = []
        self.prunes = []
        self.broken = False

    async def save(self, rows):
        if self.broken:
            raise JournalUnavailable("disk full")
        self.batches.append(list(rows))

    async def prune(self, before, keep):
        self.prunes.append((before, keep))


class Bench:
    def __init__(self):
        self.now = float(NOW)
        self.conversations = Conversations(100, limit=5000, grace=30)
        self.store = FakeStore()
        self.snapshotter = Snapshotter(self.conversations, self.store, lambda: self.now, interval=0.01)

    def say(self, *conversations):
        for conversation in conversations:
            self.conversations.record("c1", "wa", "b1", conversation, int(self.now), False, self.now)


@pytest.fixture
def bench():
    return Bench()


async def test_only_what_changed_is_saved_in_batches(bench):
    bench.say(*range(2 * BATCH + 1))
    assert await bench.snapshotter.flush()
    bench.now += 1
    bench.say(7)
    bench.say(7)
    assert await bench.snapshotter.flush()

    assert [len(batch) for batch in bench.store.batches] == [BATCH, BATCH, 1, 1]
    assert bench.store.batches[-1][0].last == NOW + 1


async def test_a_message_that_changes_nothing_is_not_saved_again(bench):
    bench.say(1)
    await bench.snapshotter.flush()
    bench.say(1)
    await bench.snapshotter.flush()

    assert len(bench.store.batches) == 1


async def test_what_could_not_be_saved_is_saved_later_with_its_newest_state(bench):
    bench.say(1, 2)
    bench.store.broken = True
    assert not await bench.snapshotter.flush()
    bench.now += 5
    bench.say(1)
    bench.store.broken = False
    assert await bench.snapshotter.flush()

    (batch,) = bench.store.batches
    assert sorted((one.conversation, one.last) for one in batch) == [(1, NOW + 5), (2, NOW)]


async def test_the_table_is_pruned_from_time_to_time(bench):
    bench.now += PRUNE_EVERY - 1
    await bench.snapshotter.flush()
    assert bench.store.prunes == []
    bench.now += 1
    await bench.snapshotter.flush()
    await bench.snapshotter.flush()

    assert bench.store.prunes == [(int(NOW + PRUNE_EVERY - 130), 5000)]


async def test_it_saves_by_itself_until_it_is_cancelled(bench):
    bench.say(1)
    task = asyncio.create_task(bench.snapshotter.run())
    async with asyncio.timeout(10):
        while not bench.store.batches:  # noqa: ASYNC110 - the task has no event to wait for
            await asyncio.sleep(0.01)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_restart_remembers_what_was_saved(store):
    before = Conversations(100)
    for number in range(20):
        before.record("c1", "wa", "b1", number, NOW + number, number % 2 == 0, NOW + number)
    store.save(before.take_changes(100))

    after = Conversations(100, limit=15)
    after.restore(store.load(), NOW + 20)

    assert (after.active("c1", NOW + 20), after.waiting("c1", NOW + 20)) == (15, 7)
    assert after.take_changes(100) == []
    assert [(channel.engine, channel.business_id) for channel in after.counts(NOW + 20)] == [("wa", "b1")]
