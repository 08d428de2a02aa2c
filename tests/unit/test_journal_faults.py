"""What must last, on a machine that is not well: a second writer, files that are not ours, damage, disks that hang."""

from __future__ import annotations

import asyncio
import fcntl
import random
import sqlite3
import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from exporter.errors import ConfigError, JournalDamaged, JournalUnavailable
from exporter.journal.sqlite.database import Database
from exporter.journal.sqlite.journal import SqliteJournal
from exporter.journal.sqlite.lock import Lock
from exporter.journal.storage import open_reader
from exporter.metrics.own import SelfMetrics
from exporter.recording.recorder import Recorder
from tests.unit.journal_site import NOW, FakeClock, Site, append, event, open_database, picture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

from exporter.domain.timeline import Kind

UP, DOWN = Kind.CONNECTED, Kind.DISCONNECTED


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "exporter.db"


# -- a second writer --------------------------------------------------------------------------------------------------


def symbolic(path: Path, other: Path) -> None:
    other.symlink_to(path)


def hard(path: Path, other: Path) -> None:
    other.hardlink_to(path)


def without_lock_files(path: Path, other: Path) -> None:
    for file in path.parent.iterdir():
        if "lock" in file.name or "writer" in file.name:
            file.unlink()
    other.symlink_to(path)


@pytest.mark.parametrize("link", [symbolic, hard, without_lock_files])
def test_a_second_writer_is_refused_whatever_name_it_uses(path: Path, link: Callable[[Path, Path], None]) -> None:
    database = open_database(path)
    other = path.parent / "elsewhere" / "other.db"
    other.parent.mkdir()
    link(path, other)
    with pytest.raises(ConfigError, match=r"another exporter .* is using"):
        open_database(other)
    database.append([append(NOW, UP)], 0)
    database.close()
    open_database(other).close()


def test_where_locks_are_not_apart_a_file_beside_the_database_is_locked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.journal.sqlite.lock._LOCKS_APART", False)
    first = Lock(path)
    other = path.parent / "other.db"
    symbolic(path, other)
    with pytest.raises(ConfigError, match=r"another exporter .* is using"):
        Lock(other)
    assert path.with_name("exporter.db.writer").exists()
    first.release()
    Lock(path).release()


def test_a_folder_in_the_place_of_the_database_is_unavailable_with_the_systems_word(tmp_path: Path) -> None:
    with pytest.raises(JournalUnavailable, match="Is a directory"):
        Lock(tmp_path)


def test_a_former_version_that_still_runs_is_noticed_by_its_lock(path: Path) -> None:
    open_database(path).close()
    beside = path.with_name("exporter.db.lock")
    with beside.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match=r"another exporter .* is using"):
            open_database(path)
    open_database(path).close()
    assert not beside.exists()


# -- files that do not belong together --------------------------------------------------------------------------------


async def test_a_gap_in_the_numbers_is_an_error_and_no_fleet_without_the_missing_events(path: Path) -> None:
    database = open_database(path)
    database.append([append(NOW + step, UP, f"d{step}") for step in range(5)], 0)
    database.close()
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("DELETE FROM event WHERE seq = 3")
    recorder = Recorder(SqliteJournal(path, FakeClock()), FakeClock(), SelfMetrics(CollectorRegistry()))
    with pytest.raises(JournalDamaged, match="after record 2 of the journal comes 4"):
        await recorder.start()
    await recorder.end()


# -- damage -----------------------------------------------------------------------------------------------------------


def overwrite(file: Path) -> None:
    """Leave of a file only its first page."""
    content = file.read_bytes()
    file.write_bytes(content[:4096] + random.Random(1).randbytes(len(content) - 4096))


async def test_after_corruption_the_exporter_is_unhealthy_and_says_why(tmp_path: Path) -> None:
    site = Site(tmp_path)
    recorder = await site.start()
    await recorder.submit(event(NOW, up=True))
    assert recorder.healthy
    await site.kill()
    overwrite(site.path)
    recorder = Recorder(SqliteJournal(site.path, site.clock), site.clock, SelfMetrics(CollectorRegistry()))
    with pytest.raises(JournalDamaged, match="put the newest backup in its place"):
        await recorder.start()
    await recorder.end()


async def test_damage_that_shows_while_it_runs_stops_it_for_good(tmp_path: Path) -> None:
    site = Site(tmp_path)
    recorder = await site.start()
    await recorder.submit(event(NOW, up=True))

    def damage(_: object) -> None:
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    with pytest.raises(JournalDamaged, match="put the newest backup in its place"):
        await recorder.transact("incidents", damage)
    with pytest.raises(JournalUnavailable, match="malformed"):
        await recorder.submit(event(NOW + 1, up=False))
    assert not recorder.healthy
    assert "put the newest backup in its place" in recorder.trouble
    assert site.sample("journal_failures_total", operation="append") == 1
    await recorder.stop()


# -- a disk that hangs, a database that is locked, a disk that is full ------------------------------------------------


async def test_a_disk_that_does_not_answer_means_503_soon_and_recovers_with_nothing_lost_or_twice(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path)
    recorder = await site.start()
    await recorder.submit(event(NOW, up=True))
    site.journal.patience = 0.2
    answers_again = threading.Event()
    hanging = asyncio.ensure_future(recorder.transact("incidents", lambda _: answers_again.wait(30) and None))
    for step in (1, 2, 3):
        with pytest.raises(JournalUnavailable, match="does not answer"):
            async with asyncio.timeout(5):
                await recorder.submit(event(NOW + step, up=False))
    assert not recorder.healthy
    assert recorder.trouble == "the disk does not answer"
    assert recorder.oldest_wait > 0.2
    async with asyncio.timeout(5), recorder.exposing():
        pass  # the metrics are not silenced
    answers_again.set()
    with suppress(JournalUnavailable):
        await hanging
    site.journal.patience = 5.0
    assert await recorder.submit(event(NOW + 10, up=True)) == "accepted"
    assert recorder.healthy
    before = picture(recorder)
    await site.kill()
    recorder = await site.start()
    assert picture(recorder) == before
    assert recorder.applied == len(await site.journal.tail(0))
    await recorder.stop()


async def test_a_stop_ends_although_the_disk_hangs(tmp_path: Path) -> None:
    site = Site(tmp_path)
    recorder = await site.start()
    site.journal.patience = 0.2
    for_ever = threading.Event()
    hanging = asyncio.ensure_future(recorder.transact("incidents", lambda _: for_ever.wait(30) and None))
    waiting = asyncio.ensure_future(recorder.submit(event(NOW, up=True)))
    await asyncio.sleep(0)
    async with asyncio.timeout(15):
        await recorder.stop()
    for_ever.set()
    results = await asyncio.gather(hanging, waiting, return_exceptions=True)
    assert [type(result) for result in results] == [JournalUnavailable] * 2


async def test_while_another_program_holds_the_lock_everybody_is_told_soon_and_then_all_is_well(tmp_path: Path) -> None:
    site = Site(tmp_path)
    recorder = await site.start()
    await recorder.submit(event(NOW, up=True))
    with closing(sqlite3.connect(site.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for step, device_id in ((1, "d1"), (2, "new"), (3, "d1")):
            with pytest.raises(JournalUnavailable, match="locked"):
                async with asyncio.timeout(5):
                    await recorder.submit(event(NOW + step, up=False, device_id=device_id))
        assert (await recorder.read(lambda reader: reader.device_count())) == 1
        other.execute("ROLLBACK")
    for step, device_id in ((1, "d1"), (2, "new")):
        assert await recorder.submit(event(NOW + step, up=False, device_id=device_id)) == "accepted"
    await recorder.stop()


def test_a_database_that_was_closed_properly_is_not_looked_through(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_database(path).close()
    monkeypatch.setattr("exporter.journal.sqlite.damage.sqlite3", None)
    Database(path, FakeClock()).close()


def test_a_reader_says_what_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("no database at all" * 100)
    with pytest.raises(JournalUnavailable, match=r"notes\.db: file is not a database"):
        open_reader(f"sqlite:///{tmp_path}/notes.db")
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE toy (name)")
    with open_reader(f"sqlite:///{tmp_path}/other.db") as reader:
        questions = (reader.device_count, reader.blind_intervals, reader.rejected, lambda: list(reader.histories()))
        for question in questions:
            with pytest.raises(JournalUnavailable, match="no such table"):
                question()
