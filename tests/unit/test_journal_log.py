"""The log in front of the journal: what a crash leaves of it, how its files take turns, what a failure takes back."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from exporter.domain.timeline import Kind
from exporter.errors import JournalUnavailable
from exporter.journal.sqlite import log as log_module
from exporter.journal.sqlite.database import SqliteJournal
from exporter.journal.sqlite.log import Log, last_number, paths, recover, take_over
from tests.unit.journal_site import NOW, append, identity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from exporter.domain.records import Append

DOWN, UP = Kind.DISCONNECTED, Kind.CONNECTED


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "exporter.db"
    path.touch()
    return path


@pytest.fixture
async def log(database: Path) -> AsyncIterator[Log]:
    opened = Log(database)
    yield opened
    opened.close()


async def write(log: Log, first: int, *batch: Append) -> None:
    """Append and wait until it is on disk; raises what kept it from there."""
    written: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(error: JournalUnavailable | None) -> None:
        if error is None:
            written.set_result(None)
        else:
            written.set_exception(error)

    log.append(batch, first, done)
    await written


def recovered(database: Path, after: int = 0) -> list[tuple[int, list[Append]]]:
    return [(batch.first, list(batch.records)) for batch in recover(database, after)]


def content(path: Path) -> bytes:
    return path.read_bytes().rstrip(b"\0")


async def test_what_was_written_is_recovered_as_it_was_given(log: Log, database: Path) -> None:
    hostile = identity(name="a\"b\\c\nd'; DROP TABLE event; -- é😀\u2028")
    odd = append(NOW + 1, Kind.PLANNED_END, late=True)
    odd = replace(odd, record=replace(odd.record, identity=hostile, exposed_ms=NOW * 1000 + 1))
    await write(log, 1, append(NOW, DOWN), odd)
    await write(log, 7, append(NOW + 2, UP, "d2"))
    assert recovered(database) == [(1, [append(NOW, DOWN), odd]), (7, [append(NOW + 2, UP, "d2")])]
    assert recovered(database, after=2) == [(7, [append(NOW + 2, UP, "d2")])]
    assert last_number(database) == 7


@pytest.mark.parametrize("cut", [2, 10, 100], ids=lambda cut: f"{cut} bytes short")
async def test_a_line_that_a_crash_tore_off_does_not_count(log: Log, database: Path, cut: int) -> None:
    await write(log, 1, append(NOW, DOWN))
    await write(log, 2, append(NOW + 1, UP))
    file = paths(database)[0]
    file.write_bytes(content(file)[:-cut])
    assert [first for first, _ in recovered(database)] == [1]
    assert last_number(database) == 1


@pytest.mark.parametrize(
    "garbage", [b"\0" * 5000, b"\0" * 10 + b"\n", b"00000000 9 [9,[]]\n", b"zz\n", b"\n", b"\xff\n"]
)
async def test_garbage_behind_the_last_line_does_not_count(log: Log, database: Path, garbage: bytes) -> None:
    await write(log, 1, append(NOW, DOWN))
    file = paths(database)[0]
    file.write_bytes(content(file) + garbage)
    assert [first for first, _ in recovered(database)] == [1]
    assert last_number(database) == 1


async def test_a_damaged_line_between_others_is_left_out_and_said_so(
    log: Log, database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2, 3):
        await write(log, number, append(NOW + number, DOWN))
    file = paths(database)[0]
    file.write_bytes(file.read_bytes().replace(b"1790000002000", b"1790000002001"))
    assert [first for first, _ in recovered(database)] == [1, 3]
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("ERROR", "a damaged line of the log is left out")
    ]


async def test_files_take_turns_and_are_written_again_when_the_journal_has_what_they_hold(
    log: Log, database: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(log_module, "TURN", 1000)
    sizes = [path.stat().st_size for path in paths(database)]
    for number in range(1, 9):
        await write(log, number, append(NOW + number, DOWN))
    assert all(map(content, paths(database)))
    log.taken_over(2)  # the first file still holds records that the journal lacks
    for number in range(9, 12):
        await write(log, number, append(NOW + number, DOWN))
    assert [first for first, _ in recovered(database)] == list(range(1, 12))
    log.taken_over(7)
    for number in range(12, 60):
        await write(log, number, append(NOW + number, DOWN, "d" * (number % 7)))
        assert [first for first, _ in recovered(database, after=number - 2)] == [number - 1, number]
        assert last_number(database) == number
        log.taken_over(number - 1)
    assert all(len(content(path)) < 3000 for path in paths(database))
    assert [path.stat().st_size for path in paths(database)] == sizes, "a flush has to write their sizes too"
    assert not caplog.records


async def test_while_the_other_file_is_not_empty_the_present_one_grows(
    log: Log, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "TURN", 1)
    for number in (1, 2, 3, 4):
        await write(log, number, append(NOW + number, DOWN))
    assert [len(content(path).splitlines()) for path in paths(database)] == [1, 3]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
async def test_nothing_is_kept_of_a_batch_that_could_not_be_flushed(log: Log, database: Path, code: int) -> None:
    await write(log, 1, append(NOW, DOWN))
    sync = log._syncer.sync
    log._syncer.sync = lambda index, done: sync(index, lambda _: done(OSError(code, os.strerror(code))))
    with pytest.raises(JournalUnavailable, match=os.strerror(code)):
        await write(log, 2, append(NOW + 1, UP))
    log._syncer.sync = sync
    assert [first for first, _ in recovered(database)] == [1]
    await write(log, 3, append(NOW + 2, UP))
    assert [first for first, _ in recovered(database)] == [1, 3]


async def test_what_could_not_be_taken_back_is_taken_back_before_anything_else_is_written(
    log: Log, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(log, 1, append(NOW, DOWN))
    sync, write_at = log._syncer.sync, os.pwrite

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "the disk is gone")

    monkeypatch.setattr(os, "pwrite", lambda file, data, at: write_at(file, data, at) if len(data) > 1 else fail())
    log._syncer.sync = fail
    for _ in range(2):
        with pytest.raises(JournalUnavailable, match="the disk is gone"):
            await write(log, 2, append(NOW + 1, UP))
    monkeypatch.setattr(os, "pwrite", write_at)
    log._syncer.sync = sync
    await write(log, 4, append(NOW + 2, UP))
    assert [first for first, _ in recovered(database)] == [1, 4]


async def test_a_write_that_the_system_takes_in_pieces_is_whole(
    log: Log, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_at = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, at: write_at(file, data[:7], at))
    await write(log, 1, append(NOW, DOWN), append(NOW + 1, UP))
    assert [len(batch) for _, batch in recovered(database)] == [2]


async def test_where_the_disk_has_no_room_to_spare_the_files_grow_as_needed(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_at = os.pwrite

    def full(file: int, data: bytes, at: int) -> int:
        if not any(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write_at(file, data, at)

    monkeypatch.setattr(os, "pwrite", full)
    log = Log(database)
    for number in (1, 2):
        await write(log, number, append(NOW + number, DOWN))
    assert [first for first, _ in recovered(database)] == [1, 2]
    log.close()


async def test_the_files_are_for_their_owner_only_and_empty_after_a_clean_end(database: Path) -> None:
    log = Log(database)
    await write(log, 1, append(NOW, DOWN))
    assert [oct(path.stat().st_mode & 0o777) for path in paths(database)] == ["0o600"] * 2
    log.close(empty=True)
    assert [path.stat().st_size for path in paths(database)] == [0, 0]


async def test_a_place_that_takes_no_files_is_said_to_be_unavailable(tmp_path: Path) -> None:
    with pytest.raises(JournalUnavailable, match="cannot be opened"):
        Log(tmp_path / "nowhere" / "exporter.db")


def test_what_the_journal_has_already_is_not_taken_over_again(tmp_path: Path) -> None:
    database = tmp_path / "exporter.db"
    journal = SqliteJournal(database)
    batches = [log_module.Batch(number, [append(NOW + number, DOWN)]) for number in (1, 2, 3)]
    for _ in range(2):
        take_over(journal, batches)
    assert [seq for seq, _ in journal.records_after(0)] == [1, 2, 3]
    journal.close()
