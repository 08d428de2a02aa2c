"""Exporters that die, pause, are cut off or have a wrong clock: with real processes, and what holds after it."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.e2e.process import device_event
from tests.ha.network import network, served_at
from tests.ha.nodes import AHEAD, HERE, Place, leader, seconds_until_leading
from tests.ha.site import TAKEN_OVER, is_ready, site
from tests.patience import patient, wait_for
from tests.postgres import bouncer, shared_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.ha.network import Network
    from tests.ha.site import Site

KILLS = int(os.environ.get("KILLS", "30"))
"""Of exporters at random; a campaign has more."""

pooled = pytest.mark.parametrize("two", ["PgBouncer"], indirect=True)
either_way = pytest.mark.parametrize("two", ["direct", "PgBouncer"], indirect=True)


@pytest.fixture
def two(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    """Two exporters, with PgBouncer in transaction mode before the server where that is asked for."""
    url = shared_cluster().database()
    with ExitStack() as stack:
        if getattr(request, "param", "direct") == "PgBouncer":
            url = stack.enter_context(bouncer(shared_cluster())).through(url)
        yield stack.enter_context(site(tmp_path, url))


def followed_when_killed(two: Site) -> None:
    leading, follower = two.leading_and_not()
    leading.kill()
    took = seconds_until_leading(follower)
    before = len(two.sender.acknowledged)
    wait_for(lambda: len(two.sender.acknowledged) > before + 10, "events are taken by the other")
    leading.start()
    two.check()
    assert took < patient(TAKEN_OVER)
    assert leader(two.nodes) is follower
    two.figures(
        f"led {took:.1f} s after the kill; longest time without an acknowledgement {two.sender.longest_gap:.2f} s"
    )


def test_a_leader_that_is_killed_is_followed_within_eight_seconds_and_nothing_is_lost(two: Site) -> None:
    followed_when_killed(two)


@pytest.mark.slow
@pooled
def test_through_pgbouncer_a_leader_that_is_killed_is_followed_as_well(two: Site) -> None:
    followed_when_killed(two)


@pytest.mark.slow
@either_way
def test_a_leader_that_is_paused_is_followed_and_knows_that_it_leads_no_more_when_it_wakes(two: Site) -> None:
    leading, follower = two.leading_and_not()
    leading.signal(signal.SIGSTOP)
    took = seconds_until_leading(follower)
    time.sleep(6)
    leading.signal(signal.SIGCONT)
    wait_for(leading.ready, "it is there again", 20)
    assert not leading.leads()
    assert leader(two.nodes) is follower
    two.check()
    assert took < patient(TAKEN_OVER)
    two.figures(f"led {took:.1f} s after the pause")


def killed_at_random(two: Site, kills: int) -> None:
    chance = random.Random(20261128)
    for _ in range(kills):
        victim = chance.choice(two.nodes)
        wait_for(lambda node=victim: is_ready(node), "it was started again", 60, every=0.05)
        time.sleep(chance.uniform(0, 0.5))
        victim.kill()
        victim.start(wait=False)
    two.check()
    two.figures(f"{kills} kills")


@pytest.mark.slow
@pytest.mark.timeout(60 + 15 * KILLS)
def test_exporters_killed_at_random_lose_nothing_and_show_no_counter_that_falls(two: Site) -> None:
    killed_at_random(two, KILLS)


@pytest.mark.slow
@pooled
def test_through_pgbouncer_exporters_killed_at_random_lose_nothing_either(two: Site) -> None:
    killed_at_random(two, 8)


@pytest.mark.slow
def test_an_exporter_whose_clock_is_ahead_counts_as_the_other(tmp_path: Path) -> None:
    with site(tmp_path, shared_cluster().database(), places=(HERE, AHEAD)) as two:
        before = len(two.sender.acknowledged)
        wait_for(lambda: len(two.sender.acknowledged) > before + 100, "events are taken by both", 30)
        two.check()


@pytest.fixture(params=["direct", "PgBouncer"])
def cut_off(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Site, Network]]:
    """An exporter in a network namespace of its own, from which the server can be made unreachable."""
    with ExitStack() as stack:
        lines = stack.enter_context(network())
        if request.param == "PgBouncer":
            pool = stack.enter_context(bouncer(shared_cluster(), lines.host))
            url = pool.through(shared_cluster().database())
        else:
            url = stack.enter_context(served_at(lines.host))
        places = (HERE, Place(lines.inside, lines.guest))
        yield stack.enter_context(site(tmp_path, url, places=places)), lines


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
    two.figures(f"led {took:.1f} s after the cut")
