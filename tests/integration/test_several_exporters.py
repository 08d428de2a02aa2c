"""Several exporters over one PostgreSQL database: what each must know of the others, and what only one may do."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from exporter.conventions import ACCEPTED, DUPLICATE
from exporter.days import reading
from exporter.days.reading import read_days
from exporter.days.service import DaySums
from exporter.days.store import PIECE as DAYS
from exporter.days.sums import last_days
from exporter.domain.policy import Policies
from exporter.domain.records import Checkpoint
from exporter.domain.timeline import Kind
from exporter.errors import ConfigError, JournalDiverged, JournalUnavailable, NotLeading
from exporter.incidents.model import ALERTED
from exporter.incidents.service import Incidents
from exporter.journal.postgres.advice import advice
from exporter.journal.postgres.journal import PostgresJournal
from exporter.journal.storage import open_reader, open_storage
from exporter.journal.told import blind_of
from exporter.lib.times import zone_of
from exporter.metrics.own import SelfMetrics
from exporter.recording import commits, leading
from exporter.recording.recorder import Recorder
from tests.integration.shared_journal import TOYS, end_connections, exporters, journals, look
from tests.patience import eventually, patient
from tests.postgres import bouncer, shared_cluster
from tests.unit.journal_site import NOW, append, event, picture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from exporter.days.sums import Day
    from exporter.journal.port import Numbered, Transaction
    from tests.postgres import Cluster

UP, DOWN = Kind.CONNECTED, Kind.DISCONNECTED


async def whole(journal: PostgresJournal) -> list[Numbered]:
    """Return all records, as soon as it has a connection again."""

    async def read() -> list[Numbered] | None:
        try:
            return await journal.tail(0)
        except JournalUnavailable:
            return None

    return await eventually(read, "it can be read")


@pytest.fixture
def short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TTL": 1.2, "RENEW": 0.3, "MARGIN": 0.2, "RETRY": 0.1}.items():
        monkeypatch.setattr(leading, name, value)


class TestOrder:
    async def test_appends_of_all_are_one_dense_order_without_anything_twice_or_lost_while_connections_end(
        self, url: str
    ) -> None:
        chance = random.Random(7)
        acknowledged: set[tuple[str, int]] = set()

        async def send(journal: PostgresJournal) -> None:
            applied = 0
            for _ in range(40):
                batch = [append(NOW + chance.randrange(60), UP, f"d{chance.randrange(20)}") for _ in range(5)]
                try:
                    appended = await journal.append(batch, applied)
                except JournalUnavailable:
                    continue
                acknowledged.update((one.identity.device_id, one.timestamp) for one in batch)
                for number, _ in appended.missed:
                    assert number == applied + 1
                    applied = number

        async def cut() -> None:
            for _ in range(5):
                await asyncio.sleep(0.05)
                await asyncio.to_thread(end_connections, url)

        async with journals(url, 3) as opened:
            await asyncio.gather(cut(), *map(send, opened))
            first, second, third = [await whole(journal) for journal in opened]
        assert first == second == third
        assert [number for number, _ in first] == list(range(1, len(first) + 1))
        stored = [(record.identity.device_id, record.timestamp) for _, record in first]
        assert len(set(stored)) == len(stored)
        assert acknowledged <= set(stored)

    async def test_whoever_lacks_more_than_an_append_brings_is_told_so(self, url: str) -> None:
        async with journals(url, 2) as (one, other):
            await one.append([append(NOW + at, UP) for at in range(300)], 0)
            appended = await other.append([append(NOW, DOWN, "d2")], 0)
            assert appended.until == 301
            assert [number for number, _ in appended.missed] == list(range(1, len(appended.missed) + 1))
            assert list(appended.numbers) == [301]
            assert len(await other.tail(len(appended.missed))) == 301 - len(appended.missed)

    async def test_only_who_exposed_alone_ends_an_exposition(self, url: str) -> None:
        async with journals(url, 2, clock=lambda: NOW) as (one, other):
            await one.expose(0)
            mark = await other.expose(0)
            other.exposed()
            await other.append([append(NOW, UP)], 0)
            await other.append([append(NOW, DOWN)], 1)
            records = [record for _, record in await other.tail(0)]
        assert [record.exposed_ms for record in records] == [record.received_ms for record in records]
        assert mark.at_ms < records[0].received_ms < records[1].received_ms


class TestFollowing:
    async def test_each_exporter_comes_to_the_same_state_whoever_was_told(self, url: str) -> None:
        async with exporters(url, 2) as (one, other):
            assert await one.submit(event(NOW - 100, up=True)) == ACCEPTED
            assert await other.submit(event(NOW - 50, up=False)) == ACCEPTED
            assert await other.submit(event(NOW - 100, up=True)) == DUPLICATE
            assert await one.submit(event(NOW - 70, up=False)) == "late"
            async with other.exposing():
                pass
            await eventually(lambda: one.applied == other.applied == 3, "both have all records")
            assert picture(one) == picture(other)
            await eventually(lambda: one.following.fresh and one.following.right, "it is up to date")
            assert not one.following.silent

    async def test_no_counter_falls_at_any_exporter_whatever_comes_late_and_wherever(self, url: str) -> None:
        chance = random.Random(11)
        async with exporters(url, 2) as both:
            seen: list[dict[str, tuple[float, ...]]] = [{}, {}]

            async def tell() -> None:
                timestamp = int(time.time()) - (chance.randrange(300) if chance.random() < 0.6 else 0)
                await chance.choice(both).submit(
                    event(timestamp, up=chance.random() < 0.5, device_id=chance.choice("abc"))
                )

            def show(place: int, now: float, part: str) -> None:
                fleet = both[place].fleet
                shown = {key: (one.exposed_downtime(now), one.timeline.outages) for key, one in fleet.devices.items()}
                shown |= {str(key): (one.downtime(now), one.observed(now)) for key, one in fleet.groups.items()}
                for key, values in shown.items():
                    if part in key:
                        before = seen[place].get(key, values)
                        assert all(old <= new for old, new in zip(before, values, strict=True)), (key, before, values)
                        seen[place][key] = values

            for _ in range(120):
                await tell()
                if chance.random() < 0.5:
                    place = chance.randrange(2)
                    async with both[place].exposing() as now:
                        show(place, now, "a")
                        await tell()  # while it is rendered piece by piece
                        show(place, now, "")
            await eventually(lambda: both[0].applied == both[1].applied)
            assert picture(both[0]) == picture(both[1])

    async def test_an_answer_waits_for_what_came_before_it_and_not_for_what_others_go_on_to_append(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(commits, "PAGE", 100)
        async with exporters(url, 1) as [one], journals(url, 1) as [other]:
            turn = iter(range(1_000_000))

            async def more(count: int) -> None:
                await other.append([append(NOW + next(turn), UP, "d2") for _ in range(count)], 0)

            tail = PostgresJournal.tail

            async def overtaken(journal: PostgresJournal, after: int, limit: int = 5000) -> list[Numbered]:
                await more(200)  # more than is read
                return await tail(journal, after, limit)

            monkeypatch.setattr(PostgresJournal, "tail", overtaken)
            await more(400)
            assert await asyncio.wait_for(one.submit(event(NOW, up=True)), patient(10)) == ACCEPTED
            assert one.fleet.devices["d1"].timeline.up

    async def test_an_exporter_whose_clock_is_far_off_is_not_to_be_sent_events(self, url: str) -> None:
        async with exporters(url, 1, lambda: time.time() + 60) as [one]:
            for _ in range(2):  # from the start on
                assert one.following.fresh
                assert not one.following.right
                assert "s ahead of the database's" in one.trouble
                await one.submit(event(NOW - 100, up=True))

    async def test_an_exporter_that_comes_later_starts_from_the_leaders_checkpoint(self, url: str) -> None:
        async with exporters(url, 1) as [one]:
            await one.submit(event(NOW - 100, up=True))
            await one.save_checkpoint()
            await one.submit(event(NOW - 50, up=False))
            async with exporters(url, 1) as [other]:
                assert picture(other) == picture(one)
                with pytest.raises(NotLeading):
                    await other.save_checkpoint()


@pytest.mark.usefixtures("short_lease")
class TestLeading:
    async def test_one_leads_and_another_takes_over_when_it_is_gone(self, url: str) -> None:
        async with exporters(url, 3) as (one, other, third):
            assert [recorder.leading.leads for recorder in (one, other, third)] == [True, False, False]
            await one.end()
            await eventually(lambda: other.leading.leads or third.leading.leads, "another one leads")
            assert not one.leading.leads
            leader, follower = (other, third) if other.leading.leads else (third, other)
            assert not follower.leading.leads
            await leader.leading.resign()
            await eventually(lambda: sum(one.leading.leads for one in (other, third)) == 1, "one leads")

    async def test_work_of_the_leader_ends_with_its_lead_and_begins_anew(self, url: str) -> None:
        done: list[str] = []

        async def work() -> None:
            done.append("began")
            try:
                await asyncio.Event().wait()
            finally:
                done.append("ended")

        async with exporters(url, 1) as [one]:
            working = asyncio.create_task(one.leading.while_leading(work))
            await eventually(lambda: done == ["began"])
            look(url, "UPDATE lease SET holder = 'another', epoch = epoch + 1, until = now() + interval '1 s'")
            await eventually(lambda: done == ["began", "ended"], "it leads no more")
            await eventually(lambda: done == ["began", "ended", "began"], "it leads again")
            working.cancel()

    async def test_what_a_former_leader_writes_is_refused_and_changes_nothing(self, url: str) -> None:
        def buy(transaction: Transaction) -> int:
            return transaction.run("INSERT INTO toy VALUES ('kite', 7)")

        async with journals(url, 2) as (one, other):
            epoch = await one.lease(60.0)
            assert (epoch, await other.lease(60.0)) == (1, None)
            await one.resign()
            assert await other.lease(60.0) == 2
            for write in (
                one.transact(buy, epoch=epoch),
                one.save(Checkpoint(1, 1, [], [], [], []), 1),
                one.prune(5, 0, 1),
            ):
                with pytest.raises(NotLeading):
                    await write
            assert await other.transact(buy, epoch=2) == 1
            assert (await other.load()).checkpoint is None


@pytest.mark.usefixtures("short_lease")
async def test_incidents_go_on_where_the_former_leader_stopped_with_the_lines_of_all(url: str) -> None:
    async def lead(recorder: Recorder, incidents: Incidents) -> None:
        async def work() -> None:
            await incidents.lead()
            await incidents.run()

        await recorder.leading.while_leading(work)

    async def found(query: str) -> list[tuple[Any, ...]]:
        return await asyncio.to_thread(look, url, query)

    async with exporters(url, 2) as (one, other):
        kept = [Incidents(recorder, Policies) for recorder in (one, other)]
        leading = [asyncio.create_task(lead(*both)) for both in zip((one, other), kept, strict=True)]
        down = int(time.time()) - 5000
        await other.submit(event(down, up=False))
        await eventually(lambda: found("SELECT 1 FROM incident WHERE resolved_at IS NULL"), "the leader opens it")
        kept[1].note_event(ALERTED, down + 90.0, device_id="d1")
        await kept[1].write_lines()
        assert await found("SELECT at FROM incident_entry WHERE kind = 'alerted'") == [(down + 90.0,)]
        leading[0].cancel()
        await one.end()
        await other.submit(event(down + 4000, up=True))
        closed = "SELECT device_id, resolved_at FROM incident WHERE resolved_at IS NOT NULL"
        await eventually(lambda: found(closed), "the next leader closes it")
        assert await found("SELECT device_id, resolved_at FROM incident") == [("d1", down + 4000.0)]
        leading[1].cancel()
        await asyncio.wait(leading)


async def test_daily_sums_in_the_database_are_those_of_a_file(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(reading, "_computed")  # nothing is folded from events
    day, zone = 86_400, "Asia/Jakarta"
    now = int(time.time())
    edges = last_days(8, now, zone_of(zone))

    async def sums_of(storage: str) -> dict[str, list[Day]]:
        recorder = Recorder(open_storage(storage, time.time, [DAYS]), time.time, SelfMetrics(CollectorRegistry()))
        await recorder.start()
        sums = DaySums(recorder, lambda: [zone], lambda: 400 * day)
        for late in (0, 3600, -4 * day):  # the last ones change what was summed up already
            for place, device_id in enumerate("abc"):
                at = now - 5 * day + late + 600 * place
                await recorder.submit(event(at, up=True, device_id=device_id))
                await recorder.submit(event(at + 60, up=place > 1, device_id=device_id))
            while not await sums.round():
                pass
        found = await recorder.read(lambda reader: read_days(reader, [*"abc"], edges, now, zone))
        await recorder.stop()
        return found

    found = await sums_of(url)
    assert found == await sums_of(f"sqlite:///{tmp_path}/one.db")
    assert found["a"] != found["c"]


class TestTheServer:
    async def test_a_database_that_need_not_flush_by_default_flushes_what_is_acknowledged(self, url: str) -> None:
        name = url.rpartition("/")[2]
        look(url, f"ALTER DATABASE {name} SET synchronous_commit = off")
        async with journals(url, 1) as [journal]:
            look(
                url,
                "CREATE TABLE seen (how text); CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                "INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$; "
                "CREATE CONSTRAINT TRIGGER see AFTER INSERT ON turn DEFERRABLE INITIALLY DEFERRED "  # as it commits
                "FOR EACH ROW EXECUTE FUNCTION see()",
            )
            await journal.append([append(NOW, UP)], 0)
            await journal.expose(1)
            await journal.heartbeat(90_000)
            query = "SELECT current_setting('synchronous_commit')"
            assert await journal.transact(lambda transaction: transaction.rows(query)) == [("on",)]
        assert look(url, "SELECT DISTINCT how FROM seen") == [("on",)]

    async def test_a_server_that_does_not_answer_is_given_up_and_its_commit_is_not_cut_short(self, url: str) -> None:
        async with journals(url, 1, patience=0.3) as [journal]:
            with psycopg.connect(url) as blocking:
                blocking.execute("SELECT FROM lock_row FOR UPDATE")
                with pytest.raises(JournalUnavailable, match="does not answer"):
                    await journal.append([append(NOW, UP)], 0)
                assert journal.stats().works
            await eventually(lambda: look(url, "SELECT count(*) FROM event") == [(1,)], "it went on by itself")
            assert list((await journal.append([append(NOW, UP)], 0)).numbers) == [None]

    async def test_while_it_is_away_events_are_refused_with_the_reason_and_it_recovers_by_itself(
        self, cluster: Cluster
    ) -> None:
        async with exporters(cluster.database(), 1) as [one]:
            await one.submit(event(NOW - 100, up=True))
            cluster.stop()
            with pytest.raises(JournalUnavailable, match=f"127.0.0.1:{cluster.port}"):
                await one.submit(event(NOW - 50, up=False))
            assert one.healthy  # a restart would not help
            await eventually(lambda: "cannot be reached" in one.trouble)
            cluster.start()

            async def stored() -> bool:
                try:
                    return await one.submit(event(NOW - 50, up=False)) in (ACCEPTED, DUPLICATE)
                except JournalUnavailable:
                    return False

            await eventually(stored, "events are stored again")
            assert one.trouble == ""

    async def test_a_server_that_takes_no_writes_says_so(self, url: str) -> None:
        async with journals(url, 1) as [journal]:
            look(url, f"ALTER DATABASE {url.rpartition('/')[2]} SET default_transaction_read_only = on")
            end_connections(url)
            with pytest.raises(JournalUnavailable, match="takes no writes"):
                await journal.append([append(NOW, UP)], 0)

    async def test_what_a_promoted_server_has_lost_is_offered_again_and_memory_is_told(self, url: str) -> None:
        async with journals(url, 2) as (one, other):
            await one.append([append(NOW, UP)], 0)
            await one.append([append(NOW + 1, DOWN), append(NOW, UP, "d2")], 1)
            look(
                url, "DELETE FROM event WHERE seq > 1; DELETE FROM turn WHERE seq > 1; DELETE FROM device WHERE id > 1"
            )
            end_connections(url)
            await other.append([append(NOW + 5, UP, "d3")], 0)
            with pytest.raises(JournalDiverged):
                await one.tail(3)
            records = await other.tail(0)
            assert [(record.identity.device_id, record.timestamp) for _, record in records] == [
                ("d1", NOW),
                ("d3", NOW + 5),
                ("d1", NOW + 1),
                ("d2", NOW),
            ]
            with pytest.raises(JournalDiverged):
                await one.append([append(NOW + 9, UP)], 3)

    @pytest.mark.parametrize("alike", [False, True], ids=["another number of records", "a record that looks alike"])
    async def test_no_checkpoint_of_a_past_that_the_database_has_lost_gets_into_it(
        self, url: str, *, alike: bool
    ) -> None:
        async with exporters(url, 1) as [one]:
            await one.submit(event(NOW, up=True))
            await one.save_checkpoint()
            await one.submit(event(NOW + 1, up=False))
            await one.submit(event(NOW + 2, up=True))
            look(url, "DELETE FROM event WHERE seq > 1; DELETE FROM turn WHERE seq > 1")
            async with journals(url, 1) as [other]:  # first there, and numbers its own as those that are lost
                await other.append([append(NOW + 1, DOWN, "d2")], 0)
                if alike:
                    await other.append([append(NOW + 2, UP, "d2")], 0)

            with pytest.raises(JournalDiverged):
                await one.save_checkpoint()

        assert look(url, "SELECT seq FROM saved") == [(1,)]


async def test_connections_may_be_shared_by_pgbouncer_between_transactions() -> None:
    server = shared_cluster()
    with bouncer(server) as pool:
        async with journals(pool.through(server.database()), 3) as opened:
            for step in range(10):
                for journal in opened:
                    await journal.append([append(NOW + step, UP), append(NOW, DOWN, f"e{step}")], 0)
                    await journal.expose(0)
                    await journal.heartbeat(90_000)
                    assert await journal.read(lambda reader: len(list(reader.histories()))) == step + 2
                    assert await journal.transact(lambda transaction: transaction.rows("SELECT 1")) == [(1,)]
            assert [await journal.lease(60.0) for journal in opened] == [1, None, None]
            assert [number for number, _ in await opened[0].tail(0)] == list(range(1, 21))


class TestTheStart:
    async def refused(self, url: str) -> str:
        journal = PostgresJournal(url, [TOYS])
        try:
            with pytest.raises((ConfigError, JournalUnavailable)) as refused:
                await journal.start()
        finally:
            await journal.stop()
        assert "\n" not in str(refused.value)
        assert "geheim" not in str(refused.value)
        return f"{type(refused.value).__name__}: {refused.value}"

    async def test_a_wrong_password_host_or_database_is_told_in_a_sentence(self) -> None:
        server = shared_cluster()
        server.execute("DROP ROLE IF EXISTS asks", "CREATE ROLE asks LOGIN PASSWORD 'right'")
        base = f"asks:geheim@127.0.0.1:{server.port}"
        assert "the password is wrong" in await self.refused(f"postgresql://{base}/postgres")
        assert "create it" in await self.refused(server.url("nowhere"))
        assert "cannot be reached" in await self.refused("postgresql://asks:geheim@127.0.0.1:1/postgres")

    async def test_a_user_without_rights_is_told_what_to_grant(self, url: str) -> None:
        shared_cluster().execute("DROP ROLE IF EXISTS guest", "CREATE ROLE guest LOGIN")
        look(url, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")  # as it is from PostgreSQL 15 on
        told = await self.refused(url.replace("postgres@", "guest@"))
        assert told.startswith("ConfigError")
        assert "GRANT CREATE, USAGE ON SCHEMA public TO guest" in told

    async def test_a_newer_schema_is_refused_unless_it_says_that_this_program_may_go_on(self, url: str) -> None:
        async with journals(url, 1):
            pass
        look(url, "UPDATE schema_version SET version = 9, compatible_from = 1")
        async with journals(url, 1) as [journal]:
            assert list((await journal.append([append(NOW, UP)], 0)).numbers) == [1]
        look(url, "UPDATE schema_version SET compatible_from = 9")
        assert "the database has schema version 9" in await self.refused(url)

    def test_a_reader_beside_the_exporters_needs_none_of_them(self, url: str) -> None:
        async def fill() -> None:
            async with journals(url, 1) as [journal]:
                await journal.append([append(NOW, UP)], 0)

        asyncio.run(fill())
        with open_reader(url) as reader:
            assert reader.device_count() == 1
            assert [history.identity.device_id for history in reader.histories()] == ["d1"]


class TestReading:
    @pytest.fixture
    async def journal(self, url: str) -> AsyncIterator[PostgresJournal]:
        async with journals(url, 1) as [journal]:
            await journal.append([append(NOW, UP)], 0)
            yield journal

    async def test_a_connection_that_ended_while_nobody_read_is_replaced(
        self, journal: PostgresJournal, url: str
    ) -> None:
        assert await journal.read(lambda reader: reader.device_count()) == 1
        end_connections(url)
        assert await journal.read(lambda reader: reader.device_count()) == 1

    async def test_a_job_that_fails_leaves_nothing_behind(self, journal: PostgresJournal) -> None:
        with pytest.raises(JournalUnavailable, match="nothing"):
            await journal.read(lambda reader: reader.rows("SELECT * FROM nothing"))
        with pytest.raises(JournalUnavailable, match="ended"):
            await journal.read(lambda _: fail(psycopg.OperationalError("it has ended")))
        with pytest.raises(ZeroDivisionError):
            await journal.read(lambda _: fail(ZeroDivisionError()))
        assert await journal.read(lambda reader: reader.device_count()) == 1

    async def test_a_server_that_is_away_is_named(self, cluster: Cluster) -> None:
        url = cluster.database()
        async with journals(url, 1) as [journal]:
            cluster.stop()
            with pytest.raises(JournalUnavailable, match="cannot be reached"):
                await journal.read(lambda reader: reader.device_count())
            with pytest.raises(JournalUnavailable, match="cannot be reached"):
                open_reader(url)

    async def test_what_gateways_told_is_missing_in_a_journal_of_before(self, journal: PostgresJournal) -> None:
        assert await journal.read(lambda reader: blind_of(reader, ["d1"])) == {}


def fail(error: Exception) -> Any:
    raise error


def test_a_server_that_takes_no_writes_is_told_of() -> None:
    given = {"host": "db", "port": "5432", "dbname": "devices"}
    for error in (psycopg.errors.ReadOnlySqlTransaction("no"), psycopg.OperationalError("session is read-only")):
        assert "takes no writes" in str(advice(error, given))
