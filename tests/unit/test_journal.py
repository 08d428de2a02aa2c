"""The SQLite journal by itself: what it keeps, what it refuses, how it heals."""

from __future__ import annotations

import os
import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from exporter.app.features import PIECES
from exporter.domain.records import Blind, Checkpoint, SavedDevice, SavedGroup
from exporter.domain.timeline import Kind, Outage, fold
from exporter.errors import ConfigError, JournalUnavailable
from exporter.journal.port import Piece
from exporter.journal.sqlite import saved, schema
from exporter.journal.sqlite.database import QUARANTINE_LIMIT, Database
from exporter.journal.sqlite.reader import SqliteReader
from exporter.journal.sqlite.storage import file
from exporter.journal.storage import check, open_reader
from tests.tools import ROOT
from tests.unit.journal_site import NOW, FakeClock, append, identity, open_database

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path


DOWN, UP, CUT = Kind.DISCONNECTED, Kind.CONNECTED, Kind.FORGOTTEN


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "exporter.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Database]:
    opened = open_database(path)
    yield opened
    opened.close()


def test_what_was_appended_is_read_back_in_order_of_arrival_after_a_reopen(path: Path) -> None:
    journal = open_database(path)
    first = [append(NOW + 10, UP), append(NOW, DOWN, "d2")]
    journal.append(first, 0)
    journal.append([append(NOW + 5, DOWN)], 2)
    journal.close()
    again = open_database(path)
    records = again.tail(0, -1)
    again.close()
    assert [seq for seq, _ in records] == [1, 2, 3]
    assert [(record.identity, record.timestamp, record.kind) for _, record in records] == [
        (one.identity, one.timestamp, one.kind) for one in [*first, append(NOW + 5, DOWN)]
    ]


def test_a_number_that_another_program_gave_to_its_own_event_stops_this_writer(journal: Database, path: Path) -> None:
    journal.append([append(NOW, UP)], 0)
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("INSERT INTO event VALUES (2, 1, 5, 0, 1, 0, 0)")
    for _ in range(2):
        with pytest.raises(JournalUnavailable, match="another program writes events into it"):
            journal.append([append(NOW + 1, DOWN)], 1)
    assert "another program" in journal.stopped
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT seq, timestamp FROM event ORDER BY seq").fetchall() == [(1, NOW), (2, 5)]


@pytest.mark.parametrize("sizes", [(1, 1), (7, 40)], ids=["single rows", "more rows than one statement once took"])
def test_batches_of_any_size_are_kept_whole(journal: Database, sizes: tuple[int, int]) -> None:
    for number, size in enumerate(sizes):
        journal.append([append(NOW + number * 1000 + step, UP, f"d{step}") for step in range(size)], 0)
    assert len(journal.tail(0, -1)) == sum(sizes)


def test_hostile_names_come_back_as_they_went_in(journal: Database, path: Path) -> None:
    hostile = identity(name="a\"b\\c\nd'; DROP TABLE event; -- é😀")
    journal.append([replace(append(NOW, UP), identity=hostile)], 0)
    assert journal.tail(0, -1)[0][1].identity == hostile
    with SqliteReader(path) as reader:
        assert reader.device("d1").identity == hostile


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
def test_each_event_keeps_the_identity_it_came_with_and_reports_go_by_the_newest(
    journal: Database, path: Path, together: bool
) -> None:
    events = [
        append(NOW, UP, name="Old name"),
        append(NOW + 9, UP, name="New name"),
        append(NOW + 5, UP, name="Old name"),
        append(NOW + 6, UP, name="A third name"),
    ]
    for batch in [events] if together else [[event] for event in events]:
        journal.append(batch, 0)
    names = [record.identity.device_name for _, record in journal.tail(0, -1)]
    assert names == ["Old name", "New name", "Old name", "A third name"]
    with SqliteReader(path) as reader:
        assert reader.device("d1").identity.device_name == "New name"
    assert [identity.device_name for identity in journal.load().identities] == ["New name"]


def test_a_second_exporter_on_the_same_file_is_refused(journal: Database, path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"another exporter \(pid {os.getpid()}\) is using {path}"):
        open_database(path)


def test_a_file_that_is_no_database_is_refused_with_its_name(path: Path) -> None:
    path.write_bytes(b"this is not a database, but it is longer than a header of one hundred bytes" * 3)
    with pytest.raises(JournalUnavailable, match="not a database"):
        open_database(path)


def test_a_database_of_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
    with pytest.raises(ConfigError, match="use the version that wrote it"):
        open_database(path)


FORMER_SCHEMAS = [(ROOT / f"tests/unit/schemas/{number}.sql").read_text() for number in range(1, 7)]
"""The migrations of programs that kept the features' tables among the journal's own, as they were."""


@pytest.mark.parametrize("version", range(len(FORMER_SCHEMAS) + 1))
def test_every_earlier_schema_is_migrated_and_keeps_its_events(path: Path, version: int) -> None:
    make_former(path, version)
    journal = open_database(path, PIECES)
    assert len(journal.tail(0, -1)) == (1 if version else 0)
    journal.append([append(NOW + 9, UP)], 0)
    journal.close()


@pytest.mark.parametrize("version", range(len(FORMER_SCHEMAS) + 1))
def test_every_earlier_schema_ends_in_the_tables_that_a_new_journal_has(path: Path, version: int) -> None:
    make_former(path, version)
    new = path.with_name("new.db")
    for each in (path, new):
        open_database(each, PIECES).close()
    assert tables(path) == tables(new)
    with closing(sqlite3.connect(path)) as connection:
        versions = dict(connection.execute("SELECT name, version FROM piece"))
    assert versions == {piece.name: len(piece.migrations) for piece in PIECES}


def test_a_former_journal_keeps_what_its_features_knew(path: Path) -> None:
    make_former(path, 5)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO meta VALUES ('incidents_since', 1790000000.5), ('incidents_seq', 47)")
        connection.execute("INSERT INTO maintenance (created_at, spec) VALUES (1.0, '{}')")
    journal = open_database(path, PIECES)
    assert journal.transact(lambda rows: rows.rows("SELECT since, seq FROM incident_progress")) == [(1790000000.5, 47)]
    assert journal.transact(lambda rows: rows.rows("SELECT number, spec FROM maintenance")) == [(1, "{}")]
    assert journal.transact(lambda rows: rows.rows("SELECT key FROM meta WHERE key LIKE 'incidents%'")) == []
    journal.close()


def test_a_piece_of_a_newer_version_is_refused_and_one_that_nobody_names_is_left_alone(path: Path) -> None:
    migrations = ("CREATE TABLE toy (number {serial});", "CREATE TABLE box (lid {bytes});")
    open_database(path, [Piece("toys", migrations)]).close()
    open_database(path, PIECES).close()
    with pytest.raises(ConfigError, match="toys schema version 2, this program knows up to 1"):
        open_database(path, [Piece("toys", migrations[:1])])
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


def test_a_locked_database_is_unavailable_and_works_again_when_it_is_free(journal: Database, path: Path) -> None:
    journal.append([append(NOW, UP)], 0)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalUnavailable, match="locked"):
            journal.append([append(NOW + 1, DOWN)], 0)
        other.execute("ROLLBACK")
    journal.append([append(NOW + 1, DOWN)], 0)
    assert len(journal.tail(0, -1)) == 2


def test_nothing_is_acknowledged_into_a_file_that_was_removed_until_it_is_put_back(
    journal: Database, path: Path
) -> None:
    journal.append([append(NOW, UP)], 0)
    aside = path.with_name("aside.db")
    path.rename(aside)
    for at in (1, 2):
        with pytest.raises(JournalUnavailable, match="was removed or replaced"):
            journal.append([append(NOW + at, DOWN)], 0)
    assert not path.exists()
    aside.rename(path)
    journal.append([append(NOW + 3, DOWN)], 0)
    assert {NOW, NOW + 3} <= {record.timestamp for _, record in journal.tail(0, -1)}


def test_another_file_in_the_journals_place_is_not_written_to(journal: Database, path: Path) -> None:
    journal.append([append(NOW, UP)], 0)
    path.rename(path.with_name("aside.db"))
    path.touch()
    for _ in range(2):
        with pytest.raises(JournalUnavailable, match="was removed or replaced"):
            journal.append([append(NOW + 1, DOWN)], 0)
    assert path.stat().st_size == 0


def test_an_append_that_fails_half_way_leaves_nothing_of_its_batch(journal: Database, path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute(
            "CREATE TRIGGER full BEFORE INSERT ON event WHEN NEW.timestamp = 1790000002 "
            "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
    with pytest.raises(JournalUnavailable, match="full"):
        journal.append([append(NOW + 1, UP, "new1"), append(NOW + 2, UP, "new2")], 0)
    with closing(sqlite3.connect(path)) as other:
        other.execute("DROP TRIGGER full")
    assert journal.tail(0, -1) == []
    journal.append([append(NOW + 2, UP, "new2")], 0)
    assert [seq for seq, _ in journal.tail(0, -1)] == [1]


def test_a_transaction_that_a_bug_ends_takes_no_later_append_with_it(journal: Database, path: Path) -> None:
    journal.append([append(NOW, UP)], 0)

    def buggy(_: object) -> None:
        raise KeyError("a bug in a feature")

    with pytest.raises(KeyError):
        journal.transact(buggy)
    journal.append([append(NOW + 1, DOWN)], 0)
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT count(*) FROM event").fetchone() == (2,)


def test_the_files_are_for_their_owner_only(journal: Database, path: Path) -> None:
    journal.append([append(NOW, UP)], 0)
    files = [path, path.with_name("exporter.db-wal"), path.with_name("exporter.db-shm")]
    assert [oct(file.stat().st_mode & 0o777) for file in files] == ["0o600"] * 3


def test_quarantine_counts_the_same_body_and_keeps_a_bounded_number(journal: Database, path: Path) -> None:
    for number in range(QUARANTINE_LIMIT + 5):
        journal.quarantine("invalid_json", "bad", None, f"digest{number}")
    assert journal.quarantine("invalid_json", "bad", b"{}", f"digest{QUARANTINE_LIMIT}") == QUARANTINE_LIMIT
    with SqliteReader(path) as reader:
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
def test_a_gap_between_heartbeats_is_blind(path: Path, gap: int, blind: Blind | None) -> None:
    clock = FakeClock()
    journal = Database(path, clock)
    assert journal.heartbeat(90_000) is None
    clock.now += gap
    assert journal.heartbeat(90_000) == blind
    loaded = journal.load()
    assert loaded.blind == ([blind] if blind else [])
    assert loaded.heard_ms == clock.now * 1000
    journal.close()


class TestHistories:
    def test_a_forgotten_device_keeps_its_history_with_the_cut_as_its_end(self, journal: Database, path: Path) -> None:
        events = [append(NOW, UP), append(NOW + 10, DOWN), append(NOW + 30, CUT), append(NOW + 50, UP)]
        journal.append(events, 0)
        with SqliteReader(path) as reader:
            (history,) = reader.histories()
        assert history.observed == [(NOW, NOW + 30), (NOW + 50, None)]
        assert history.outages == [Outage(NOW + 10, NOW + 30)]

    def test_an_event_in_the_second_of_a_cut_is_part_of_what_is_cut(self, journal: Database, path: Path) -> None:
        journal.append([append(NOW, UP), append(NOW + 30, DOWN), append(NOW + 30, CUT)], 0)
        with SqliteReader(path) as reader:
            (history,) = reader.histories()
        assert history.observed == [(NOW, NOW + 30)]
        assert history.outages == []

    def test_what_was_pruned_is_not_observed_any_more_but_its_last_state_is(
        self, journal: Database, path: Path
    ) -> None:
        journal.append([append(NOW, UP), append(NOW + 10, DOWN), append(NOW + 20, UP), append(NOW + 90, DOWN)], 0)
        _save_everything(journal)
        journal.prune(NOW + 50, 0)
        with SqliteReader(path) as reader:
            (history,) = reader.histories()
        assert history.observed == [(NOW + 20, None)]
        assert history.outages == [Outage(NOW + 90, None)]

    def test_devices_without_events_left_are_still_there(self, journal: Database, path: Path) -> None:
        journal.append([append(NOW - 100, DOWN), append(NOW, UP, "d2")], 0)
        _save_everything(journal)
        assert journal.prune(NOW - 50, 0) is None
        with SqliteReader(path) as reader:
            histories = {history.identity.device_id: history for history in reader.histories()}
            assert reader.device_count() == 2
        assert histories["d1"].outages == [Outage(NOW - 100, None)]
        assert histories["d2"].observed == [(NOW, None)]

    def test_a_journal_that_is_not_there_is_said_to_be_missing(self, tmp_path: Path) -> None:
        with pytest.raises(JournalUnavailable, match="no such journal"):
            open_reader(f"sqlite:///{tmp_path}/none.db")


class TestCheckpoints:
    def test_a_checkpoint_that_was_cut_off_anywhere_counts_whole_or_not_at_all(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(saved, "SLICE", 2)
        journal = open_database(path)
        journal.append([append(NOW + number, UP, f"d{number}") for number in range(6)], 0)
        former, newer = checkpoint(6, 1, range(6)), checkpoint(7, 2, range(1, 5), forgotten=["d5"])
        merged = {"d0": 1} | dict.fromkeys(("d1", "d2", "d3", "d4"), 2)
        for cut in range(len(list(saved.steps(newer))) + 1):
            save(journal, former)
            for step in list(saved.steps(newer))[:cut]:
                journal.save(step)
            journal.close()
            journal = open_database(path)
            found = journal.load().checkpoint
            assert found is not None
            whole = found.seq == newer.seq
            assert whole == (cut >= 6), "order, three pieces of devices, one of groups, and what makes them present"
            wanted = merged if whole else dict.fromkeys((f"d{number}" for number in range(6)), 1)
            assert {one.identity.device_id: one.outages for one in found.devices} == wanted
            assert [one.outages for one in found.groups] == [2 if whole else 1]
        save(journal, newer)
        journal.close()
        with open_reader(f"sqlite:///{path}") as reader:
            assert reader.rows("SELECT count(*), count(DISTINCT device) FROM saved_device") == [(5, 5)]
            assert reader.rows("SELECT count(*) FROM saved_group") == [(1,)]

    def test_devices_are_written_in_the_order_of_their_table(self, path: Path) -> None:
        journal = open_database(path)
        journal.append([append(NOW + number, UP, f"d{number}") for number in range(1000)], 0)
        written: list[int] = []
        mixed = random.Random(7).sample(range(1000), 1000)
        for step in saved.steps(checkpoint(1000, 1, mixed)):
            journal.save(step)
            with open_reader(f"sqlite:///{path}") as reader:
                written.append(reader.rows("SELECT COALESCE(max(device), 0) FROM saved_device")[0][0])
        assert written[:6] == [0, *range(saved.SLICE, 1001, saved.SLICE)]
        journal.close()


def checkpoint(seq: int, outages: int, devices: Iterable[int], forgotten: Sequence[str] = ()) -> Checkpoint:
    saved_devices = [
        SavedDevice(identity(f"d{number}"), NOW, NOW, NOW, True, NOW, outages, 0, 0.0, NOW, 0.0, 0)
        for number in devices
    ]
    group = SavedGroup("wa", "b1", 0, 0, outages, 0, 0, 0, 0, 0, 0)
    return Checkpoint(seq, NOW * 1000, saved_devices, list(forgotten), [group], [])


def save(journal: Database, whole: Checkpoint) -> None:
    for step in saved.steps(whole):
        journal.save(step)


class TestRetention:
    def test_pruned_events_leave_the_timeline_as_it_was(self, journal: Database) -> None:
        events = [(NOW, UP), (NOW + 10, DOWN), (NOW + 20, UP), (NOW + 30, DOWN), (NOW + 50, UP)]
        journal.append([append(*event) for event in events], 0)
        _save_everything(journal)
        journal.prune(NOW + 25, 0)
        history = journal.histories(["d1"], 1_000_000)["d1"]
        assert sorted(history.events) == events[3:]
        assert fold(history.events, history.base) == fold(events)
        assert journal.load().pruned_before == NOW + 25

    def test_events_that_no_checkpoint_covers_are_not_touched(self, journal: Database) -> None:
        journal.append([append(NOW, UP)], 0)
        journal.prune(NOW + 25, 0)
        assert journal.histories(["d1"], 1_000_000)["d1"].events == [(NOW, UP)]

    def test_a_device_with_an_old_event_that_no_checkpoint_covers_is_left_as_it_is(self, journal: Database) -> None:
        journal.append([append(NOW + 10, UP), append(NOW + 10, UP, "d2")], 0)
        _save_everything(journal, seq=2)
        journal.append([append(NOW, DOWN)], 0)
        journal.prune(NOW + 25, 0)
        assert sorted(journal.histories(["d1"], 1_000_000)["d1"].events) == [(NOW, DOWN), (NOW + 10, UP)]
        assert journal.histories(["d2"], 1_000_000)["d2"].events == []

    def test_it_goes_on_from_where_it_stopped_until_all_devices_are_done(self, journal: Database) -> None:
        journal.append([append(NOW, UP, f"d{number}") for number in range(450)], 0)
        _save_everything(journal)
        device: int | None = 0
        rounds = 0
        while device is not None:
            device = journal.prune(NOW + 1, device)
            rounds += 1
        assert rounds == 3
        assert journal.tail(0, -1) == []


@pytest.mark.parametrize(
    ("url", "path"),
    [("sqlite:///data/x.db", "data/x.db"), ("sqlite:////var/x.db", "/var/x.db")],
    ids=["relative", "absolute"],
)
def test_storage_urls_name_files(url: str, path: str) -> None:
    assert str(file(url)) == path


@pytest.mark.parametrize("url", ["", "sqlite:///", "mysql://x", "data/x.db", "sqlite://x.db"])
def test_other_storage_urls_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="expected sqlite:///path"):
        check(url)


def _save_everything(journal: Database, seq: int = 1_000_000) -> None:
    save(journal, Checkpoint(seq, NOW * 1000, [], [], [], []))
