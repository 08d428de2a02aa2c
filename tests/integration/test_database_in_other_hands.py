"""What other programs and people do to the database while exporters use it: told in a sentence, and nothing is lost."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest

from exporter.conventions import ACCEPTED, DUPLICATE
from exporter.domain.timeline import Kind
from exporter.errors import ConfigError, JournalUnavailable
from exporter.journal.postgres.address import parameters
from exporter.journal.postgres.advice import Hopeless, advice
from exporter.journal.postgres.journal import PATIENCE, PostgresJournal
from exporter.journal.postgres.link import Link
from exporter.journal.storage import open_contents
from tests.integration.shared_journal import TOYS, end_connections, exporters, journals, look
from tests.patience import eventually
from tests.postgres import ROOT, USER, shared_cluster
from tests.unit.journal_site import NOW, append, event, picture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.journal.postgres.link import Connection
    from exporter.recording.recorder import Recorder
    from tests.postgres import Cluster

_TURNED_DOWN = """
CREATE FUNCTION journal_turn_1(bigint, text, boolean, boolean) RETURNS turn LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION USING message = 'not today', errcode = 'XQ001'; END $$
"""
"""With a code that no driver knows."""
UP, DOWN = Kind.CONNECTED, Kind.DISCONNECTED


async def refused(url: str) -> str:
    """Return what a start says that does not succeed."""
    journal = PostgresJournal(url, [TOYS])
    try:
        with pytest.raises((ConfigError, JournalUnavailable)) as told:
            await journal.start()
    finally:
        await journal.stop()
    assert "\n" not in str(told.value)
    return f"{type(told.value).__name__}: {told.value}"


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Another program holds the lock of all who append."""
    with psycopg.connect(url) as other:
        other.execute("SELECT FROM lock_row FOR UPDATE")
        yield


async def test_a_program_that_holds_the_lock_is_told_of_and_leaves_no_connection_that_waits(url: str) -> None:
    async with journals(url, 1) as [journal]:
        for name in ("journal_append_1", "journal_heartbeat_1"):
            [(settings,)] = look(url, f"SELECT proconfig FROM pg_proc WHERE proname = '{name}'")
            limit = next(one.removeprefix("lock_timeout=") for one in settings if one.startswith("lock_timeout="))
            assert float(limit.removesuffix("s")) < PATIENCE  # or the client would be gone before
            look(url, f"ALTER FUNCTION {name} SET lock_timeout = '200ms'")
        with locked(url):
            for _ in range(3):
                with pytest.raises(JournalUnavailable, match="somebody holds the journal's lock"):
                    await journal.append([append(NOW, UP)], 0)
            with pytest.raises(JournalUnavailable, match="somebody holds the journal's lock"):
                await journal.heartbeat(90_000)
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = "
            assert look(url, f"{waiting} 'Lock'") == [(0,)]
        assert list((await journal.append([append(NOW, UP)], 0)).numbers) == [1]


async def test_nothing_is_moved_while_another_program_holds_the_lock(url: str) -> None:
    async with journals(url, 1):
        pass
    with locked(url), pytest.raises(JournalUnavailable, match="somebody holds"), open_contents(url, [TOYS], new=True):
        pass


async def test_a_table_that_was_dropped_is_told_of_until_it_is_restored(url: str) -> None:
    async with exporters(url, 1) as [one]:
        await one.submit(event(NOW - 100, up=True))
        look(url, "ALTER TABLE event RENAME TO elsewhere")
        for _ in range(2):
            with pytest.raises(JournalUnavailable, match=r'restore a backup \(relation "event" does not exist\)$'):
                await one.submit(event(NOW - 50, up=False))
        look(url, "ALTER TABLE elsewhere RENAME TO event")
        await until_taken(one, NOW - 50)


async def test_a_start_over_a_journal_without_its_events_is_refused_with_advice(url: str) -> None:
    async with journals(url, 1):
        pass
    look(url, "DROP TABLE event")
    async with journals(url, 1) as [journal]:
        with pytest.raises(JournalUnavailable, match="restore a backup"):
            await journal.tail(0)


async def test_a_password_that_was_changed_is_told_of_once_a_connection_ends_and_never_shown() -> None:
    server = shared_cluster()
    server.execute("DROP ROLE IF EXISTS asks", "CREATE ROLE asks LOGIN SUPERUSER PASSWORD 'geheim'")
    plain = server.database()
    async with exporters(plain.replace("postgres@", "asks:geheim@"), 1) as [one]:
        await one.submit(event(NOW - 100, up=True))
        server.execute("ALTER ROLE asks PASSWORD 'another'")
        assert await one.submit(event(NOW - 90, up=False)) == ACCEPTED  # a connection that is open goes on
        end_connections(plain)
        with pytest.raises(JournalUnavailable, match="the password is wrong") as told:
            await one.submit(event(NOW - 80, up=True))
        assert "geheim" not in f"{told.value} {one.trouble}"
        server.execute("ALTER ROLE asks PASSWORD 'geheim'")
        await until_taken(one, NOW - 80)
    server.execute("DROP OWNED BY asks", "DROP ROLE asks", database=plain.rpartition("/")[2])


async def taken(exporter: Recorder, timestamp: int, device_id: str = "d1") -> bool:
    """Offer an event as the platform does; return whether it was acknowledged."""
    try:
        return await exporter.submit(event(timestamp, up=True, device_id=device_id)) in (ACCEPTED, DUPLICATE)
    except JournalUnavailable:
        return False


async def until_taken(exporter: Recorder, timestamp: int, device_id: str = "d1") -> None:
    await eventually(lambda: taken(exporter, timestamp, device_id), "it is taken", 20)


async def test_a_setting_of_the_url_that_the_server_cannot_meet_is_told(url: str) -> None:
    assert "speaks no TLS" in await refused(f"{url}?sslmode=require")
    assert "a value that there is not" in await refused(f"{url}?sslmode=perhaps")
    assert (await refused(f"{url}?target_session_attrs=any-time")).startswith("ConfigError")


async def test_a_database_that_isolates_transactions_otherwise_is_refused_with_what_to_set(url: str) -> None:
    look(url, f"ALTER DATABASE {url.rpartition('/')[2]} SET default_transaction_isolation = 'serializable'")
    told = await refused(url)
    assert told.startswith("ConfigError")
    assert "SET default_transaction_isolation = 'read committed'" in told


async def test_what_the_server_says_is_told_as_it_is_where_there_is_no_advice(url: str) -> None:
    async with journals(url, 1) as [journal]:
        with pytest.raises(JournalUnavailable, match=r"database \S+ at \S+: division by zero$"):
            await journal.transact(lambda transaction: transaction.rows("SELECT 1 / 0"))
        look(url, "ALTER FUNCTION journal_turn_1 RENAME TO elsewhere")
        look(url, _TURNED_DOWN)
        with pytest.raises(JournalUnavailable, match=r": not today$"):
            await journal.append([append(NOW, UP)], 0)
        look(url, "DROP FUNCTION journal_turn_1")
        look(url, "ALTER FUNCTION elsewhere RENAME TO journal_turn_1")
        assert list((await journal.append([append(NOW, UP)], 0)).numbers) == [1]


def test_work_that_fails_within_a_transaction_leaves_none_open(url: str) -> None:
    link = Link(parameters(url))

    def work(connection: Connection) -> None:
        connection.execute("BEGIN; CREATE TABLE half (done int)")
        raise ValueError("a mistake")

    with pytest.raises(ValueError, match="a mistake"):
        link.run(work, 5)
    assert link.run(lambda connection: connection.execute("SELECT to_regclass('half')").fetchall(), 5) == [(None,)]
    link.drop()


async def test_a_standby_as_the_only_host_is_waited_for_until_it_is_promoted(cluster: Cluster) -> None:
    url = cluster.database()
    cluster.stop()
    sign = cluster.data / "standby.signal"
    sign.touch()
    if ROOT:
        shutil.chown(sign, USER)
    cluster.start()
    told = await refused(url)
    assert told.startswith("JournalUnavailable")
    assert "it is a standby" in told
    cluster.execute("SELECT pg_promote()")
    async with journals(url, 1) as [journal]:
        assert list((await journal.append([append(NOW, UP)], 0)).numbers) == [1]


async def test_a_server_that_is_restarted_again_and_again_loses_nothing(cluster: Cluster) -> None:
    url = cluster.database()
    async with exporters(url, 2) as both:
        ended = asyncio.Event()
        acknowledged: list[tuple[str, int]] = []

        async def send(number: int) -> None:
            turn = 0
            while not ended.is_set():
                turn += 1
                await until_taken(both[(number + turn) % 2], NOW + turn, f"d{number}")
                acknowledged.append((f"d{number}", NOW + turn))

        sending = [asyncio.create_task(send(number)) for number in range(4)]
        for _ in range(3):
            before = len(acknowledged)
            await asyncio.to_thread(cluster.stop)
            await asyncio.to_thread(cluster.start)
            await eventually(lambda before=before: len(acknowledged) > before + 8, "events are taken again", 20)
        ended.set()
        await asyncio.gather(*sending)
        found = look(url, "SELECT device_id, timestamp FROM event JOIN device ON device.id = event.device")
        assert sorted(found) == sorted(acknowledged)
        await eventually(lambda: picture(both[0]) == picture(both[1]), "both know the same")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('server certificate for "db" does not match host name "x"', "its certificate is not to be trusted"),
        ('root certificate file "/root.crt" does not exist', "its certificate is not to be trusted"),
        ('FATAL:  role "x" does not exist', "there is no such user or database"),
    ],
)
def test_what_trying_again_does_not_mend_is_told_by_its_cause(said: str, told: str) -> None:
    given = {"host": "db", "port": "5432", "dbname": "devices"}
    found = advice(psycopg.OperationalError(said), given)
    assert isinstance(found, Hopeless)
    assert told in str(found)


def test_a_server_without_a_free_connection_is_waited_for() -> None:
    given = {"host": "db", "port": "5432", "dbname": "devices"}
    found = advice(psycopg.OperationalError("FATAL:  sorry, too many clients already"), given)
    assert not isinstance(found, Hopeless)
    assert "raise max_connections" in str(found)
