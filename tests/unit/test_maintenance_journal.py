"""Planned windows in the journal: restarts, reports, retention, old checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from exporter.conventions import ACCEPTED
from exporter.domain.records import SavedDevice, SavedGroup
from exporter.domain.timeline import Outage
from exporter.recording.recorder import Boundary
from tests.unit.journal_site import NOW, Site, event, identity, picture

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.domain.fleet import Change


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def plan(site: Site, at: int, *, inside: bool, device_id: str = "d1") -> None:
    site.clock.now = max(site.clock.now, NOW + at)
    await site.recorder.plan([Boundary(site.recorder.fleet.devices[device_id], NOW + at, inside)])


async def _night(site: Site) -> None:
    """Windows over devices that are up, down, moved and late, with scrapes in between."""
    recorder = site.recorder
    for number in range(1, 4):
        await recorder.submit(event(NOW + number, up=True, device_id=f"d{number}"))
    site.clock.now = NOW + 20
    await recorder.submit(event(NOW + 15, up=False))
    for number in range(1, 4):
        await plan(site, 30, inside=True, device_id=f"d{number}")
    site.clock.now = NOW + 60
    async with recorder.exposing():
        pass
    await recorder.submit(event(NOW + 40, up=False, device_id="d2"))
    await recorder.submit(event(NOW + 50, up=True, device_id="d3", business="b2"))
    await recorder.submit(event(NOW + 25, up=False, device_id="d3"))
    await plan(site, 70, inside=False, device_id="d2")
    site.clock.now = NOW + 80
    await recorder.submit(event(NOW + 65, up=True, device_id="d2"))
    async with recorder.exposing():
        pass


@pytest.mark.parametrize("checkpoint", [False, True], ids=["without a checkpoint", "with a checkpoint inside"])
async def test_a_killed_engine_comes_back_inside_its_windows(site: Site, checkpoint: bool) -> None:
    recorder = await site.start()
    await _night(site)
    if checkpoint:
        await recorder.save_checkpoint()
        await plan(site, 90, inside=False, device_id="d3")
    before, inside = picture(recorder), set(recorder.fleet.planned)
    await site.kill()
    assert picture(await site.start()) == before
    assert set(site.recorder.fleet.planned) == inside
    await site.recorder.stop()
    assert picture(await site.start()) == before
    await site.recorder.stop()


async def test_sums_leave_windows_out_and_facts_do_not(site: Site) -> None:
    recorder = await site.start()
    await recorder.submit(event(NOW, up=True))
    await plan(site, 100, inside=True)
    await recorder.submit(event(NOW + 110, up=False))
    await plan(site, 200, inside=False)
    site.clock.now = NOW + 230
    device, group = recorder.fleet.devices["d1"], recorder.fleet.groups["wa", "b1"]
    assert (group.downtime(NOW + 230), group.observed(NOW + 230)) == (30, 130)
    assert (device.exposed_downtime(NOW + 230), device.timeline.outages, group.outages) == (120, 1, 1)
    await recorder.stop()


async def test_listeners_hear_of_a_window_as_of_a_change_that_leaves_the_state(site: Site) -> None:
    recorder = await site.start()
    heard: list[Change] = []
    await recorder.submit(event(NOW, up=True))
    recorder.subscribe(heard.append)
    await plan(site, 10, inside=True)
    await plan(site, 10, inside=True)
    await plan(site, 20, inside=True)
    assert [(c.before.in_window, c.after.in_window, c.after.up) for c in heard if c.before and c.after] == [
        (False, True, True)
    ]
    await recorder.stop()


async def test_a_boundary_that_arrives_after_later_events_of_the_device_is_put_where_it_belongs(site: Site) -> None:
    recorder = await site.start()
    await recorder.submit(event(NOW, up=True))
    site.clock.now = NOW + 60
    await recorder.submit(event(NOW + 40, up=False))
    await recorder.submit(event(NOW + 50, up=True))
    await plan(site, 45, inside=True)
    assert recorder.fleet.devices["d1"].timeline.counted_downtime(NOW + 60) == 5
    await recorder.stop()


async def test_a_window_does_not_change_who_a_device_is(site: Site) -> None:
    recorder = await site.start()
    await recorder.submit(event(NOW, up=True, name="old"))
    await plan(site, 60, inside=True)
    assert await recorder.submit(event(NOW + 30, up=False, name="new")) == ACCEPTED
    assert recorder.fleet.devices["d1"].identity.device_name == "new"
    await recorder.stop()


async def test_reports_know_the_windows(site: Site) -> None:
    recorder = await site.start()
    await recorder.submit(event(NOW, up=True))
    await plan(site, 10, inside=True)
    await plan(site, 20, inside=False)
    await recorder.submit(event(NOW + 25, up=False))
    await plan(site, 30, inside=True)
    [history] = await recorder.read(lambda reader: list(reader.histories()))
    assert history.planned == [(NOW + 10, NOW + 20), (NOW + 30, None)]
    assert history.outages == [Outage(NOW + 25, None)]
    await recorder.stop()


async def test_forgetting_ends_a_window_and_the_device_comes_back_outside(site: Site) -> None:
    recorder = await site.start()
    await recorder.submit(event(NOW, up=True))
    await plan(site, 10, inside=True)
    site.clock.now = NOW + 40
    await recorder.forget("d1")
    assert recorder.fleet.planned == {}
    site.clock.now = NOW + 60
    await recorder.submit(event(NOW + 55, up=True))
    assert not recorder.fleet.devices["d1"].timeline.in_window
    [history] = await recorder.read(lambda reader: list(reader.histories()))
    assert history.planned == [(NOW + 10, NOW + 40)]
    assert recorder.fleet.groups["wa", "b1"].observed(NOW + 60) == 10 + 5
    await recorder.stop()


async def test_retention_keeps_the_window_that_runs(site: Site) -> None:
    recorder = await site.start()
    await recorder.submit(event(NOW - 1000, up=True))
    site.clock.now = NOW - 990
    await plan(site, -990, inside=True)
    site.clock.now = NOW
    await recorder.prune(500)
    await plan(site, 10, inside=False)
    [history] = await recorder.read(lambda reader: list(reader.histories()))
    assert history.planned == [(NOW - 990, NOW + 10)]
    await recorder.submit(event(NOW + 5, up=False))
    assert recorder.fleet.groups["wa", "b1"].observed(NOW + 10) == 10
    before = picture(recorder)
    await site.kill()
    assert picture(await site.start()) == before
    await site.recorder.stop()


async def test_disconnects_inside_windows_are_not_flapping(site: Site) -> None:
    recorder = await site.start()
    for at, up in [(0, True), (5, False), (6, True)]:
        await recorder.submit(event(NOW + at, up=up))
    await plan(site, 10, inside=True)
    await recorder.submit(event(NOW + 12, up=False))
    await recorder.submit(event(NOW + 13, up=True))
    await plan(site, 20, inside=False)
    await recorder.submit(event(NOW + 20, up=False))
    assert await recorder.read(lambda reader: reader.disconnects_since(NOW)) == [("d1", NOW + 5), ("d1", NOW + 20)]
    await recorder.stop()


def test_checkpoints_from_before_there_were_windows_can_be_read() -> None:
    device = [msgspec.to_builtins(identity()), NOW, NOW, NOW, True, NOW, 0, 0, 0.0, float(NOW), 0.0, 0]
    group = ["wa", "b1", 1, 0, 0, 0, 0, 0, NOW * 1000, 0, 0]
    assert msgspec.convert(device, SavedDevice).planned is None
    assert msgspec.convert(group, SavedGroup).paused == 0
