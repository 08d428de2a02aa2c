"""The backup of a journal that is being written to."""

import sqlite3
import stat
import threading
from contextlib import closing

import pytest

from exporter.journal.sqlite.backup import BackupFailed, backup


@pytest.fixture
def journal(tmp_path):
    db = tmp_path / "exporter.db"
    with closing(sqlite3.connect(db, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE event (n INTEGER PRIMARY KEY)")
        yield db


def rows(db):
    with closing(sqlite3.connect(f"{db.as_uri()}?mode=ro", uri=True)) as connection:
        return [n for (n,) in connection.execute("SELECT n FROM event ORDER BY n")]


def write_until(db, stop, written):
    with closing(sqlite3.connect(db, isolation_level=None)) as connection:
        while not stop.is_set():
            connection.execute("INSERT INTO event VALUES (?)", (len(written),))
            written.append(len(written))


def test_a_backup_under_load_holds_everything_committed_before_it_and_no_gap(journal, tmp_path):
    stop, written, target = threading.Event(), [], tmp_path / "copy.db"
    writer = threading.Thread(target=write_until, args=(journal, stop, written))
    writer.start()
    try:
        while len(written) < 50:
            stop.wait(0.001)
        committed = len(written)
        backup(journal, target)
    finally:
        stop.set()
        writer.join()

    copied = rows(target)

    assert len(copied) >= committed
    assert copied == list(range(len(copied)))


def test_a_backup_is_one_private_file_that_needs_no_log_beside_it(journal, tmp_path):
    target = tmp_path / "copies" / "copy.db"
    target.parent.mkdir()

    size = backup(journal, target)

    assert [path.name for path in target.parent.iterdir()] == ["copy.db"]
    assert size == target.stat().st_size > 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_a_stopped_journal_is_backed_up_too(tmp_path):
    db, target = tmp_path / "exporter.db", tmp_path / "copy.db"
    with closing(sqlite3.connect(db, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE event (n INTEGER PRIMARY KEY)")
        connection.execute("INSERT INTO event VALUES (7)")

    backup(db, target)

    assert rows(target) == [7]


def test_an_existing_target_is_never_overwritten(journal, tmp_path):
    target = tmp_path / "copy.db"
    target.write_text("precious")

    with pytest.raises(BackupFailed, match="exists already"):
        backup(journal, target)

    assert target.read_text() == "precious"


def test_a_missing_journal_is_an_error_and_makes_no_file(tmp_path):
    with pytest.raises(BackupFailed, match="no journal there"):
        backup(tmp_path / "exporter.db", tmp_path / "copy.db")

    assert list(tmp_path.iterdir()) == []


def test_a_failed_copy_leaves_nothing_behind(tmp_path):
    db = tmp_path / "exporter.db"
    db.write_bytes(b"this is not a database" * 100)

    with pytest.raises(BackupFailed, match="not a database"):
        backup(db, tmp_path / "copy.db")

    assert [path.name for path in tmp_path.iterdir()] == ["exporter.db"]
