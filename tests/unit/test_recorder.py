"""The recorder on a real journal: outcomes, restarts, failures of the disk, exposed counters."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from exporter.conventions import ACCEPTED, DUPLICATE, LATE, REDUNDANT
from exporter.errors import InvalidEvent, JournalUnavailable, Overloaded
from tests.unit.journal_site import NOW, FakeClock, Site, event, picture

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.domain.fleet import Change


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def test_each_event_gets_its_outcome(site: Site) -> None:
    recorder = await site.start()
    sent = [(100, True), (110, False), (110, False), (120, False), (115, True), (130, True)]
    outcomes = [await recorder.submit(event(NOW + at, up=up)) for at, up in sent]
    assert outcomes == [ACCEPTED, ACCEPTED, DUPLICATE, REDUNDANT, LATE, ACCEPTED]
    timeline = recorder.fleet.devices["d1"].timeline
    assert (timeline.outages, timeline.closed_downtime) == (2, 15)
    await recorder.stop()


async def test_a_burst_for_one_device_in_one_commit_is_applied_in_its_order(site: Site) -> None:
    recorder = await site.start()
    outcomes = await asyncio.gather(*(recorder.submit(event(NOW + at, up=bool(at % 2))) for at in (1, 4, 3, 2, 3)))
    assert outcomes == [ACCEPTED, ACCEPTED, LATE, LATE, DUPLICATE]
    assert site.sample("journal_batch_size_count") == 1
    assert recorder.fleet.devices["d1"].timeline.outages == 2
    await recorder.stop()


async def test_a_third_change_within_one_second_is_a_repetition_and_the_next_event_sets_it_right(site: Site) -> None:
    recorder = await site.start()
    sent = [(0, True), (100, False), (100, True), (100, False)]
    outcomes = [await recorder.submit(event(NOW + at, up=up)) for at, up in sent]
    assert outcomes == [ACCEPTED, ACCEPTED, LATE, DUPLICATE]
    assert recorder.fleet.devices["d1"].timeline.up
    assert await recorder.submit(event(NOW + 101, up=False)) == ACCEPTED
    assert recorder.fleet.devices["d1"].timeline.since == NOW + 101
    await recorder.stop()


async def _a_day(site: Site) -> None:
    """Everything that can happen to a fleet, with scrapes in between."""
    recorder = site.recorder
    for number in range(5):
        await recorder.submit(event(NOW + number, up=True, device_id=f"d{number}"))
    site.clock.now = NOW + 100
    await recorder.submit(event(NOW + 50, up=False))
    async with recorder.exposing():
        pass
    await recorder.submit(event(NOW + 60, up=True))  # late in the day: the exposed counter must stand still
    await recorder.submit(event(NOW + 40, up=False, device_id="d2"))
    await recorder.submit(event(NOW + 30, up=False, device_id="d2"))
    await recorder.submit(event(NOW + 80, up=False, device_id="d3", business="b2"))
    site.clock.now = NOW + 200
    async with recorder.exposing():
        pass
    await recorder.forget("d4")
    await recorder.submit(event(NOW + 400, up=True, device_id="d0", name="ahead of our clock"))


@pytest.mark.parametrize("checkpoint", [False, True], ids=["without a checkpoint", "with a checkpoint in between"])
async def test_a_killed_engine_comes_back_as_it_was(site: Site, checkpoint: bool) -> None:
    recorder = await site.start()
    await recorder.submit(event(NOW - 10, up=True, device_id="d9"))
    if checkpoint:
        await recorder.save_checkpoint()
    await _a_day(site)
    before = picture(recorder)
    await site.kill()
    assert picture(await site.start()) == before
    await site.recorder.stop()


async def test_a_stopped_engine_comes_back_from_its_checkpoint_alone(site: Site) -> None:
    recorder = await site.start()
    await _a_day(site)
    before = picture(recorder)
    await recorder.stop()
    with closing(sqlite3.connect(site.path)) as connection:
        assert connection.execute("SELECT count(*) FROM event WHERE seq > (SELECT value FROM meta WHERE key = 'checkpoint_seq')").fetchone() == (0,)  # fmt: skip # noqa: E501
    again = await site.start()
    assert picture(again) == before
    await again.stop()


async def test_an_exposed_counter_never_decreases_over_corrections_and_a_crash(site: Site) -> None:
    recorder = await site.start()
    await recorder.submit(event(NOW, up=True))
    await recorder.submit(event(NOW + 10, up=False))
    site.clock.now = NOW + 1010
    async with recorder.exposing() as now:
        exposed = recorder.fleet.devices["d1"].exposed_downtime(now)
    assert exposed == 1000
    await site.kill()
    recorder = await site.start()
    await recorder.submit(event(NOW + 20, up=True))
    device = recorder.fleet.devices["d1"]
    assert device.timeline.downtime(now) == 10
    assert device.exposed_downtime(now) >= exposed
    await recorder.submit(event(NOW + 1010, up=False))
    site.clock.now = NOW + 5000
    assert device.exposed_downtime(site.clock.now) == device.timeline.downtime(site.clock.now) == 4000
    await recorder.stop()


@pytest.mark.parametrize("turns", [0, 1, 2, 3], ids=lambda turns: f"{turns} turns of the loop after the event came")
async def test_an_event_on_its_way_to_the_file_cannot_lower_what_a_scrape_shows_meanwhile(
    site: Site, turns: int
) -> None:
    recorder = await site.start()
    await recorder.submit(event(NOW - 1000, up=False))
    on_its_way = asyncio.ensure_future(recorder.submit(event(NOW - 900, up=True)))
    for _ in range(turns):
        await asyncio.sleep(0)
    async with recorder.exposing() as now:
        device = recorder.fleet.devices["d1"]
        exposed = device.exposed_downtime(now), recorder.fleet.groups["wa", "b1"].downtime(now)
    await on_its_way
    assert device.timeline.up
    assert device.exposed_downtime(now + 1) >= exposed[0]
    assert recorder.fleet.groups["wa", "b1"].downtime(now + 1) >= exposed[1]
    before = picture(recorder)
    await site.kill()
    assert picture(await site.start()) == before
    await site.recorder.stop()


async def test_what_an_exposition_shows_of_a_change_in_its_middle_is_not_taken_back(site: Site) -> None:
    recorder = await site.start()
    await recorder.submit(event(NOW - 1000, up=True))
    async with recorder.exposing() as now:
        await recorder.submit(event(NOW - 600, up=False))
        device = recorder.fleet.devices["d1"]
        exposed = device.exposed_downtime(now), recorder.fleet.groups["wa", "b1"].downtime(now)
        assert exposed[0] >= 600
    await recorder.submit(event(NOW - 500, up=True))
    assert device.timeline.downtime(now) == 100
    assert device.exposed_downtime(now) >= exposed[0]
    assert recorder.fleet.groups["wa", "b1"].downtime(now) >= exposed[1]
    before = picture(recorder)
    await site.kill()
    assert picture(await site.start()) == before
    await site.recorder.stop()


async def test_an_exposition_that_the_journal_did_not_hear_of_counts_all_the_same(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.recording.recorder.PATIENCE", 0.05)
    recorder = await site.start()
    await recorder.submit(event(NOW - 1000, up=True))
    await recorder.submit(event(NOW - 600, up=False))
    site.clock.now = NOW + 100
    expose = site.journal.expose
    site.journal.expose = _unavailable
    async with recorder.exposing() as now:
        exposed = recorder.fleet.devices["d1"].exposed_downtime(now)
    assert now <= NOW + 1  # the journal's last word
    site.journal.expose = expose
    await recorder.submit(event(NOW - 500, up=True))
    assert recorder.fleet.devices["d1"].exposed_downtime(NOW + 100) >= exposed
    await recorder.stop()


async def test_an_outage_that_is_told_late_is_no_longer_than_it_was(site: Site) -> None:
    recorder = await site.start()
    await recorder.submit(event(NOW - 1000, up=True))
    async with recorder.exposing() as now:
        pass
    await recorder.submit(event(NOW - 500, up=False))
    await recorder.submit(event(NOW - 470, up=True))
    assert recorder.fleet.devices["d1"].exposed_downtime(now) == 30
    assert recorder.fleet.groups["wa", "b1"].downtime(now) == 30
    await recorder.stop()


async def test_events_far_apart_that_no_scrape_saw_leave_no_floor_behind(site: Site) -> None:
    recorder = await site.start()
    await recorder.submit(event(NOW - 86_400 * 30, up=False))
    await recorder.submit(event(NOW - 86_400 * 30 + 60, up=True))
    assert recorder.fleet.devices["d1"].exposed_downtime(NOW) == 60
    assert recorder.fleet.groups["wa", "b1"].downtime(NOW) == 60
    await recorder.stop()


async def test_a_forgotten_device_leaves_its_sums_and_comes_back_as_a_new_one(site: Site) -> None:
    recorder = await site.start()
    await recorder.submit(event(NOW - 100, up=False))
    await recorder.submit(event(NOW - 40, up=True))
    assert await recorder.forget("d1")
    assert not await recorder.forget("d1")
    assert "d1" not in recorder.fleet.devices
    assert await recorder.submit(event(NOW - 70, up=True)) == LATE
    assert "d1" not in recorder.fleet.devices
    site.clock.now = NOW + 10
    assert await recorder.submit(event(NOW + 5, up=False)) == ACCEPTED
    assert recorder.fleet.devices["d1"].timeline.outages == 1
    group = recorder.fleet.groups["wa", "b1"]
    assert (group.outages, group.downtime(NOW + 10), group.observed(NOW + 10)) == (2, 35, 105)
    before = picture(recorder)
    await site.kill()
    assert picture(await site.start()) == before
    history = await site.recorder.history("d1")
    assert history is not None
    assert [(outage.start - NOW, outage.end) for outage in history.outages] == [(-100, NOW - 70), (5, None)]
    await site.recorder.stop()


async def test_while_the_disk_is_full_senders_are_told_to_retry_and_nothing_is_lost(site: Site) -> None:
    recorder = await site.start()
    await recorder.submit(event(NOW, up=True))
    with site.full_disk():
        for at in (1, 2):
            with pytest.raises(JournalUnavailable):
                await recorder.submit(event(NOW + at, up=False))
    assert recorder.fleet.devices["d1"].timeline.up
    assert site.sample("journal_failures_total", operation="append") == 2
    assert await recorder.submit(event(NOW + 1, up=False)) == ACCEPTED
    assert not recorder.fleet.devices["d1"].timeline.up
    before = picture(recorder)
    await site.kill()
    assert picture(await site.start()) == before
    await site.recorder.stop()


async def test_why_events_cannot_be_stored_is_logged_once_and_so_is_the_end_of_it(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", "exporter.recording.commits")
    recorder = await site.start()
    with site.full_disk():
        for at in (1, 2, 3):
            with pytest.raises(JournalUnavailable):
                await recorder.submit(event(NOW + at, up=False))
    await recorder.submit(event(NOW + 4, up=False))
    await recorder.stop()
    assert [record.message for record in caplog.records] == [
        "events cannot be stored",
        "events are stored again",
    ]
    assert "database or disk is full" in str(caplog.records[0].__dict__)


async def test_nothing_is_acknowledged_into_a_file_that_was_removed_until_it_is_put_back(site: Site) -> None:
    recorder = await site.start()
    await recorder.submit(event(NOW, up=True))
    aside = site.path.with_name("aside")
    site.path.rename(aside)
    for at in (1, 2):
        with pytest.raises(JournalUnavailable, match="was removed or replaced"):
            await recorder.submit(event(NOW + at, up=False))
        assert not recorder.healthy
        assert "was removed or replaced" in recorder.trouble
    assert not site.path.exists()
    aside.rename(site.path)
    assert await recorder.submit(event(NOW + 3, up=False)) == ACCEPTED
    assert (recorder.healthy, recorder.trouble) == (True, "")
    before = picture(recorder)
    await site.kill()
    assert picture(await site.start()) == before
    await site.recorder.stop()


async def test_a_record_that_is_on_disk_though_its_commit_failed_is_found_by_the_next_one(site: Site) -> None:
    recorder = await site.start()
    await recorder.submit(event(NOW, up=True))
    append = site.journal.append

    async def commit_then_fail(*batch: object) -> None:
        await append(*batch)
        raise JournalUnavailable("the commit's outcome is unknown")

    site.journal.append = commit_then_fail
    with pytest.raises(JournalUnavailable):
        await recorder.submit(event(NOW - 10, up=False))
    site.journal.append = append
    assert await recorder.submit(event(NOW - 5, up=False)) == LATE
    assert recorder.fleet.devices["d1"].timeline.first_seen == NOW - 10
    assert await recorder.submit(event(NOW - 10, up=False)) == DUPLICATE
    before = picture(recorder)
    await site.kill()
    assert picture(await site.start()) == before
    await site.recorder.stop()


async def test_a_checkpoint_that_failed_is_made_up_for_by_the_next(site: Site) -> None:
    recorder = await site.start()
    await recorder.submit(event(NOW, up=True))
    save = site.journal.save
    site.journal.save = _unavailable
    with pytest.raises(JournalUnavailable):
        await recorder.save_checkpoint()
    site.journal.save = save
    await recorder.submit(event(NOW, up=True, device_id="d2"))
    before = picture(recorder)
    await recorder.stop()
    assert picture(await site.start()) == before
    await site.recorder.stop()


async def test_more_waiting_events_than_the_queue_takes_are_refused_and_the_others_answered(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.recording.recorder.QUEUE_LIMIT", 3)
    recorder = await site.start()
    tries = (recorder.submit(event(NOW + at, up=True)) for at in range(5))
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert [type(result) for result in results] == [str, str, str, Overloaded, Overloaded]
    await recorder.stop()


async def test_events_older_than_what_retention_kept_are_refused(site: Site) -> None:
    recorder = await site.start()
    await recorder.submit(event(NOW - 1000, up=False))
    await recorder.submit(event(NOW - 900, up=True))
    await recorder.prune(500)
    with pytest.raises(InvalidEvent, match="older than the journal"):
        await recorder.submit(event(NOW - 501, up=True))
    assert await recorder.submit(event(NOW - 499, up=False)) == ACCEPTED
    assert recorder.fleet.devices["d1"].timeline.closed_downtime == 100
    before = picture(recorder)
    await site.kill()
    assert picture(await site.start()) == before
    with pytest.raises(InvalidEvent):
        await site.recorder.submit(event(NOW - 501, up=True))
    await site.recorder.stop()


async def test_a_longer_retention_does_not_let_older_events_in_again(site: Site) -> None:
    recorder = await site.start()
    await recorder.submit(event(NOW - 600, up=False))
    await recorder.prune(500)
    await recorder.prune(2000)
    with pytest.raises(InvalidEvent):
        await recorder.submit(event(NOW - 700, up=True))
    await recorder.stop()


async def test_events_under_way_when_retention_runs_are_part_of_what_it_keeps(site: Site) -> None:
    recorder = await site.start()
    await recorder.submit(event(NOW - 510, up=True))
    late = asyncio.ensure_future(recorder.submit(event(NOW - 520, up=False)))
    await asyncio.sleep(0)
    await asyncio.gather(late, recorder.prune(500))
    assert await recorder.submit(event(NOW - 400, up=False)) == ACCEPTED
    assert await recorder.submit(event(NOW - 450, up=True)) == LATE
    assert recorder.fleet.devices["d1"].timeline.outages == 2
    before = picture(recorder)
    await site.kill()
    assert picture(await site.start()) == before
    await site.recorder.stop()


async def test_listeners_hear_live_changes_once_and_replayed_ones_as_such(site: Site) -> None:
    recorder = await site.start()
    heard: list[Change] = []
    recorder.subscribe(heard.append)
    await recorder.submit(event(NOW, up=True))
    await recorder.submit(event(NOW, up=True))
    await recorder.submit(event(NOW + 1, up=False))
    await recorder.forget("d1")
    assert [(change.before is None, change.after is None, change.live) for change in heard] == [
        (True, False, True),
        (False, False, True),
        (False, True, True),
    ]
    await recorder.stop()


async def test_a_listener_that_fails_stops_neither_the_engine_nor_the_others(site: Site) -> None:
    recorder = await site.start()
    heard: list[Change] = []
    recorder.subscribe(_broken)
    recorder.subscribe(heard.append)
    assert await recorder.submit(event(NOW, up=True)) == ACCEPTED
    assert len(heard) == 1
    await recorder.stop()


async def test_the_time_without_heartbeats_is_counted_as_blind(site: Site) -> None:
    recorder = await site.start()
    await recorder.heartbeat()
    await site.kill()
    site.clock.now = NOW + 300
    recorder = await site.start()
    await recorder.heartbeat()
    assert site.sample("blind_seconds_total") == 210
    await site.kill()
    await site.start()
    assert site.sample("blind_seconds_total") == 210
    await site.recorder.stop()


async def test_a_wall_clock_that_jumps_is_no_blindness_but_time_that_passed_is(site: Site) -> None:
    recorder = await site.start()
    passed = FakeClock(0)
    recorder.elapsed = passed
    await recorder.heartbeat()
    site.clock.now, passed.now = NOW + 86_400, 10
    await recorder.heartbeat()
    assert site.sample("blind_seconds_total") == 0
    site.clock.now, passed.now = NOW + 86_700, 310
    await recorder.heartbeat()
    assert site.sample("blind_seconds_total") == 210
    await recorder.stop()


async def test_before_the_start_and_after_the_stop_nothing_is_accepted(site: Site) -> None:
    recorder = await site.start()
    await recorder.stop()
    with pytest.raises(JournalUnavailable):
        await recorder.submit(event(NOW, up=True))


async def _unavailable(*_: object) -> None:
    raise JournalUnavailable("broken on purpose")


def _broken(_: Change) -> None:
    raise RuntimeError("broken on purpose")


async def test_other_work_leaves_the_loop_to_events_while_they_are_committed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.recording.commits.WAY", 0.1)
    recorder = await site.start()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count())
    before = turns
    await recorder.give_way()
    assert turns - before <= 2, "nothing is committed: one turn is enough"
    committing = asyncio.create_task(recorder.submit(event(NOW, up=True)))
    await asyncio.sleep(0)
    before = turns
    await recorder.give_way()
    assert turns - before > 2
    assert await committing == ACCEPTED
    counting.cancel()
    await recorder.stop()
