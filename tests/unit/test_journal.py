"""The SQLite journal by itself: what it keeps, what it refuses, how it heals."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from exporter.app.features import PIECES
from exporter.domain.records import Blind
from exporter.domain.timeline import Kind, Outage, fold
from exporter.errors import ConfigError, JournalUnavailable
from exporter.journal.port import Piece
from exporter.journal.sqlite import schema
from exporter.journal.sqlite.database import QUARANTINE_LIMIT, SqliteJournal, storage_path
from exporter.journal.sqlite.reader import Reader, open_reader
from tests.tools import ROOT
from tests.unit.journal_site import NOW, append, identity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from exporter.domain.identity import Identity
    from exporter.domain.records import Append

DOWN, UP, CUT = Kind.DISCONNECTED, Kind.CONNECTED, Kind.FORGOTTEN


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "exporter.db"


@pytest.fixture
def journal(path: Path) -> Iterator[SqliteJournal]:
    opened = SqliteJournal(path)
    yield opened
    opened.close()


def test_what_was_appended_is_read_back_in_order_of_arrival_after_a_reopen(path: Path) -> None:
    journal = SqliteJournal(path)
    first = [append(NOW + 10, UP), append(NOW, DOWN, "d2")]
    journal.append(first)
    journal.append([append(NOW + 5, DOWN)])
    journal.close()
    again = SqliteJournal(path)
    records = list(again.records_after(0))
    again.close()
    assert [seq for seq, _ in records] == [1, 2, 3]
    assert [record for _, record in records] == [*(item.record for item in first), append(NOW + 5, DOWN).record]


def test_a_duplicate_is_not_kept_also_within_one_batch(journal: SqliteJournal) -> None:
    journal.append([append(NOW, DOWN)])
    journal.append([append(NOW, DOWN), append(NOW, UP), append(NOW, UP)])
    assert [seq for seq, _ in journal.records_after(0)] == [1, 3]


def test_sequence_numbers_are_never_used_twice_though_duplicates_leave_gaps(path: Path) -> None:
    journal = SqliteJournal(path)
    journal.append([append(NOW, DOWN)])
    journal.append([append(NOW, DOWN)] * 3)
    assert journal.appended() == 4
    journal.close()
    journal = SqliteJournal(path)
    assert journal.appended() == 4
    journal.append([append(NOW + 1, UP)])
    assert [seq for seq, _ in journal.records_after(0)] == [1, 5]
    journal.close()


def test_records_that_come_again_with_their_numbers_change_nothing(journal: SqliteJournal) -> None:
    batch = [append(NOW, DOWN), append(NOW + 1, UP, "d2"), append(NOW + 2, UP)]
    for _ in range(2):
        journal.append(batch, [3, 7, 8])
    assert [(seq, record.timestamp) for seq, record in journal.records_after(0)] == [
        (3, NOW),
        (7, NOW + 1),
        (8, NOW + 2),
    ]
    assert journal.appended() == 8


def test_a_history_goes_up_to_a_record_and_no_further(journal: SqliteJournal) -> None:
    journal.append([append(NOW, UP)])
    journal.append([append(NOW - 5, DOWN, late=True), append(NOW + 5, DOWN, late=True)])
    assert sorted(journal.history("d1", 2).events) == [(NOW - 5, DOWN), (NOW, UP)]
    assert len(journal.history("d1", 3).events) == 3
    assert journal.history("d2").events == []


@pytest.mark.parametrize("sizes", [(1, 1), (7, 40)], ids=["single rows", "more rows than one statement once took"])
def test_batches_of_any_size_are_kept_whole(journal: SqliteJournal, sizes: tuple[int, int]) -> None:
    for number, size in enumerate(sizes):
        journal.append([append(NOW + number * 1000 + step, UP, f"d{step}") for step in range(size)])
    assert len(list(journal.records_after(0))) == sum(sizes)


def test_hostile_names_come_back_as_they_went_in(journal: SqliteJournal, path: Path) -> None:
    hostile = identity(name="a\"b\\c\nd'; DROP TABLE event; -- é😀")
    record = replace(append(NOW, UP).record, identity=hostile)
    journal.append([replace(append(NOW, UP), record=record)])
    assert next(iter(journal.records_after(0)))[1].identity == hostile
    with Reader(path) as reader:
        assert reader.device("d1").identity == hostile


def test_each_event_keeps_the_identity_it_came_with_and_reports_go_by_the_newest(
    journal: SqliteJournal, path: Path
) -> None:
    old, new = identity(name="Old name"), identity(name="New name")

    def named(timestamp: int, who: Identity, *, late: bool) -> Append:
        item = append(timestamp, UP, late=late)
        return replace(item, record=replace(item.record, identity=who))

    journal.append([named(NOW, old, late=True), named(NOW + 9, new, late=False), named(NOW + 5, old, late=True)])
    assert [record.identity.device_name for _, record in journal.records_after(0)] == [
        "Old name",
        "New name",
        "Old name",
    ]
    with Reader(path) as reader:
        assert reader.device("d1").identity.device_name == "New name"


def test_a_second_exporter_on_the_same_file_is_refused(journal: SqliteJournal, path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"another exporter \(pid {os.getpid()}\) is using {path}"):
        SqliteJournal(path)


def test_a_file_that_is_no_database_is_refused_with_its_name(path: Path) -> None:
    path.write_bytes(b"this is not a database, but it is longer than a header of one hundred bytes" * 3)
    with pytest.raises((JournalUnavailable, sqlite3.DatabaseError), match="not a database"):
        SqliteJournal(path)


def test_a_database_of_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
    with pytest.raises(ConfigError, match="use the version that wrote it"):
        SqliteJournal(path)


FORMER_SCHEMAS = [(ROOT / f"tests/unit/schemas/{number}.sql").read_text() for number in range(1, 6)]
"""The migrations of programs that kept the features' tables among the journal's own, as they were."""


@pytest.mark.parametrize("version", range(len(FORMER_SCHEMAS) + 1))
def test_every_earlier_schema_is_migrated_and_keeps_its_events(path: Path, version: int) -> None:
    make_former(path, version)
    journal = SqliteJournal(path, PIECES)
    assert len(list(journal.records_after(0))) == (1 if version else 0)
    journal.append([append(NOW + 9, UP)])
    journal.close()


@pytest.mark.parametrize("version", range(len(FORMER_SCHEMAS) + 1))
def test_every_earlier_schema_ends_in_the_tables_that_a_new_journal_has(path: Path, version: int) -> None:
    make_former(path, version)
    new = path.with_name("new.db")
    for each in (path, new):
        SqliteJournal(each, PIECES).close()
    assert tables(path) == tables(new)
    with closing(sqlite3.connect(path)) as connection:
        versions = dict(connection.execute("SELECT name, version FROM piece"))
    assert versions == {piece.name: len(piece.migrations) for piece in PIECES}


def test_a_former_journal_keeps_what_its_features_knew(path: Path) -> None:
    make_former(path, len(FORMER_SCHEMAS))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO meta VALUES ('incidents_since', 1790000000.5), ('incidents_seq', 47)")
        connection.execute("INSERT INTO maintenance (created_at, spec) VALUES (1.0, '{}')")
    journal = SqliteJournal(path, PIECES)
    assert journal.transact(lambda rows: rows.rows("SELECT since, seq FROM incident_progress")) == [(1790000000.5, 47)]
    assert journal.transact(lambda rows: rows.rows("SELECT number, spec FROM maintenance")) == [(1, "{}")]
    assert journal.transact(lambda rows: rows.rows("SELECT key FROM meta WHERE key LIKE 'incidents%'")) == []
    journal.close()


def test_a_piece_of_a_newer_version_is_refused_and_one_that_nobody_names_is_left_alone(path: Path) -> None:
    migrations = ("CREATE TABLE toy (number {serial});", "CREATE TABLE box (lid {bytes});")
    SqliteJournal(path, [Piece("toys", migrations)]).close()
    SqliteJournal(path, PIECES).close()
    with pytest.raises(ConfigError, match="toys schema version 2, this program knows up to 1"):
        SqliteJournal(path, [Piece("toys", migrations[:1])])
    assert {"toy", "box"} <= {name for name, _ in tables(path)}


def make_former(path: Path, version: int) -> None:
    """Make the journal of a former schema version, with one event in it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for number, migration in enumerate(FORMER_SCHEMAS[:version], 1):
            connection.executescript(f"BEGIN; {migration} PRAGMA user_version = {number}; COMMIT;")
        if version:
            connection.execute("INSERT INTO identity VALUES (1, 'd1', 'n', 'wa', 'c', 'cn', 'b', 'bn', 'u', 'un')")
            connection.execute("INSERT INTO device (id, device_id, identity) VALUES (1, 'd1', 1)")
            connection.execute("INSERT INTO event VALUES (1, 1, 1790000000, 0, 1, 1790000000000, 0)")


def tables(path: Path) -> list[tuple[str, str]]:
    """Return (name, definition) of all tables and indexes."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
        return [(name, " ".join(sql.split())) for name, sql in rows]


def test_a_locked_database_is_unavailable_and_works_again_when_it_is_free(journal: SqliteJournal, path: Path) -> None:
    journal.append([append(NOW, UP)])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalUnavailable, match="locked"):
            journal.append([append(NOW + 1, DOWN)])
        other.execute("ROLLBACK")
    journal.append([append(NOW + 1, DOWN)])
    assert len(list(journal.records_after(0))) == 2


def test_nothing_is_acknowledged_into_a_file_that_was_removed_until_it_is_put_back(
    journal: SqliteJournal, path: Path
) -> None:
    journal.append([append(NOW, UP)])
    aside = path.with_name("aside.db")
    path.rename(aside)
    for at in (1, 2):
        with pytest.raises(JournalUnavailable, match="was removed or replaced"):
            journal.append([append(NOW + at, DOWN)])
    assert not path.exists()
    aside.rename(path)
    journal.append([append(NOW + 3, DOWN)])
    assert {NOW, NOW + 3} <= {record.timestamp for _, record in journal.records_after(0)}


def test_another_file_in_the_journals_place_is_not_written_to(journal: SqliteJournal, path: Path) -> None:
    journal.append([append(NOW, UP)])
    path.rename(path.with_name("aside.db"))
    path.touch()
    for _ in range(2):
        with pytest.raises(JournalUnavailable, match="was removed or replaced"):
            journal.append([append(NOW + 1, DOWN)])
    assert path.stat().st_size == 0


def test_an_append_that_fails_half_way_leaves_nothing_of_its_batch(journal: SqliteJournal, path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute(
            "CREATE TRIGGER full BEFORE INSERT ON event WHEN NEW.timestamp = 1790000002 "
            "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
    with pytest.raises(JournalUnavailable, match="full"):
        journal.append([append(NOW + 1, UP, "new1"), append(NOW + 2, UP, "new2")])
    with closing(sqlite3.connect(path)) as other:
        other.execute("DROP TRIGGER full")
    assert list(journal.records_after(0)) == []
    journal.append([append(NOW + 2, UP, "new2")])
    assert [seq for seq, _ in journal.records_after(0)] == [1]


def test_a_transaction_that_a_bug_ends_takes_no_later_append_with_it(journal: SqliteJournal, path: Path) -> None:
    journal.append([append(NOW, UP)])

    def buggy(_: object) -> None:
        raise KeyError("a bug in a feature")

    with pytest.raises(KeyError):
        journal.transact(buggy)
    journal.append([append(NOW + 1, DOWN)])
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT count(*) FROM event").fetchone() == (2,)


def test_the_files_are_for_their_owner_only(journal: SqliteJournal, path: Path) -> None:
    journal.append([append(NOW, UP)])
    files = [path, path.with_name("exporter.db-wal"), path.with_name("exporter.db-shm")]
    assert [oct(file.stat().st_mode & 0o777) for file in files] == ["0o600"] * 3


def test_quarantine_counts_the_same_body_and_keeps_a_bounded_number(journal: SqliteJournal, path: Path) -> None:
    for number in range(QUARANTINE_LIMIT + 5):
        journal.quarantine(NOW * 1000, "invalid_json", "bad", None, f"digest{number}")
    assert journal.quarantine(NOW * 1000, "invalid_json", "bad", b"{}", f"digest{QUARANTINE_LIMIT}") == QUARANTINE_LIMIT
    with Reader(path) as reader:
        found = reader.rejected()
    assert len(found) == QUARANTINE_LIMIT
    assert [entry.times for entry in found if entry.times != 1] == [2]


@pytest.mark.parametrize(
    ("gap", "blind"),
    [
        pytest.param(10, None, id="a usual heartbeat is no blindness"),
        pytest.param(90, None, id="as long as the sender retries nothing is lost"),
        pytest.param(91, Blind(NOW, NOW + 1), id="beyond it the rest is blind"),
        pytest.param(1000, Blind(NOW, NOW + 910), id="a long gap is blind but for the retry span at its end"),
    ],
)
def test_a_gap_between_heartbeats_is_blind(journal: SqliteJournal, gap: int, blind: Blind | None) -> None:
    assert journal.heartbeat(NOW * 1000, 0, 90_000) is None
    assert journal.heartbeat((NOW + gap) * 1000, 0, 90_000) == blind
    assert journal.blind_intervals() == ([blind] if blind else [])


def test_the_lease_never_shrinks(journal: SqliteJournal) -> None:
    journal.heartbeat(NOW * 1000, NOW * 1000 + 30_000, 90_000)
    journal.heartbeat(NOW * 1000 + 1, 0, 90_000)
    assert journal.exposed_until_ms() == NOW * 1000 + 30_000


class TestHistories:
    def test_a_forgotten_device_keeps_its_history_with_the_cut_as_its_end(
        self, journal: SqliteJournal, path: Path
    ) -> None:
        events = [append(NOW, UP), append(NOW + 10, DOWN), append(NOW + 30, CUT), append(NOW + 50, UP)]
        journal.append(events)
        with Reader(path) as reader:
            (history,) = reader.histories()
        assert history.observed == [(NOW, NOW + 30), (NOW + 50, None)]
        assert history.outages == [Outage(NOW + 10, NOW + 30)]

    def test_an_event_in_the_second_of_a_cut_is_part_of_what_is_cut(self, journal: SqliteJournal, path: Path) -> None:
        journal.append([append(NOW, UP), append(NOW + 30, DOWN), append(NOW + 30, CUT)])
        with Reader(path) as reader:
            (history,) = reader.histories()
        assert history.observed == [(NOW, NOW + 30)]
        assert history.outages == []

    def test_what_was_pruned_is_not_observed_any_more_but_its_last_state_is(
        self, journal: SqliteJournal, path: Path
    ) -> None:
        journal.append([append(NOW, UP), append(NOW + 10, DOWN), append(NOW + 20, UP), append(NOW + 90, DOWN)])
        _save_everything(journal)
        journal.prune(NOW + 50, 0)
        with Reader(path) as reader:
            (history,) = reader.histories()
        assert history.observed == [(NOW + 20, None)]
        assert history.outages == [Outage(NOW + 90, None)]

    def test_devices_without_events_left_are_still_there(self, journal: SqliteJournal, path: Path) -> None:
        journal.append([append(NOW - 100, DOWN), append(NOW, UP, "d2")])
        _save_everything(journal)
        assert journal.prune(NOW - 50, 0) is None
        with Reader(path) as reader:
            histories = {history.identity.device_id: history for history in reader.histories()}
            assert reader.device_count() == 2
        assert histories["d1"].outages == [Outage(NOW - 100, None)]
        assert histories["d2"].observed == [(NOW, None)]

    def test_a_journal_that_is_not_there_is_said_to_be_missing(self, tmp_path: Path) -> None:
        with pytest.raises(JournalUnavailable, match="no such journal"):
            open_reader(f"sqlite:///{tmp_path}/none.db")


class TestRetention:
    def test_pruned_events_leave_the_timeline_as_it_was(self, journal: SqliteJournal) -> None:
        events = [(NOW, UP), (NOW + 10, DOWN), (NOW + 20, UP), (NOW + 30, DOWN), (NOW + 50, UP)]
        journal.append([append(*event) for event in events])
        _save_everything(journal)
        journal.prune(NOW + 25, 0)
        history = journal.history("d1")
        assert sorted(history.events) == events[3:]
        assert fold(history.events, history.base) == fold(events)
        assert journal.pruned_before() == NOW + 25

    def test_events_that_no_checkpoint_covers_are_not_touched(self, journal: SqliteJournal) -> None:
        journal.append([append(NOW, UP)])
        journal.prune(NOW + 25, 0)
        assert journal.history("d1").events == [(NOW, UP)]

    def test_a_device_with_an_old_event_that_no_checkpoint_covers_is_left_as_it_is(
        self, journal: SqliteJournal
    ) -> None:
        journal.append([append(NOW + 10, UP), append(NOW + 10, UP, "d2")])
        _save_everything(journal, seq=2)
        journal.append([append(NOW, DOWN)])
        journal.prune(NOW + 25, 0)
        assert sorted(journal.history("d1").events) == [(NOW, DOWN), (NOW + 10, UP)]
        assert journal.history("d2").events == []

    def test_it_goes_on_from_where_it_stopped_until_all_devices_are_done(self, journal: SqliteJournal) -> None:
        journal.append([append(NOW, UP, f"d{number}") for number in range(450)])
        _save_everything(journal)
        device: int | None = 0
        rounds = 0
        while device is not None:
            device = journal.prune(NOW + 1, device)
            rounds += 1
        assert rounds == 3
        assert list(journal.records_after(0)) == []


@pytest.mark.parametrize(
    ("url", "path"),
    [("sqlite:///data/x.db", "data/x.db"), ("sqlite:////var/x.db", "/var/x.db")],
    ids=["relative", "absolute"],
)
def test_storage_urls_name_files(url: str, path: str) -> None:
    assert storage_path(url) == path


@pytest.mark.parametrize("url", ["", "sqlite:///", "postgres://x", "data/x.db"])
def test_other_storage_urls_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="expected sqlite:///PATH"):
        storage_path(url)


def _save_everything(journal: SqliteJournal, seq: int = 1_000_000) -> None:
    from exporter.domain.records import Checkpoint  # noqa: PLC0415

    journal.save(Checkpoint(seq, NOW * 1000, [], [], [], []))
