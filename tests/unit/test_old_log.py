"""Data folders of the version that kept a log beside the database: all that it acknowledged is there, once."""

from __future__ import annotations

import json
import shutil
import tarfile
from typing import TYPE_CHECKING
from zlib import crc32

import msgspec
import pytest

from exporter.app.features import PIECES
from exporter.domain.timeline import Kind, fold
from exporter.errors import ConfigError
from exporter.journal.sqlite.journal import SqliteJournal
from tests.tools import ROOT
from tests.unit.journal_site import NOW, FakeClock, Site, append, event, identity, open_database

if TYPE_CHECKING:
    from pathlib import Path

KILLED = ROOT / "tests/unit/former/killed_with_a_log.tar.xz"
"""A folder whose exporter was killed under load, a third of its events in the log only, and what it acknowledged."""
SENDERS = 4


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    with tarfile.open(KILLED) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def acknowledged(folder: Path) -> set[tuple[str, int, Kind]]:
    found = json.loads((folder / "acknowledged.json").read_text())
    return {(f"device_{device}", timestamp, Kind(up)) for device, timestamp, up in found}


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def stored(path: Path) -> list[tuple[str, int, Kind]]:
    journal = SqliteJournal(path, FakeClock(), PIECES)
    await journal.start()
    records = await journal.tail(0, 10_000)
    await journal.stop()
    assert [number for number, _ in records] == sorted({number for number, _ in records})
    return [(record.identity.device_id, record.timestamp, record.kind) for _, record in records]


async def test_everything_that_a_killed_exporter_acknowledged_is_there_and_nothing_twice(killed: Path) -> None:
    told = acknowledged(killed)
    assert len(told) > 1000
    site = Site(killed)
    recorder = await site.start()
    assert await recorder.submit(event(NOW, up=True)) == "accepted"
    shown = {device_id: device.timeline for device_id, device in recorder.fleet.devices.items()}
    await recorder.stop()
    found = await stored(site.path)
    assert len(found) == len(set(found))
    assert told <= set(found)
    assert len(found) - len(told) <= 1 + SENDERS  # each may have had one on its way that was not answered any more
    by_device: dict[str, list[tuple[int, Kind]]] = {}
    for device_id, timestamp, kind in found:
        by_device.setdefault(device_id, []).append((timestamp, kind))
    assert shown == {device_id: fold(events) for device_id, events in by_device.items()}
    assert files(killed) == ["acknowledged.json", "exporter.db"]


async def test_a_death_in_the_middle_of_the_take_over_changes_nothing(killed: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    again.mkdir()
    logs = [killed / f"exporter.db-log-{name}" for name in ("a", "b")]
    for log in logs:
        shutil.copy(log, again / log.name)
    first = await stored(killed / "exporter.db")
    for log in logs:
        shutil.copy(again / log.name, log)  # all is in the database, and the files are not gone yet
    assert await stored(killed / "exporter.db") == first


def line(first: int, *timestamps: int) -> bytes:
    records = [[[identity(), timestamp, 1, 0, 0], False] for timestamp in timestamps]
    rest = b"%d %b" % (first + len(timestamps) - 1, msgspec.json.encode([first, records]))
    return b"%08x %b\n" % (crc32(rest), rest)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        pytest.param(line(1, NOW)[:-9], 0, id="torn off"),
        pytest.param(line(1, NOW).replace(b"Toko", b"Tako"), 0, id="damaged"),
        pytest.param(line(1, NOW) + b"\0garbage \n", 1, id="garbage behind"),
        pytest.param(line(2, NOW + 1) + line(1, NOW), 2, id="an older line behind a newer one"),
        pytest.param(line(1, NOW) + line(3, NOW + 3, NOW), 2, id="numbers missing, and an event again"),
        pytest.param(b"%08x %b\n" % (crc32(b"5 [5,[1]]"), b"5 [5,[1]]"), 0, id="a right checksum and wrong JSON"),
        pytest.param(bytes(5000), 0, id="never written"),
    ],
)
async def test_what_is_sound_in_a_log_is_taken_over(tmp_path: Path, text: bytes, left: int) -> None:
    path = tmp_path / "exporter.db"
    open_database(path).close()
    path.with_name("exporter.db-log-a").write_bytes(text)
    assert len(await stored(path)) == left
    assert not path.with_name("exporter.db-log-a").exists()


async def test_a_log_that_is_not_this_databases_is_refused_and_named(tmp_path: Path) -> None:
    path = tmp_path / "exporter.db"
    database = open_database(path)
    database.append([append(NOW + step, Kind.CONNECTED) for step in range(4)], 0)
    database.close()
    log = path.with_name("exporter.db-log-b")
    log.write_bytes(line(3, NOW + 7, NOW + 8, NOW + 9))  # as if records 3 and 4 were others
    with pytest.raises(ConfigError, match="do not belong together: delete exporter"):
        await stored(path)
    assert log.exists()
    log.unlink()
    assert len(await stored(path)) == 4
