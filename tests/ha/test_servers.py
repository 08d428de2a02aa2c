"""PostgreSQL servers that die, are promoted, pause, take no writes or have no room left, and what holds after it."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.e2e.process import device_event
from tests.ha.nodes import HERE, Place, check_equal, check_events
from tests.ha.pairs import pair, processes_of, small_disk
from tests.ha.site import site
from tests.patience import patient, wait_for
from tests.postgres import Cluster, bouncer, shared_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.process import Answer
    from tests.ha.nodes import Node, Sender
    from tests.ha.pairs import Pair
    from tests.ha.site import Site


ATTENTIVE = Place(
    before="import os; os.environ.update("
    "DEVICE_EXPORTER_STORAGE_RETRY_SPAN='2s', DEVICE_EXPORTER_STORAGE_HEARTBEAT_INTERVAL='1s')"
)
"""An exporter that calls itself blind after two seconds."""


@pytest.mark.slow
def test_a_backup_and_a_long_transaction_of_another_program_hold_up_no_append(tmp_path: Path) -> None:
    with site(tmp_path, shared_cluster().database()) as two:
        quiet = _pace(two.sender)
        with psycopg.connect(two.url) as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            connection.execute("SELECT count(*) FROM event")
            held = _pace(two.sender)
        two.check()
        assert held > quiet / 3
        two.figures(f"{quiet:.0f} events a second before, {held:.0f} beside a transaction that stays open")


def _pace(sender: Sender, seconds: float = 5.0) -> float:
    before = len(sender.acknowledged)
    time.sleep(seconds)
    return (len(sender.acknowledged) - before) / seconds


@pytest.fixture
def synchronous() -> Iterator[Pair]:
    with pair(synchronous=True) as found:
        yield found


def test_a_primary_that_dies_and_a_standby_that_is_promoted_lose_nothing(synchronous: Pair, tmp_path: Path) -> None:
    with site(tmp_path, synchronous.url) as two:
        synchronous.primary.stop(signal.SIGKILL)
        time.sleep(1)
        synchronous.promote()
        first = _first_after(two, time.monotonic())
        two.url = synchronous.standby.url("exporter")
        two.check()
        assert first < patient(2.0)
        two.figures(f"first acknowledgement {first:.2f} s after the promotion")


@pytest.mark.slow
def test_through_pgbouncer_a_promotion_loses_nothing_either(synchronous: Pair, tmp_path: Path) -> None:
    direct = synchronous.primary.url("exporter")
    with bouncer(synchronous.primary) as pool, site(tmp_path, pool.through(direct)) as two:
        synchronous.primary.stop(signal.SIGKILL)
        time.sleep(1)
        synchronous.promote()
        pool.turn_to(synchronous.standby)
        first = _first_after(two, time.monotonic())
        two.url = synchronous.standby.url("exporter")
        two.check()
        two.figures(f"first acknowledgement {first:.2f} s after PgBouncer was turned to the promoted server")


def _first_after(two: Site, moment: float) -> float:
    """Return how many seconds after a moment an event was first acknowledged."""
    wait_for(lambda: max(two.sender.times) > moment, "events are taken again", 30)
    return min(at for at in two.sender.times if at > moment) - moment


@pytest.mark.slow
def test_what_an_asynchronous_standby_lacked_is_offered_again(tmp_path: Path) -> None:
    with pair(synchronous=False) as servers, site(tmp_path, servers.url) as two:
        servers.standby.execute("SELECT pg_wal_replay_pause()")
        servers.primary.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
        receiver = "ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=1'"
        servers.standby.execute(receiver, "SELECT pg_reload_conf()")
        before = len(two.sender.acknowledged)
        wait_for(lambda: len(two.sender.acknowledged) > before + 50, "events that the standby lacks")
        servers.primary.stop(signal.SIGKILL)
        servers.promote()
        _first_after(two, time.monotonic())
        two.url = servers.standby.url("exporter")
        two.rest()
        wait_for(lambda: _complete(two), "what was lost is offered again", 20)
        check_events(two.url, two.sender)
        check_equal(two.nodes, two.url)


def _complete(two: Site) -> bool:
    try:
        check_events(two.url, two.sender)
    except AssertionError:
        return False
    return True


@pytest.mark.slow
def test_nothing_is_acknowledged_while_the_standby_is_paused(synchronous: Pair, tmp_path: Path) -> None:
    with site(tmp_path, synchronous.url) as two:
        processes = processes_of(synchronous.standby.pid)
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(2)
        before = len(two.sender.acknowledged)
        time.sleep(15)
        during = len(two.sender.acknowledged) - before
        for pid in processes:
            os.kill(pid, signal.SIGCONT)
        wait_for(lambda: len(two.sender.acknowledged) > before + 20, "events are taken again", 30)
        two.check()
    assert during == 0


def _refused(two: Site) -> Answer:
    """Return the answer to an event, once it is not taken."""

    def answer() -> Answer | None:
        found = two.one.post(device_event("x", 1_790_000_000, up=True))
        return found if found.status == 503 else None

    found = wait_for(answer, "an event is refused", 60, every=0.1)
    assert found is not None
    assert int(found.headers["Retry-After"]) > 0
    return found


@contextmanager
def alone(folder: Path, server: Cluster, place: Place = HERE) -> Iterator[Site]:
    """Run exporters over a server that a test may harm."""
    try:
        server.make()
        server.start()
        with site(folder, server.database(), places=(place, place)) as found:
            yield found
    finally:
        server.remove()


def goes_on(two: Site) -> None:
    """Events are taken again by themselves, and nothing is wrong."""
    before = len(two.sender.acknowledged)
    wait_for(lambda: len(two.sender.acknowledged) > before + 10, "events are taken again", 30)
    two.check()


@pytest.mark.slow
def test_while_a_server_is_away_events_are_refused_at_once_and_then_taken_and_the_time_is_known(tmp_path: Path) -> None:
    server = Cluster()
    with alone(tmp_path, server, ATTENTIVE) as two:
        server.stop()
        _refused(two)
        began = time.monotonic()
        for _ in range(5):
            _refused(two)
        took = (time.monotonic() - began) / 5
        time.sleep(4)
        server.start()
        goes_on(two)
        wait_for(lambda: max(map(_blind, two.nodes)) > 0, "the time in which nothing could be heard is known", 5)
        assert took < patient(0.5)
        two.figures(f"refused within {took * 1000:.0f} ms; blind for {max(map(_blind, two.nodes)):.1f} s")


def _blind(node: Node) -> float:
    return node.sample("device_exporter_blind_seconds_total") or 0.0


@pytest.mark.slow
def test_a_server_that_takes_no_writes_is_waited_for(tmp_path: Path) -> None:
    server = Cluster()
    with alone(tmp_path, server) as two:
        server.execute("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test%'")
        _refused(two)
        wait_for(lambda: "takes no writes" in two.one.get("/-/ready").text, "it says why")
        server.execute(
            "SET default_transaction_read_only = off",
            "ALTER SYSTEM RESET default_transaction_read_only",
            "SELECT pg_reload_conf()",
        )
        goes_on(two)


@pytest.mark.slow
def test_a_server_whose_disk_is_full_is_waited_for(tmp_path: Path) -> None:
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk(200))
        two = stack.enter_context(alone(tmp_path, Cluster(disk.place, max_wal_size="32MB", min_wal_size="32MB")))
        disk.fill()
        _refused(two)
        wait_for(lambda: "No space left on device" in two.one.log + two.other.log, "it says why")
        disk.free()
        goes_on(two)
