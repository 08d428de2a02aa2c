"""`device-exporter migrate`: everything arrives, no account changes, and what cannot be moved safely is refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from exporter.app.features import PIECES
from exporter.cli.main import main
from exporter.domain.timeline import Kind
from exporter.errors import ConfigError
from exporter.journal import moving
from exporter.journal.port import Piece
from exporter.journal.postgres.journal import PostgresJournal
from exporter.journal.sqlite.contents import SqliteContents, open_contents
from exporter.journal.storage import open_reader
from exporter.metrics.exposition.render import Exposition
from exporter.metrics.own import SelfMetrics
from exporter.recording.recorder import Recorder
from tests.postgres import shared_cluster
from tests.unit.journal_site import NOW, FakeClock, Site, append, event, open_database, picture

if TYPE_CHECKING:
    from pathlib import Path

_VALUES: dict[str, Any] = {"TEXT": "teks é", "INTEGER": 7, "REAL": 7.25, "BLOB": b"\x00\xff"}


@pytest.fixture
async def site(tmp_path: Path) -> Site:
    """A journal that was filled by an exporter, killed, started, pruned; every table of it holds something."""
    site = Site(tmp_path)
    recorder = await site.start()
    for number in range(5):
        await recorder.submit(event(NOW - 90 * 86400 + number, up=bool(number % 2), device_id=f"d{number}"))
    site.clock.now = NOW + 100
    await recorder.submit(event(NOW + 50, up=False, device_id="d1"))
    async with recorder.exposing():
        pass
    await recorder.submit(event(NOW + 60, up=True, device_id="d1"))
    await recorder.submit(event(NOW + 55, up=False, device_id="d1"))  # late: what was exposed must stand still
    await recorder.submit(event(NOW + 70, up=False, device_id="d2", business="b2", name="Kasir"))
    await recorder.forget("d4")
    await recorder.save_checkpoint()
    await site.journal.heartbeat(90_000)
    site.clock.now = NOW + 500
    await site.journal.heartbeat(90_000)
    await site.journal.quarantine("json", "no JSON", b"{\x00", "digest")
    await site.journal.quarantine("json", "nothing of it is kept", None, "another")
    assert await site.journal.prune(NOW - 86400, 0, 1) is None
    await recorder.submit(event(NOW + 490, up=True, device_id="d9"))  # beyond the checkpoint
    await site.kill()
    _fill_empty_tables(site.path)
    return site


def _fill_empty_tables(path: Path) -> None:
    """Give each table that is empty two rows, so that a table which is forgotten is noticed."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        for (name,) in names.fetchall():
            if not connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]:
                columns = connection.execute(f"SELECT name, type FROM pragma_table_info('{name}')").fetchall()
                for number in (1, 2):
                    values = [_value(kind, number, once=column == "id") for column, kind in columns]
                    places = ", ".join("?" * len(values))
                    connection.execute(f"INSERT OR IGNORE INTO {name} VALUES ({places})", values)


def _value(kind: str, number: int, *, once: bool) -> Any:
    value = _VALUES[kind]
    if isinstance(value, int):
        return 1 if once else value + number
    return value + (str(number) if isinstance(value, str) else number if isinstance(value, float) else bytes([number]))


def rows(path: Path) -> dict[str, list[Any]]:
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        found = {
            name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr)
            for (name,) in names.fetchall()
            if name not in ("meta", "piece")
        }
    # a checkpoint is written in pieces, each row under the number of the checkpoint that it is part of
    place = {"saved_device": 1, "saved_group": 2}
    for name, at in place.items():
        found[name] = [(*row[:at], *row[at + 1 :]) for row in found[name]]
    return found


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def migrate(source: Path, target: Path) -> int:
    return main(["migrate", "--from", url(source), "--to", url(target)])


async def exposed(recorder: Recorder) -> list[bytes]:
    """All that is exposed of the devices, in whatever order."""
    async with recorder.exposing() as now:
        found = await Exposition(recorder.fleet, CollectorRegistry()).render(now, openmetrics=True, gzip=False)
        return sorted(b"".join(found).splitlines())


async def test_there_and_back_again_every_table_is_as_it_was(site: Site, tmp_path: Path) -> None:
    there, back = tmp_path / "there.db", tmp_path / "back.db"
    assert (migrate(site.path, there), migrate(there, back)) == (0, 0)
    assert all(rows(site.path).values())
    assert rows(site.path) == rows(there) == rows(back)
    assert indices(site.path) == indices(there)


def indices(path: Path) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        return set(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index'"))


async def test_through_postgresql_and_back_every_table_is_as_it_was(site: Site, tmp_path: Path) -> None:
    database, back = shared_cluster().database(), tmp_path / "back.db"
    assert main(["migrate", "--from", url(site.path), "--to", database]) == 0
    assert main(["migrate", "--from", database, "--to", url(back)]) == 0
    assert rows(site.path) == rows(back)


async def test_an_exporter_goes_on_in_postgresql_to_the_second_and_back_in_sqlite(site: Site, tmp_path: Path) -> None:
    database = shared_cluster().database()
    assert main(["migrate", "--from", url(site.path), "--to", database]) == 0
    before = await site.start()
    journal = PostgresJournal(database, PIECES, clock=site.clock)
    after = Recorder(journal, site.clock, SelfMetrics(CollectorRegistry()))
    await after.start()
    assert picture(before) == picture(after)
    assert before.heard_until == after.heard_until
    site.clock.now = NOW + 3600
    assert await exposed(before) == await exposed(after)
    for recorder in (before, after):
        await recorder.submit(event(NOW + 3000, up=False, device_id="d9"))
        await recorder.submit(event(NOW + 3001, up=False, device_id="new", name="Kios"))
    assert picture(before) == picture(after)
    with open_reader(url(site.path)) as one, open_reader(database) as other:
        assert moving.compare_accounts(one, other) == 7
    await after.stop()

    back = Site(tmp_path / "back", site.clock)
    back.path.parent.mkdir()
    assert main(["migrate", "--from", database, "--to", url(back.path)]) == 0
    again = await back.start()
    assert picture(before) == picture(again)
    await before.stop()
    await again.stop()


async def test_numbers_that_the_database_gives_go_on_after_those_that_were_moved(site: Site) -> None:
    database = shared_cluster().database()
    assert main(["migrate", "--from", url(site.path), "--to", database]) == 0
    journal = PostgresJournal(database, PIECES)
    await journal.start()
    assert await journal.quarantine("json", "a third", None, "a third") == 3
    add = "INSERT INTO maintenance (created_at, spec) VALUES (?, ?) RETURNING number"
    [(number,)] = await journal.transact(lambda transaction: transaction.rows(add, (1.0, "{}")))
    assert number == max(row[0] for row in rows(site.path)["maintenance"]) + 1
    await journal.stop()


async def test_a_database_in_which_an_exporter_leads_is_refused(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    database = shared_cluster().database()
    journal = PostgresJournal(database, PIECES)
    await journal.start()
    assert await journal.lease(60.0) is not None
    assert main(["migrate", "--from", url(site.path), "--to", database]) == 2
    assert "an exporter is using" in capsys.readouterr().err
    await journal.resign()
    await journal.stop()
    assert main(["migrate", "--from", url(site.path), "--to", database]) == 0
    assert main(["migrate", "--from", url(site.path), "--to", database]) == 1
    assert "is not empty" in capsys.readouterr().err


async def test_a_text_with_a_character_that_postgresql_lacks_is_moved_with_another_in_its_place(
    site: Site, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(site.path, isolation_level=None)) as connection:
        connection.execute("UPDATE outage_reason SET reason = 'a' || char(0) || 'b'")
    database, back = shared_cluster().database(), tmp_path / "back.db"
    assert main(["migrate", "--from", url(site.path), "--to", database]) == 0
    assert main(["migrate", "--from", database, "--to", url(back)]) == 0
    assert {row[2] for row in rows(back)["outage_reason"]} == {"a\N{REPLACEMENT CHARACTER}b"}


async def test_an_exporter_goes_on_with_the_moved_journal_to_the_second(site: Site, tmp_path: Path) -> None:
    moved = Site(tmp_path / "moved")
    moved.path.parent.mkdir()
    assert migrate(site.path, moved.path) == 0
    before = await site.start()
    after = await moved.start()
    assert picture(before) == picture(after)
    assert before.heard_until == after.heard_until
    site.clock.now = moved.clock.now = NOW + 3600
    assert await exposed(before) == await exposed(after)
    await before.submit(event(NOW + 3000, up=False, device_id="d9"))
    await after.submit(event(NOW + 3000, up=False, device_id="d9"))
    assert picture(before) == picture(after)
    await before.stop()
    await after.stop()


async def test_of_a_checkpoint_that_was_not_finished_nothing_is_moved(site: Site, tmp_path: Path) -> None:
    with closing(sqlite3.connect(site.path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO saved_device SELECT device, generation + 1, 'of the next' FROM saved_device")
    assert migrate(site.path, tmp_path / "new.db") == 0
    moved = rows(tmp_path / "new.db")["saved_device"]
    assert len(moved) == 4
    assert "of the next" not in {state for _, state in moved}


async def test_the_progress_goes_up_to_twice_the_rows(site: Site, tmp_path: Path) -> None:
    told: list[int] = []
    with (
        open_contents(site.path, PIECES, new=False) as old,
        open_contents(tmp_path / "new.db", PIECES, new=True) as new,
    ):
        moved = moving.move(old, new, lambda done, _: told.append(done))
    assert told == sorted(told)
    assert sum(moved.values()) <= told[-1] < 2 * sum(moved.values())


def test_what_an_exporter_uses_is_refused_on_either_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    used, other = tmp_path / "used.db", tmp_path / "other.db"
    database = open_database(used)
    open_database(other).close()
    assert migrate(used, tmp_path / "new.db") == 2
    assert migrate(other, used) == 2
    assert capsys.readouterr().err.count("another exporter") == 2
    database.close()


async def test_a_database_that_is_not_empty_is_refused_and_left_as_it_is(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = tmp_path / "filled.db"
    database = open_database(filled)
    database.append([append(NOW, Kind.CONNECTED)], 0)
    database.close()
    before = rows(filled)
    assert migrate(site.path, filled) == 1
    assert "is not empty (device, identity, event)" in capsys.readouterr().err
    assert before.items() <= rows(filled).items()


def test_a_journal_that_is_not_there_is_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert migrate(tmp_path / "none.db", tmp_path / "new.db") == 1
    assert "no such journal" in capsys.readouterr().err
    assert not (tmp_path / "none.db").exists()


def test_a_database_is_not_moved_onto_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open_database(tmp_path / "one.db").close()
    assert migrate(tmp_path / "one.db", tmp_path / "one.db") == 2
    assert "the same database" in capsys.readouterr().err


async def test_urls_may_be_in_files_so_that_no_password_is_on_the_command_line(site: Site, tmp_path: Path) -> None:
    source, target = tmp_path / "from", tmp_path / "to"
    source.write_text(url(site.path) + "\n")
    target.write_text(url(tmp_path / "new.db") + "\n")
    assert main(["migrate", "--from-file", str(source), "--to-file", str(target)]) == 0
    assert rows(site.path) == rows(tmp_path / "new.db")


async def test_a_row_that_arrives_otherwise_undoes_the_whole_move(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "new.db"
    honest = SqliteContents.write

    def careless(self: SqliteContents, table: str, columns: Any, given: Any) -> None:
        changed = ([(*row[:2], row[2] + 1, *row[3:]) for row in page] for page in given) if table == "event" else given
        honest(self, table, columns, changed)

    monkeypatch.setattr(SqliteContents, "write", careless)
    assert migrate(site.path, target) == 1
    assert "table event" in capsys.readouterr().err
    assert not any(rows(target).values())


async def test_a_table_that_the_new_database_lacks_is_refused_if_it_holds_anything(site: Site, tmp_path: Path) -> None:
    piece = Piece("later", ("CREATE TABLE later (number {serial});",))
    with open_contents(site.path, (*PIECES, piece), new=False) as old:
        with open_contents(tmp_path / "a.db", PIECES, new=True) as new:
            moving.move(old, new, lambda *_: None)
        old.write("later", ["number"], [[(1,)]])
        with (
            pytest.raises(moving.MoveFailed, match="cannot take later"),
            open_contents(tmp_path / "b.db", PIECES, new=True) as new,
        ):
            moving.move(old, new, lambda *_: None)


async def test_gaps_after_the_checkpoint_are_refused(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(site.path, isolation_level=None)) as connection:
        connection.execute("UPDATE event SET seq = seq + 1 WHERE seq = (SELECT max(seq) FROM event)")
    assert migrate(site.path, tmp_path / "new.db") == 1
    assert "left gaps" in capsys.readouterr().err


async def test_histories_that_differ_are_told(site: Site, tmp_path: Path) -> None:
    target = tmp_path / "new.db"
    assert migrate(site.path, target) == 0
    database = open_database(target, PIECES, FakeClock(NOW + 600))
    database.append([append(NOW + 495, Kind.DISCONNECTED, "d9")], 0)
    database.close()
    with open_reader(url(site.path)) as old, open_reader(url(target)) as new:
        with pytest.raises(moving.MoveFailed, match="d9"):
            moving.compare_accounts(old, new)
        assert moving.compare_accounts(old, old) == 6


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    open_database(tmp_path / "one.db").close()
    with closing(sqlite3.connect(tmp_path / "one.db")) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(ConfigError, match="version 99"), open_contents(tmp_path / "one.db", PIECES, new=False):
        pass
