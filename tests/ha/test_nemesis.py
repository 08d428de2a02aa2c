"""What goes wrong among several exporters over one PostgreSQL, with real processes, and what holds after it.

Rows of a failure are (a) every acknowledged event is there once, (b) numbers without a gap, (c) all exporters show the
same and what the events say, (d) no counter was seen to fall, (e) one key for each call of a hook.
"""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.e2e.process import device_event
from tests.ha.network import network, served_at
from tests.ha.nodes import (
    HERE,
    Hook,
    Looker,
    Node,
    Place,
    Sender,
    check_equal,
    check_events,
    leader,
    seconds_until_leading,
)
from tests.ha.pairs import pair, processes_of
from tests.patience import patient, wait_for
from tests.postgres import bouncer, shared_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.ha.network import Network
    from tests.ha.pairs import Pair

KILLS = int(os.environ.get("KILLS", "30"))
"""Of exporters at random; a campaign has more."""
TAKEN_OVER = 8.0
"""Seconds within which another exporter leads."""


def is_ready(node: Node) -> bool:
    try:
        return node.ready()
    except (ConnectionError, OSError):
        return False


def figures(text: str) -> None:
    """Show what was measured, in a run with -s."""
    print(f"\n{text}", end=" ")  # noqa: T201


@dataclass
class Site:
    url: str
    nodes: list[Node]
    sender: Sender
    looker: Looker
    hook: Hook

    @property
    def one(self) -> Node:
        return self.nodes[0]

    @property
    def other(self) -> Node:
        return self.nodes[1]

    def leading_and_not(self) -> tuple[Node, Node]:
        leading = leader(self.nodes)
        return leading, next(node for node in self.nodes if node is not leading)

    def rest(self) -> None:
        """Bring every exporter up, every device too, and let nothing happen."""
        for node in self.nodes:
            if node.process is None or node.process.poll() is not None:
                node.start()
        self.sender.end()
        wait_for(lambda: all(node.ready() for node in self.nodes), "all exporters are ready", 20)
        time.sleep(0.5)

    def check(self) -> None:
        """Bring it to rest; what must always hold does."""
        self.rest()
        check_events(self.url, self.sender)
        check_equal(self.nodes, self.url)
        assert self.looker.scrapes > 5
        assert self.looker.falls == []
        self.hook.check()


@contextmanager
def site(folder: Path, url: str, *, places: Sequence[Place] = (HERE, HERE)) -> Iterator[Site]:
    """Run exporters, send to them and look at them."""
    with ExitStack() as stack:
        hook = stack.enter_context(Hook())
        nodes = [Node(folder / f"node{number}", url, hook.url, place) for number, place in enumerate(places, 1)]
        for node in nodes:
            stack.enter_context(node)
        sender = stack.enter_context(Sender(nodes))
        looker = stack.enter_context(Looker(nodes))
        found = Site(url, nodes, sender, looker, hook)
        wait_for(lambda: len(sender.acknowledged) > 10, "events are taken")
        yield found


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path, shared_cluster().database()) as found:
        yield found


def test_a_leader_that_is_killed_is_followed_within_eight_seconds_and_nothing_is_lost(two: Site) -> None:
    leading, follower = two.leading_and_not()
    leading.kill()
    took = seconds_until_leading(follower)
    before = len(two.sender.acknowledged)
    wait_for(lambda: len(two.sender.acknowledged) > before + 10, "events are taken by the other")
    leading.start()
    two.check()
    assert took < patient(TAKEN_OVER)
    assert leader(two.nodes) is follower
    figures(f"led {took:.1f} s after the kill; longest time without an acknowledgement {two.sender.longest_gap:.2f} s")


@pytest.mark.slow
def test_a_leader_that_is_paused_is_followed_and_knows_that_it_leads_no_more_when_it_wakes(two: Site) -> None:
    leading, follower = two.leading_and_not()
    leading.signal(signal.SIGSTOP)
    took = seconds_until_leading(follower)
    time.sleep(6)
    calls = len(two.hook.sink.posts)
    leading.signal(signal.SIGCONT)
    wait_for(leading.ready, "it is there again", 20)
    assert not leading.leads()
    assert leader(two.nodes) is follower
    two.check()
    assert took < patient(TAKEN_OVER)
    assert calls <= len(two.hook.sink.posts)
    figures(f"led {took:.1f} s after the pause")


@pytest.mark.slow
def test_exporters_killed_at_random_lose_nothing_and_show_no_counter_that_falls(two: Site) -> None:
    chance = random.Random(20261128)
    for _ in range(KILLS):
        victim = chance.choice(two.nodes)
        wait_for(lambda node=victim: is_ready(node), "it was started again", 60, every=0.05)
        time.sleep(chance.uniform(0, 0.5))
        victim.kill()
        victim.start(wait=False)
    two.check()
    figures(f"{KILLS} kills, {len(two.sender.acknowledged)} acknowledged, {two.looker.scrapes} scrapes")


@pytest.mark.slow
def test_an_exporter_whose_clock_is_ahead_counts_as_the_other(tmp_path: Path) -> None:
    with site(tmp_path, shared_cluster().database(), places=(HERE, Place(skew=25.0))) as two:
        before = len(two.sender.acknowledged)
        wait_for(lambda: len(two.sender.acknowledged) > before + 100, "events are taken by both", 30)
        two.check()


@pytest.mark.slow
def test_a_backup_and_a_long_transaction_of_another_program_hold_up_no_append(two: Site) -> None:
    quiet = _pace(two.sender)
    with psycopg.connect(two.url) as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT count(*) FROM event")
        held = _pace(two.sender)
    two.check()
    assert held > quiet / 3
    figures(f"{quiet:.0f} events a second before, {held:.0f} beside a transaction that stays open")


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
        promoted = time.monotonic()
        wait_for(lambda: max(two.sender.times) > promoted, "events are taken again", 20)
        first = min(at for at in two.sender.times if at > promoted) - promoted
        two.url = synchronous.standby.url("exporter")
        two.check()
    assert first < patient(2.0)
    figures(f"first acknowledgement {first:.2f} s after the promotion")


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
        promoted = time.monotonic()
        wait_for(lambda: max(two.sender.times) > promoted, "events are taken again", 30)
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


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ["restarted", "read-only"])
def test_a_server_that_is_restarted_or_takes_no_writes_is_waited_for(tmp_path: Path, trouble: str) -> None:
    with pair(synchronous=False) as servers, site(tmp_path, servers.primary.url("exporter")) as two:
        if trouble == "restarted":
            servers.primary.stop()
            wait_for(lambda: two.one.post(device_event("x", 1_790_000_000, up=True)).status == 503, "it is refused")
            servers.primary.start()
        else:
            servers.primary.execute("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
            servers.primary.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'exporter'")
            wait_for(lambda: two.one.post(device_event("x", 1_790_000_000, up=True)).status == 503, "it is refused")
            servers.primary.execute(
                "SET default_transaction_read_only = off",
                "ALTER SYSTEM RESET default_transaction_read_only",
                "SELECT pg_reload_conf()",
            )
        before = len(two.sender.acknowledged)
        wait_for(lambda: len(two.sender.acknowledged) > before + 10, "events are taken again", 30)
        two.check()


@pytest.fixture
def cut_off(tmp_path: Path) -> Iterator[tuple[Site, Network]]:
    """An exporter in a network namespace of its own, from which the server can be made unreachable."""
    with network() as lines, served_at(lines.host) as url:
        places = (HERE, Place(lines.inside, lines.guest))
        with site(tmp_path, url, places=places) as two:
            yield two, lines


@pytest.mark.slow
def test_an_exporter_that_is_cut_off_from_the_server_is_silent_and_followed(cut_off: tuple[Site, Network]) -> None:
    two, lines = cut_off
    if leader(two.nodes) is two.one:  # let the one lead that can be cut off
        two.one.stop()
        leader([two.other])
        two.one.start()
    lines.cut(two.url)
    took = seconds_until_leading(two.one)
    wait_for(lambda: two.other.get("/-/ready").status == 503, "who is cut off is not ready", 15)
    assert two.other.post(device_event("x", 1_790_000_000, up=True)).status == 503
    wait_for(lambda: "device_up" not in two.other.samples(), "it shows no devices", 45, every=0.5)
    assert two.one.sample("device_up") is not None
    lines.heal()
    wait_for(two.other.ready, "it is back", 30)
    two.check()
    assert took < patient(TAKEN_OVER)
    figures(f"led {took:.1f} s after the cut")


@pytest.mark.slow
def test_through_pgbouncer_the_same_holds(tmp_path: Path) -> None:
    with bouncer(shared_cluster()) as through, site(tmp_path, through(shared_cluster().database())) as two:
        leading, follower = two.leading_and_not()
        leading.kill()
        took = seconds_until_leading(follower)
        leading.start()
        two.check()
    assert took < patient(TAKEN_OVER)
