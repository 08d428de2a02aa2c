"""What a machine's wrong clock leaves behind: once it is set right, the last word that was heard holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.domain.identity import Identity
from exporter.gateways.events import SessionEvent
from exporter.recording.wrong_clock import FRESH
from exporter.sessions.service import Sessions
from tests.unit.journal_site import NOW, Site, event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from exporter.recording.recorder import Recorder

SKEW = 300
WHO = Identity("evo:cs-1", "CS", "wa", "evo:cs-1", "CS", "biz", "Toko", "", "", "evo")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    site = Site(tmp_path)
    await site.start()
    yield site
    await site.recorder.end()


def is_up(recorder: Recorder, device_id: str = "d1") -> bool:
    return recorder.fleet.devices[device_id].timeline.up


# -- events with a time of their own ----------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead", [20, SKEW, 600, 7 * 3600, 86_400])
async def test_what_is_told_with_a_true_time_holds_over_what_was_told_by_a_clock_as_wrong_as_ours(
    site: Site, ahead: int
) -> None:
    site.clock.now = NOW + ahead
    await site.recorder.submit(event(NOW + ahead, up=True))  # by a gateway on the same machine
    await site.recorder.submit(event(NOW + ahead + 1, up=False))
    await site.recorder.heartbeat()
    site.clock.now = NOW + 5
    assert await site.recorder.submit(event(NOW + 5, up=True)) == "accepted"
    assert is_up(site.recorder)
    site.clock.now = NOW + 8
    assert await site.recorder.submit(event(NOW + 7, up=False)) == "accepted"
    assert not is_up(site.recorder)
    assert site.recorder.fleet.devices["d1"].timeline.downtime(NOW + 8) == 1  # nothing is counted ahead of its time

    site.clock.now = NOW + ahead - 5
    await site.recorder.submit(event(NOW + ahead - 6, up=True))
    assert is_up(site.recorder)
    site.clock.now = NOW + ahead + 100  # the true time is past the wrong one
    await site.recorder.submit(event(NOW + ahead + 100, up=True))
    assert site.recorder.fleet.devices["d1"].timeline.newest == NOW + ahead + 100


async def test_what_is_resent_belongs_where_its_time_says_even_then(site: Site) -> None:
    site.clock.now = NOW + 600
    await site.recorder.submit(event(NOW + 600, up=True))
    site.clock.now = NOW + 100
    assert await site.recorder.submit(event(int(NOW + 100 - FRESH - 1), up=False)) == "late"
    assert is_up(site.recorder)


async def test_what_another_exporter_was_told_by_a_wrong_clock_is_seen_by_how_far_ahead_it_is(site: Site) -> None:
    await site.recorder.submit(event(NOW + SKEW + 1, up=False))
    assert await site.recorder.submit(event(NOW, up=True)) == "accepted"
    assert is_up(site.recorder)


async def test_where_the_clock_is_behind_what_comes_in_another_order_is_late(site: Site) -> None:
    await site.recorder.submit(event(NOW, up=True))
    await site.recorder.heartbeat()
    site.clock.now = NOW - 200
    assert await site.recorder.submit(event(NOW - 60, up=False)) == "late"
    assert is_up(site.recorder)


async def test_a_senders_clock_that_may_be_ahead_changes_no_order(site: Site) -> None:
    await site.recorder.submit(event(NOW + SKEW, up=False))
    assert await site.recorder.submit(event(NOW, up=True)) == "late"
    assert not is_up(site.recorder)


# -- events whose time is when they were heard ------------------------------------------------------------------------


def heard(kind: str, site: Site) -> SessionEvent:
    return SessionEvent(round(site.clock.now * 1000), kind, WHO, heard=True)


async def sessions_of(site: Site) -> Sessions:
    sessions = Sessions(site.recorder, lambda _: 60.0, site.metrics.registry)
    await sessions.start()
    return sessions


@pytest.mark.parametrize("by", [2, SKEW, 600, 86_400])
@pytest.mark.parametrize("restarted", [False, True])
async def test_of_what_was_heard_the_last_word_holds_whatever_the_clock_showed(
    site: Site, by: int, *, restarted: bool
) -> None:
    sessions = await sessions_of(site)
    site.clock.now = NOW + by
    for kind in ("up", "hard"):
        await sessions.take(heard(kind, site))
    if restarted:
        await site.kill()
        await site.start()
        sessions = await sessions_of(site)
    site.clock.now = NOW + 1
    for kind, up in (("up", True), ("hard", False), ("up", True), ("hard", False), ("hard", False)):
        await sessions.take(heard(kind, site))
        assert is_up(site.recorder, WHO.device_id) == up
        site.clock.now += 0.25
    await sessions.take(heard("gone", site))
    assert WHO.device_id not in site.recorder.fleet.devices


async def test_a_reconnect_ends_a_soft_state_that_was_heard_by_a_clock_ahead(site: Site) -> None:
    sessions = await sessions_of(site)
    await sessions.take(heard("up", site))
    site.clock.now = NOW + 600
    await sessions.take(heard("soft", site))
    site.clock.now = NOW + 10
    await sessions.take(heard("up", site))
    assert not sessions.waits(WHO.device_id)
    site.clock.now = NOW + 1000
    await sessions.round(site.clock.now)
    assert is_up(site.recorder, WHO.device_id)


async def test_a_soft_state_after_the_clock_is_right_counts_at_its_deadline(site: Site) -> None:
    site.clock.now = NOW + 600
    sessions = await sessions_of(site)
    await sessions.take(heard("up", site))
    site.clock.now = NOW + 10
    assert await sessions.take(heard("soft", site)) == "accepted"
    site.clock.now = NOW + 71
    await sessions.round(site.clock.now)
    assert not is_up(site.recorder, WHO.device_id)


# -- a clock that has gone back ---------------------------------------------------------------------------------------


async def test_a_clock_is_behind_that_shows_a_time_from_before_the_start(site: Site) -> None:
    assert not site.recorder.wrong_clock.is_behind
    await site.recorder.heartbeat()
    await site.kill()
    site.clock.now = NOW - 600  # power cut: the clock begins where it was last saved
    recorder = await site.start()
    assert recorder.wrong_clock.is_behind
    await recorder.heartbeat()
    assert recorder.wrong_clock.is_behind
    site.clock.now = NOW
    assert not recorder.wrong_clock.is_behind


async def test_a_clock_is_behind_that_is_set_back_while_it_runs(site: Site) -> None:
    await site.recorder.heartbeat()
    site.clock.now = NOW - 0.5  # as a clock that is corrected slowly
    assert not site.recorder.wrong_clock.is_behind
    site.clock.now = NOW - 600
    assert site.recorder.wrong_clock.is_behind
