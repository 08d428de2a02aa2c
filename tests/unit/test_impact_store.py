"""Conversations on disk: hashed, in batches, bounded."""

import sqlite3
import stat

import pytest

from exporter.errors import ConfigError
from exporter.impact import store as store_functions
from exporter.impact.conversations import Conversations, Row
from exporter.impact.hashing import KEY_FILE, ConversationHasher, ensure_key
from exporter.journal.sqlite.schema import migrate
from exporter.journal.sqlite.transaction import SqliteTransaction

NOW = 1_738_056_000


def row(conversation=1, last=NOW, *, channel="c1", need_human=False):
    return Row(channel, "wa", "b1", conversation, -(10**12), last - 10, last, need_human)


@pytest.fixture
def connection(tmp_path):
    opened = sqlite3.connect(tmp_path / "test.db", isolation_level=None)
    migrate(opened, [store_functions.PIECE])
    yield opened
    opened.close()


class Tables:
    """The functions of the store on one connection."""

    def __init__(self, connection):
        self._transaction = SqliteTransaction(connection)

    def load(self):
        return store_functions.load(self._transaction)

    def save(self, rows):
        store_functions.save(self._transaction, rows)

    def prune(self, before, keep):
        store_functions.prune(self._transaction, before, keep)


@pytest.fixture
def store(connection):
    return Tables(connection)


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


# Hashes ----------------------------------------------------------------------------------------


def test_a_hash_depends_on_the_key_and_fits_sqlite():
    first, second = ConversationHasher(b"a" * 32), ConversationHasher(b"b" * 32)

    assert first("conversation_1") == first("conversation_1")
    assert len({first("conversation_1"), first("conversation_2"), second("conversation_1")}) == 3
    assert all(-(2**63) <= first(str(number)) < 2**63 for number in range(200))


def test_the_key_is_made_once_and_readable_by_its_owner_only(tmp_path):
    key = ensure_key(tmp_path / "data", "secret")

    assert ensure_key(tmp_path / "data", "secret") == key
    assert len(key) == 32
    assert stat.S_IMODE((tmp_path / "data" / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == [KEY_FILE]


def test_a_damaged_key_is_refused(tmp_path):
    (tmp_path / KEY_FILE).write_bytes(b"short")

    with pytest.raises(ConfigError, match="does not hold 32 bytes"):
        ensure_key(tmp_path, "secret")


def test_no_conversation_id_reaches_the_disk(tmp_path, store, connection):
    conversations, hasher = Conversations(100), ConversationHasher(ensure_key(tmp_path, "secret"))
    for number in range(50):
        conversations.record("c1", "wa", "b1", hasher(f"conversation-of-ibu-sari-{number}"), NOW, False, NOW)
    store.save(conversations.take_changes(100))
    connection.execute("PRAGMA wal_checkpoint")

    files = list(tmp_path.iterdir())
    assert len(store.load()) == 50
    assert not any(b"ibu-sari" in path.read_bytes() for path in files)


def test_a_restart_remembers_what_was_saved(store):
    before = Conversations(100)
    for number in range(20):
        before.record("c1", "wa", "b1", number, NOW + number, number % 2 == 0, NOW + number)
    store.save(before.take_changes(100))

    after = Conversations(100, limit=15)
    after.restore(store.load(), NOW + 20)

    assert [(one.active, one.waiting) for one in after.counts(NOW + 20)] == [(15, 7)]
    assert after.take_changes(100) == []
    assert [(channel.engine, channel.business_id) for channel in after.counts(NOW + 20)] == [("wa", "b1")]
