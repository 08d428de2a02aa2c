"""What a machine's wrong clock leaves behind: once it is set right, the last word that was heard holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.domain.identity import Identity
from exporter.gateways.events import SessionEvent
from exporter.sessions.service import Sessions
from tests.unit.journal_site import NOW, Site, event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from exporter.recording.recorder import Recorder

WHO = Identity("evo:cs-1", "CS", "wa", "evo:cs-1", "CS", "biz", "Toko", "", "", "evo")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    site = Site(tmp_path)
    await site.start()
    yield site
    await site.recorder.end()


def is_up(recorder: Recorder, device_id: str = "d1") -> bool:
    return recorder.fleet.devices[device_id].timeline.up


# -- events whose time is when they were heard ------------------------------------------------------------------------


def heard(kind: str, site: Site) -> SessionEvent:
    return SessionEvent(round(site.clock.now * 1000), kind, WHO, heard=True)


async def sessions_of(site: Site) -> Sessions:
    sessions = Sessions(site.recorder, lambda _: 60.0, site.metrics.registry)
    await sessions.start()
    return sessions


@pytest.mark.parametrize("by", [2, 300, 600, 86_400])
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


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_soft_state_that_was_heard_by_a_clock_ahead_counts_when_it_lasts(
    site: Site, *, restarted: bool
) -> None:
    sessions = await sessions_of(site)
    await sessions.take(heard("up", site))
    site.clock.now = NOW + 86_400
    await sessions.take(heard("soft", site))
    await sessions.round(site.clock.now)
    site.clock.now = NOW + 10
    if restarted:
        await site.kill()
        await site.start()
        sessions = await sessions_of(site)
    await sessions.round(site.clock.now)
    assert is_up(site.recorder, WHO.device_id)
    site.clock.now = NOW + 71
    await sessions.round(site.clock.now)
    assert not is_up(site.recorder, WHO.device_id)


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
    assert not site.recorder.clock_is_behind
    await site.recorder.heartbeat()
    await site.kill()
    site.clock.now = NOW - 600  # power cut: the clock begins where it was last saved
    recorder = await site.start()
    assert recorder.clock_is_behind
    await recorder.heartbeat()
    assert recorder.clock_is_behind
    site.clock.now = NOW
    assert not recorder.clock_is_behind


async def test_a_clock_is_behind_that_is_set_back_while_it_runs(site: Site) -> None:
    await site.recorder.heartbeat()
    site.clock.now = NOW - 0.5  # as a clock that is corrected slowly
    assert not site.recorder.clock_is_behind
    site.clock.now = NOW - 600
    assert site.recorder.clock_is_behind


# -- accounts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exposed", [False, True])
async def test_what_was_heard_by_a_clock_ahead_takes_nothing_from_the_sums_of_its_group(
    site: Site, *, exposed: bool
) -> None:
    site.clock.now = NOW + 3600
    await site.recorder.submit(event(NOW + 3600, up=False))
    if exposed:
        async with site.recorder.exposing():
            pass
    site.clock.now = NOW + 1
    await site.recorder.submit(event(NOW - 100, up=True, device_id="d2"))
    await site.recorder.submit(event(NOW - 50, up=False, device_id="d2"))
    site.clock.now = NOW + 10
    async with site.recorder.exposing() as at:
        [group] = site.recorder.fleet.groups.values()
        assert (group.downtime_known(at), group.observed_known(at)) == (60, 110)
