"""Files of a journal that do not belong together, and bits that flipped: nothing of it is taken for the truth."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import pytest
from prometheus_client import CollectorRegistry

from exporter.domain.identity import Identity
from exporter.domain.timeline import Kind
from exporter.errors import ConfigError, JournalDamaged, JournalUnavailable
from exporter.journal.sqlite import damage, wal
from exporter.journal.sqlite.backup import BackupFailed, backup
from exporter.journal.sqlite.journal import SqliteJournal
from exporter.journal.sqlite.reader import SqliteReader
from exporter.metrics.own import SelfMetrics
from exporter.recording.recorder import Recorder
from tests.unit.journal_site import NOW, FakeClock, Site, append, event, open_database

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.journal.port import Numbered

NAME = "exporter.db"


async def live(site: Site, recorder: Recorder, events: int) -> None:
    """Let a fleet of twenty devices have so many events, a second apart, each one acknowledged."""
    for number in range(events):
        site.clock.now += 1
        up = number % 3 > 0
        await recorder.submit(event(int(site.clock.now), up=up, device_id=f"d{number % 20}", business=f"b{number % 4}"))
        if not number % 15:
            await recorder.heartbeat()


def site_in(folder: Path) -> Site:
    folder.mkdir()
    return Site(folder)


def copied(source: Path, target: Path) -> Path:
    """Copy a journal's files as a kill leaves them."""
    target.mkdir()
    for file in source.glob(f"{NAME}*"):
        if not file.name.endswith("-shm"):
            shutil.copyfile(file, target / file.name)
    return target


async def killed(folder: Path, target: Path, events: int = 150) -> tuple[Path, list[Numbered]]:
    """Run an exporter, save its state in the middle, and kill it; return what it left, and what it had acknowledged."""
    site = site_in(folder)
    recorder = await site.start()
    await live(site, recorder, events // 2)
    await recorder.save_checkpoint()
    await live(site, recorder, events // 2)
    truth = await site.journal.tail(0, -1)
    copied(folder, target)
    await recorder.stop()
    return target, truth


class Outcome(NamedTuple):
    """What a start made of a journal: its events, and why it was refused or what was said of it, if anything."""

    events: list[Numbered] | None
    told: str


async def start(folder: Path) -> Outcome:
    """Start an exporter on a journal and let it look through it. Anything but an error with a sentence is raised."""
    clock, metrics = FakeClock(NOW + 1000), SelfMetrics(CollectorRegistry())
    journal = SqliteJournal(folder / NAME, clock)
    recorder = Recorder(journal, clock, metrics)
    try:
        await recorder.start()
        events = await journal.tail(0, -1)
        await recorder.check()
        await recorder.submit(event(NOW + 1000, up=True))
    except (JournalUnavailable, ConfigError) as error:
        return Outcome(None, str(error))
    finally:
        await recorder.end()
    lost = metrics.registry.get_sample_value("device_exporter_blind_seconds_total")
    return Outcome(events, f"blind for {lost} s" if lost else "")


# -- files that do not belong together --------------------------------------------------------------------------------


async def test_a_backup_in_the_place_of_a_killed_database_is_refused_with_what_to_delete(tmp_path: Path) -> None:
    left, truth = await killed(tmp_path / "run", tmp_path / "left")
    copy = tmp_path / "copy.db"
    backup(tmp_path / "run" / NAME, copy)
    shutil.copyfile(copy, left / NAME)

    refused = await start(left)

    assert f"{left / NAME} is a backup" in refused.told
    assert "delete exporter.db-wal and exporter.db-shm" in refused.told
    assert (left / NAME).read_bytes() == copy.read_bytes()
    for file in left.glob("*-*"):
        file.unlink()
    assert (await start(left)).events == truth


@pytest.mark.parametrize("whose", ["of the run before", "of two runs before", "of another exporter"])
async def test_a_log_beside_a_file_that_it_does_not_belong_to_is_refused_and_nothing_is_changed(
    tmp_path: Path, whose: str
) -> None:
    folder = tmp_path / "run"
    site = site_in(folder)
    older = []
    for number in range(2):
        recorder = await site.start()
        await live(site, recorder, 40)
        await recorder.stop()
        older.append(shutil.copyfile(folder / NAME, tmp_path / f"{number}.db"))
    recorder = await site.start()
    await live(site, recorder, 40)
    left = copied(folder, tmp_path / "left")
    await recorder.stop()
    other, _ = await killed(tmp_path / "other", tmp_path / "others", 60)
    foreign = {
        "of the run before": older[1],
        "of two runs before": older[0],
        "of another exporter": other / NAME,
    }[whose]
    shutil.copyfile(foreign, left / NAME)
    log = (left / f"{NAME}-wal").read_bytes()

    refused = await start(left)

    assert "is an older or another database" in refused.told
    assert "delete exporter.db-wal and exporter.db-shm" in refused.told
    assert (left / NAME).read_bytes() == foreign.read_bytes()
    assert (left / f"{NAME}-wal").read_bytes() == log


async def test_a_file_that_was_copied_without_its_log_is_refused_beside_a_later_one_or_makes_no_difference(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "run"
    site = site_in(folder)
    recorder = await site.start()
    copies = []
    for number in range(8):
        await live(site, recorder, 80)
        if number % 2:
            await recorder.save_checkpoint()
        copies.append(shutil.copyfile(folder / NAME, tmp_path / f"{number}.db"))
    truth = await site.journal.tail(0, -1)
    left = copied(folder, tmp_path / "left")
    await recorder.stop()
    outcomes = []
    for copy in copies:
        place = copied(left, tmp_path / f"with {copy.name}")
        shutil.copyfile(copy, place / NAME)
        outcomes.append(await start(place))

    taken = [outcome for outcome in outcomes if not outcome.told]
    assert all(outcome.events == truth for outcome in taken)
    assert outcomes[-1] in taken


async def test_since_an_older_database_that_is_put_back_all_time_is_blind(tmp_path: Path) -> None:
    site = Site(tmp_path)
    recorder = await site.start()
    await live(site, recorder, 20)
    await recorder.heartbeat()
    until = site.clock.now
    await recorder.stop()
    older = shutil.copyfile(site.path, tmp_path / "older.db")
    recorder = await site.start()
    await live(site, recorder, 60)
    await recorder.stop()
    shutil.copyfile(older, site.path)
    site.clock.now += 600

    recorder = await site.start()
    await recorder.heartbeat()

    (blind,) = await recorder.read(lambda reader: reader.blind_intervals())
    assert (blind.start, blind.end) == (until, site.clock.now - recorder.retry_span)
    assert site.sample("blind_seconds_total") == blind.end - blind.start
    await recorder.stop()


# -- bits that flip ---------------------------------------------------------------------------------------------------


def facts(events: list[Numbered]) -> list[tuple[int, str, int, int]]:
    """Return what events say; names and times of receipt are in no index, so nothing tells whether they changed."""
    return [(number, one.identity.device_id, one.timestamp, one.kind) for number, one in events]


def flip(file: Path, place: int, bit: int) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 1 << bit
    file.write_bytes(content)


@pytest.mark.parametrize("flips", [25, pytest.param(1500, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
@pytest.mark.parametrize("name", [NAME, f"{NAME}-wal"])
async def test_no_bit_that_flips_changes_or_loses_an_event_unsaid(tmp_path: Path, name: str, flips: int) -> None:
    seed = 7 if flips < 100 else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201 - to try it again
    chance = random.Random(seed)
    left, acknowledged = await killed(tmp_path / "run", tmp_path / "left")
    truth = facts(acknowledged)
    if name == NAME:
        with closing(sqlite3.connect(left / NAME)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = (left / name).stat().st_size
    told = 0
    for number in range(flips):
        place, bit = chance.randrange(size), chance.randrange(8)
        folder = copied(left, tmp_path / str(number))
        flip(folder / name, place, bit)

        outcome = await start(folder)

        told += bool(outcome.told)
        assert "\n" not in outcome.told
        if outcome.events is not None and (found := facts(outcome.events)) != truth:
            assert outcome.told, f"seed {seed}: byte {place}, bit {bit} of {name}"
            assert found == truth[: len(found)]
        shutil.rmtree(folder)
    assert told


@pytest.mark.parametrize("column", Identity.__struct_fields__)
async def test_a_name_that_is_no_text_any_more_is_damage_to_a_start_and_to_a_report(
    tmp_path: Path, column: str
) -> None:
    """One bit tells a text from bytes; a name is in no index, so the database itself finds nothing wrong."""
    left, _ = await killed(tmp_path / "run", tmp_path / "left")
    with closing(sqlite3.connect(left / NAME)) as connection:
        connection.execute(f"UPDATE identity SET {column} = CAST({column} AS BLOB) WHERE id = 1")
        connection.commit()

    refused = await start(left)

    assert refused.events is None
    assert str(left / NAME) in refused.told
    assert damage.ADVICE in refused.told
    with SqliteReader(left / NAME) as reader, pytest.raises(JournalDamaged, match="cannot be read"):
        list(reader.histories())


NUMBERS = [
    *(("event", column, "seq = 150") for column in ("timestamp", "received_ms", "exposed_ms", "kind")),
    *(("meta", "value", f"key = '{key}'") for key in ("heartbeat_ms", "checkpoint_seq", "run")),
    ("blind", "end_ms", "1"),
]


async def test_a_number_that_is_none_any_more_is_damage_to_a_start(tmp_path: Path) -> None:
    left, _ = await killed(tmp_path / "run", tmp_path / "left")
    for number, ((table, column, where), value) in enumerate(product(NUMBERS, ("x''", "1.5", "'text'"))):
        folder = copied(left, tmp_path / str(number))
        with closing(sqlite3.connect(folder / NAME)) as connection, connection:
            connection.execute("INSERT INTO blind VALUES (1000, 2000)")
            assert connection.execute(f"UPDATE {table} SET {column} = {value} WHERE {where}").rowcount == 1

        refused = await start(folder)

        assert refused.events is None, (table, column, value)
        assert str(folder / NAME) in refused.told, (table, column, value)
        assert damage.ADVICE in refused.told, (table, column, value)


@pytest.mark.parametrize("table", ["event", "device", "identity"])
async def test_a_table_whose_rows_have_lost_their_numbers_is_damage_to_a_start(tmp_path: Path, table: str) -> None:
    """PRIMCRY KEY is one bit from PRIMARY KEY, and a part of the type's name to SQLite."""
    left, _ = await killed(tmp_path / "run", tmp_path / "left")
    with closing(sqlite3.connect(left / NAME)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        spoilt = "UPDATE sqlite_master SET sql = replace(sql, 'PRIMARY KEY', 'PRIMCRY KEY') WHERE name = ?"
        assert connection.execute(spoilt, (table,)).rowcount == 1

    refused = await start(left)

    assert refused.events is None
    assert damage.ADVICE in refused.told


def test_an_event_of_no_kind_is_damage_to_a_report(tmp_path: Path) -> None:
    path = tmp_path / NAME
    database = open_database(path)
    database.append([append(NOW, Kind.CONNECTED)], 0)
    database.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE event SET kind = 65")
        connection.commit()
    with SqliteReader(path) as reader:
        with pytest.raises(JournalDamaged, match="cannot be read"):
            list(reader.histories())
        with pytest.raises(JournalDamaged, match="cannot be read"):
            reader.device("d1")


async def test_damage_that_a_look_finds_while_it_runs_stops_it_for_good(tmp_path: Path) -> None:
    site = Site(tmp_path)
    recorder = await site.start()
    await live(site, recorder, 150)
    await recorder.check()
    assert recorder.healthy
    await recorder.stop()
    spoil_an_event(site.path)
    recorder = await site.start()  # a file that was closed properly is not looked through before that

    with pytest.raises(JournalDamaged, match="put the newest backup in its place"):
        await recorder.check()

    assert not recorder.healthy
    assert site.sample("journal_failures_total", operation="check") == 1
    with pytest.raises(JournalUnavailable, match="put the newest backup in its place"):
        await recorder.submit(event(NOW + 1000, up=True))
    await recorder.stop()


def spoil_an_event(file: Path) -> None:
    """Change the time of one event in one of the two places that have it."""
    content = file.read_bytes()
    times = [(NOW + number).to_bytes(4) for number in range(1, 151)]
    place = max(content.rfind(time) for time in times)
    file.write_bytes(content[:place] + b"\0" + content[place + 1 :])


def test_an_event_of_no_device_is_damage(tmp_path: Path) -> None:
    path = tmp_path / NAME
    database = open_database(path)
    database.append([append(NOW, Kind.CONNECTED)], 0)
    database.close()
    damage.check(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE event SET identity = identity + 1000")
    with pytest.raises(JournalDamaged, match="1 events are of no device, or of two: stop the exporter"):
        damage.check(path)


def test_what_sqlite_finds_in_its_own_tables_is_damage(tmp_path: Path) -> None:
    path = tmp_path / NAME
    open_database(path).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE note (text)")
        connection.execute("INSERT INTO note VALUES (NULL)")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = 'CREATE TABLE note (text NOT NULL)' WHERE name = 'note'")
    with pytest.raises(JournalDamaged, match=r"NULL value in note\.text: stop the exporter"):
        damage.check(path)


def test_a_database_that_cannot_be_looked_through_now_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(JournalUnavailable, match="unable to open"):
        damage.check(tmp_path / "none.db")


def test_a_log_that_ends_before_its_first_transaction_has_none(tmp_path: Path) -> None:
    log = tmp_path / f"{NAME}-wal"
    log.write_bytes(b"\x37\x7f\x06\x82")
    assert wal.commits(log, 4096) == []


async def test_a_schema_of_which_sqlite_tells_in_bytes_that_are_no_text_is_damage(tmp_path: Path) -> None:
    path = tmp_path / NAME
    open_database(path).close()
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE event", b"CREATE T\xbdBLE event", 1))
    site = Site(tmp_path)
    with pytest.raises(JournalDamaged, match="put the newest backup in its place"):
        await site.start()
    await site.kill()
    with pytest.raises(JournalDamaged):
        damage.check(path)
    with pytest.raises(JournalUnavailable), SqliteReader(path) as reader:
        reader.device_count()
    with pytest.raises(BackupFailed):
        backup(path, tmp_path / "copy.db")
