"""The part of a backup that belongs to Alertmanager and Grafana."""

import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from tests.tools import ROOT


def volumes(root, *arguments, stdin=None):
    command = [sys.executable, str(ROOT / "scripts/volumes.py"), *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, check=True, env={"VOLUMES_ROOT": str(root)}).stdout


@pytest.fixture
def root(tmp_path):
    (tmp_path / "old/alertmanager").mkdir(parents=True)
    (tmp_path / "old/grafana/plugins").mkdir(parents=True)
    (tmp_path / "new/alertmanager").mkdir(parents=True)
    (tmp_path / "new/grafana").mkdir(parents=True)
    (tmp_path / "old/alertmanager/silences").write_bytes(b"silence")
    (tmp_path / "old/grafana/plugins/one").write_bytes(b"plugin")
    (tmp_path / "new/grafana/stale").write_bytes(b"stale")
    return tmp_path


def rows(path):
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT name FROM dashboard").fetchall()


def test_what_is_packed_while_the_database_is_written_comes_back_whole(root):
    database = sqlite3.connect(root / "old/grafana/grafana.db")
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE dashboard (name TEXT)")
    database.execute("INSERT INTO dashboard VALUES ('saved')")
    database.commit()
    database.execute("INSERT INTO dashboard VALUES ('being written')")

    archive = volumes(root / "old", "pack")
    volumes(root / "new", "unpack", stdin=archive)
    database.close()

    assert rows(root / "new/grafana/grafana.db") == [("saved",)]
    assert (root / "new/alertmanager/silences").read_bytes() == b"silence"
    assert (root / "new/grafana/plugins/one").read_bytes() == b"plugin"


def test_a_volume_holds_nothing_but_the_backup_afterwards(root):
    (root / "old/grafana/grafana.ini").write_bytes(b"x")
    volumes(root / "new", "unpack", stdin=volumes(root / "old", "pack"))

    assert not (root / "new/grafana/stale").exists()


def test_a_backup_without_a_volume_leaves_that_volume_alone(root):
    (root / "old/grafana/plugins/one").unlink()
    volumes(root / "new", "unpack", stdin=volumes(root / "old", "pack"))

    assert (root / "new/grafana/stale").exists()
    assert (root / "new/alertmanager/silences").exists()
