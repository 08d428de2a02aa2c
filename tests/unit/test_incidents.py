from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.conventions import AFFECTED_ANNOTATION, WAITING_ANNOTATION
from exporter.domain.policy import Policies, Policy
from exporter.domain.timeline import Kind, Outage, outages
from exporter.errors import JournalUnavailable
from exporter.incidents.model import ALERTED, ESCALATED, MUTED, SENT, SWITCHED, SWITCHED_BACK
from exporter.incidents.reconcile import outage_of
from exporter.incidents.service import AlreadyResolved
from tests.patience import eventually
from tests.unit.incident_site import BEGIN, THRESHOLD, Desk, Disk, identity

OPENED = BEGIN + THRESHOLD


async def desk(**options: object) -> Desk:
    made = await Desk(now=BEGIN - 1000, **options).start()
    await made.hear(BEGIN - 500, up=True)
    return made


async def down(**options: object) -> Desk:
    """Return a desk whose device has been down since BEGIN, and past its threshold since just now."""
    made = await desk(**options)
    await made.hear(BEGIN, up=False)
    await made.go(OPENED)
    return made


# -- opening and closing ----------------------------------------------------------------------------------------------


async def test_an_incident_opens_when_the_threshold_is_reached_and_not_before():
    site = await desk()
    await site.hear(BEGIN, up=False)
    await site.go(OPENED - 0.001)
    assert site.all() == []
    await site.go(OPENED)
    (one,) = site.all()
    assert (one.status, one.started_at, one.opened_at, one.resolved_at) == ("investigating", BEGIN, OPENED, None)
    assert (one.type, one.severity, one.number) == ("device_disconnect", "critical", 1)
    assert (one.device_name, one.channel_name, one.business_name) == (
        "Front desk device_1",
        "Telegram Toko",
        "Toko Makmur",
    )
    assert site.incidents.open.next_due() is None


async def test_a_device_that_is_back_before_its_threshold_has_no_incident():
    site = await desk()
    await site.hear(BEGIN, up=False)
    await site.hear(BEGIN + 299, up=True)
    await site.go(BEGIN + 1000)
    assert site.all() == []


async def test_the_reconnect_resolves_it_at_the_event_s_time():
    site = await down()
    await site.hear(BEGIN + 900, up=True, now=BEGIN + 930)
    assert site.facts() == [(BEGIN, BEGIN + 900, "connected")]
    assert site.all()[0].status == "resolved"
    assert site.all()[0].duration_seconds == 900
    assert site.kinds() == ["down", "up"]


async def test_a_second_disconnect_while_down_changes_nothing():
    site = await down()
    await site.hear(BEGIN + 400, up=False)
    assert site.facts() == [(BEGIN, None, "")]


async def test_each_outage_has_its_own_incident():
    site = await down()
    await site.hear(BEGIN + 900, up=True)
    await site.hear(BEGIN + 1000, up=False)
    await site.go(BEGIN + 1300)
    assert site.facts() == [(BEGIN, BEGIN + 900, "connected"), (BEGIN + 1000, None, "")]


async def test_an_outage_that_was_long_enough_but_heard_of_only_at_its_end_has_an_incident():
    site = await desk()
    site.recorder.now = BEGIN + 1000
    site.recorder.hear(BEGIN, up=False)
    site.recorder.hear(BEGIN + 400, up=True)
    await site.go(BEGIN + 1000)
    assert site.facts() == [(BEGIN, BEGIN + 400, "connected")]


async def test_the_conversations_of_the_outage_are_fixed_onto_it():
    facts = {AFFECTED_ANNOTATION: 23, WAITING_ANNOTATION: 6}
    site = await down(impact=lambda _device: facts)
    facts[AFFECTED_ANNOTATION] = 99
    assert [(one.affected_conversations, one.waiting_conversations) for one in site.all()] == [(23, 6)]


async def test_without_known_conversations_the_numbers_are_unknown_not_zero():
    site = await down()
    assert [(one.affected_conversations, one.waiting_conversations) for one in site.all()] == [(None, None)]


async def test_a_forgotten_device_s_incident_closes_with_that_reason():
    site = await down()
    site.recorder.now = BEGIN + 5000
    site.recorder.forget("device_1")
    await site.go(BEGIN + 5000)
    assert site.facts() == [(BEGIN, BEGIN + 5000, "forgotten")]
    assert site.kinds() == ["down", "removed"]


async def test_a_lower_threshold_of_a_reload_opens_at_once_and_a_higher_one_closes_nothing():
    site = await desk()
    await site.hear(BEGIN, up=False)
    await site.go(BEGIN + 60)
    site.policies = Policies({"default": Policy(alert_after=30)})
    site.incidents.reconsider()
    await site.go(BEGIN + 60)
    assert site.facts() == [(BEGIN, None, "")]
    site.policies = Policies({"default": Policy(alert_after=9000)})
    site.incidents.reconsider()
    await site.hear(BEGIN + 120, up=True)
    assert site.facts() == [(BEGIN, BEGIN + 120, "connected")]


# -- planned windows --------------------------------------------------------------------------------------------------


async def test_a_journalled_window_holds_an_incident_back_and_its_threshold_counts_from_the_end():
    site = await desk()
    site.recorder.plan(BEGIN - 10)
    await site.hear(BEGIN, up=False)
    await site.go(BEGIN + 3600)
    assert site.all() == []
    site.recorder.plan(BEGIN + 3600, end=True)
    await site.go(BEGIN + 3600 + THRESHOLD - 1)
    assert site.all() == []
    await site.go(BEGIN + 3600 + THRESHOLD)
    assert site.facts() == [(BEGIN, None, "")]


async def test_an_incident_that_is_open_when_a_window_begins_stays_open_until_the_device_is_back():
    site = await down()
    site.recorder.plan(BEGIN + 600)
    await site.go(BEGIN + 900)
    assert site.facts() == [(BEGIN, None, "")]
    await site.hear(BEGIN + 1000, up=True)
    assert site.facts() == [(BEGIN, BEGIN + 1000, "connected")]


async def test_what_late_events_reveal_inside_a_window_gets_no_incident():
    site = await desk()
    site.recorder.plan(BEGIN)
    await site.go(BEGIN + 4000)
    site.recorder.plan(BEGIN + 4000, end=True)
    await site.hear(BEGIN + 3000, up=True, now=BEGIN + 5000)
    await site.hear(BEGIN + 100, up=False, now=BEGIN + 5000)
    await site.go(BEGIN + 9000)
    assert site.all() == []


@pytest.mark.parametrize("before", [0, 3000])
async def test_an_outage_that_is_over_before_its_window_is_journalled_counts_as_it_was(before: int):
    """A new device was down for 2,000 s: inside the window, or `before` its begin for most of the time."""
    site = await Desk(planned_until=lambda _device, _now: BEGIN + 9000.0).start()
    begin = BEGIN + before
    site.recorder.now = BEGIN + 5000
    site.recorder.hear(BEGIN + 1000, up=False)
    site.recorder.hear(BEGIN + 3100, up=True)
    assert site.incidents.open.steps == []
    site.recorder.plan(max(begin, BEGIN + 1000))
    await site.go(BEGIN + 5000)
    assert site.facts() == ([(BEGIN + 1000, BEGIN + 3100, "connected")] if before else [])


# -- late events ------------------------------------------------------------------------------------------------------


async def test_a_late_disconnect_moves_the_start():
    site = await down()
    await site.hear(BEGIN - 60, up=False, now=BEGIN + 700)
    assert site.facts() == [(BEGIN - 60, None, "")]
    assert site.kinds() == ["down", "start_corrected"]
    assert site.timeline()[1].text == f"{BEGIN} {BEGIN - 60}"


async def test_a_late_connect_that_ends_it_before_its_threshold_closes_it_with_that_reason():
    site = await down()
    await site.hear(BEGIN + 100, up=True, now=BEGIN + 700)
    assert site.facts() == [(BEGIN, BEGIN + 100, "corrected")]
    assert site.kinds() == ["down", "up", "too_short"]


async def test_a_late_connect_before_a_known_one_corrects_the_end():
    site = await down()
    await site.hear(BEGIN + 900, up=True)
    await site.hear(BEGIN + 800, up=True, now=BEGIN + 5000)
    assert site.facts() == [(BEGIN, BEGIN + 800, "connected")]
    assert site.kinds() == ["down", "up", "end_corrected"]


async def test_a_late_connect_and_disconnect_split_an_outage_into_two_incidents():
    site = await down()
    await site.hear(BEGIN + 2000, up=False)
    await site.hear(BEGIN + 1000, up=True, now=BEGIN + 5000)
    assert site.facts() == [(BEGIN, BEGIN + 1000, "connected"), (BEGIN + 2000, None, "")]


async def test_an_outage_that_late_events_reveal_after_its_end_is_recorded():
    site = await desk()
    await site.hear(BEGIN + 900, up=True)
    await site.hear(BEGIN, up=False, now=BEGIN + 5000)
    assert site.facts() == [(BEGIN, BEGIN + 900, "connected")]
    assert site.all()[0].opened_at == BEGIN + 5000


async def test_outages_that_were_known_before_the_first_start_get_no_incidents_when_their_device_is_looked_at():
    disk = Disk()
    before = Desk(disk, now=BEGIN - 7000)
    before.recorder.hear(BEGIN - 9000, up=False)
    before.recorder.hear(BEGIN - 8000, up=True)
    site = await Desk(disk, now=BEGIN).start()
    await site.hear(BEGIN - 8500, up=False, now=BEGIN + 10)
    assert site.all() == []


async def test_an_outage_that_ended_before_the_first_start_but_is_heard_of_after_it_has_an_incident():
    site = await Desk(now=BEGIN).start()
    await site.hear(BEGIN - 8000, up=True, now=BEGIN + 10)
    await site.hear(BEGIN - 8900, up=False, now=BEGIN + 10)
    assert site.facts() == [(BEGIN - 8900, BEGIN - 8000, "connected")]


async def test_a_resolved_incident_whose_outage_runs_on_is_opened_again():
    site = await desk()
    await site.hear(BEGIN, up=False)
    await site.go(OPENED)
    await site.hear(BEGIN, up=True, now=OPENED + 1)  # up before this second: an outage without length
    assert site.facts() == [(BEGIN, BEGIN, "corrected")]
    await site.hear(BEGIN - 100, up=False, now=OPENED + 2)  # down before this second: it begins again there
    assert (BEGIN, None, "") in site.facts()
    assert "reopened" in site.kinds(1)


@pytest.mark.parametrize(
    ("instant", "found"),
    [
        pytest.param(99, None, id="before all"),
        pytest.param(100, (100, 200), id="at a start"),
        pytest.param(200, (200, None), id="where two meet: the later"),
        pytest.param(10**9, (200, None), id="in the running one"),
    ],
)
def test_the_outage_that_contains_an_instant(instant, found):
    outage = outage_of(instant, [Outage(100, 200), Outage(200, None)])
    assert found == ((outage.start, outage.end) if outage is not None else None)


_EVENTS = st.lists(
    st.tuples(st.integers(0, 12), st.booleans(), st.sampled_from(["nothing", "kill", "lost"])), min_size=1, max_size=12
)


@given(events=_EVENTS, seed=st.randoms(use_true_random=False))
def test_whatever_order_events_come_in_and_whenever_it_is_killed_each_long_outage_has_one_incident(events, seed):
    """The oracle: the outages of the whole set of events, and nothing else."""

    async def scenario() -> Desk:
        site = await Desk(now=BEGIN - 1).start()
        arrivals = sorted((max(at * 100, seed.randrange(1300)), at * 100, up, then) for at, up, then in events)
        for now, at, up, then in arrivals:
            site.recorder.now = BEGIN + now
            site.incidents.open.advance(site.recorder.now)
            site.recorder.hear(BEGIN + at, up=up)
            if then != "lost":
                await site.go(site.recorder.now)
            if then in ("kill", "lost"):
                site = await site.restarted()
        await site.go(BEGIN + 3000)
        return site

    site = asyncio.run(scenario())
    now = BEGIN + 3000
    heard = {(BEGIN + at * 100, Kind.CONNECTED if up else Kind.DISCONNECTED) for at, up, _ in events}
    truth = outages(heard)
    long = {(o.start, o.end) for o in truth if (o.end or now) - o.start >= THRESHOLD}
    found = site.facts()
    assert sorted((start, end or 0) for start, end, resolution in found if resolution != "corrected") == sorted(
        (start, end or 0) for start, end in long
    )
    assert all(end is not None for _, end, resolution in found if resolution == "corrected")
    assert set(site.incidents.open.by_device) == {"device_1"} & {"device_1" for o in truth if (o.start, None) in long}


# -- restarts and a journal that fails --------------------------------------------------------------------------------


async def test_a_start_opens_what_is_missing_and_resolves_what_is_up():
    site = await down()
    site.recorder.hear(BEGIN + 700, up=True)  # killed before the incident heard of it
    site.recorder.hear(BEGIN, up=False, device=identity("device_2"))
    again = await site.restarted(BEGIN + 2000)
    assert again.facts() == [(BEGIN, BEGIN + 700, "connected"), (BEGIN, None, "")]


async def test_an_outage_that_came_and_went_before_a_kill_is_not_lost():
    site = await desk()
    site.recorder.now = BEGIN + 2000
    site.recorder.hear(BEGIN, up=False)
    site.recorder.hear(BEGIN + 700, up=True)
    again = await site.restarted(BEGIN + 2001)
    assert again.facts() == [(BEGIN, BEGIN + 700, "connected")]


async def test_the_first_start_of_all_takes_running_outages_and_leaves_the_past():
    disk = Disk()
    before = Desk(disk, now=BEGIN - 5000)
    before.recorder.hear(BEGIN - 9000, up=False)
    before.recorder.hear(BEGIN - 8000, up=True)
    before.recorder.hear(BEGIN - 7000, up=False)
    site = await Desk(disk).start()
    assert site.facts() == [(BEGIN - 7000, None, "")]


async def test_an_outage_that_came_and_went_while_the_first_start_was_under_way_is_not_lost():
    site = Desk(now=BEGIN + 1000)
    site.recorder.hear(BEGIN, up=False)
    site.recorder.hear(BEGIN + 400, up=True)
    await site.start()
    assert site.facts() == [(BEGIN, BEGIN + 400, "connected")]


async def test_steps_wait_for_a_journal_that_fails_and_nothing_is_doubled():
    site = await desk()
    await site.hear(BEGIN, up=False)
    site.recorder.broken = True
    with pytest.raises(JournalUnavailable):
        await site.go(OPENED)
    with pytest.raises(JournalUnavailable):
        await site.go(OPENED + 1)
    site.recorder.broken = False
    await site.go(OPENED + 2)
    assert site.facts() == [(BEGIN, None, "")]
    assert site.all()[0].opened_at == OPENED


async def test_steps_that_were_written_without_our_knowing_change_nothing_when_written_again():
    site = await desk()
    await site.hear(BEGIN, up=False)
    site.recorder.now = OPENED
    site.incidents.open.advance(OPENED)
    steps = list(site.incidents.open.steps)
    await site.go(OPENED)
    await site.incidents.add_note(1, "checked")
    site.incidents.open.steps += steps
    await site.go(OPENED)
    assert site.kinds() == ["down", "note"]


async def test_a_bug_while_a_change_is_taken_in_loses_no_incident():
    broken = True

    def impact(_device: object) -> None:
        if broken:
            raise RuntimeError("a bug")

    site = await desk(impact=impact)
    site.policies = Policies({"default": Policy(alert_after=0)})
    site.recorder.now = BEGIN
    site.recorder.hear(BEGIN, up=False)
    broken = False
    await site.go(BEGIN)
    assert site.facts() == [(BEGIN, None, "")]


async def test_old_resolved_incidents_are_pruned_with_their_timelines():
    site = await down()
    await site.hear(BEGIN + 900, up=True)
    await site.hear(BEGIN + 1000, up=False)
    await site.go(BEGIN + 2000)
    await site.incidents.prune(BEGIN + 901)
    assert [one.number for one in site.all()] == [2]
    assert site.disk.connection.execute("SELECT DISTINCT incident FROM incident_entry").fetchall() == [(2,)]


# -- what others add to the timeline ----------------------------------------------------------------------------------


async def test_an_acknowledged_alert_is_one_line_however_often_it_is_told():
    site = await down()
    for at in (OPENED + 1, OPENED + 2):
        site.incidents.note_event(ALERTED, at, device_id="device_1")
        await site.go(at)
    assert [(entry.kind, entry.at) for entry in site.timeline()[1:]] == [("alerted", OPENED + 1)]


async def test_that_an_alert_is_muted_is_one_line_and_each_text_that_was_sent_another():
    site = await down()
    for at in (OPENED + 1, OPENED + 2):
        site.incidents.note_event(MUTED, at, "EngineOutage", device_id="device_1")
        site.incidents.note_event(SENT, at, "sms", device_id="device_1")
        await site.go(at)
    found = [(entry.kind, entry.text) for entry in site.timeline()[1:]]
    assert sorted(found) == [("muted", "EngineOutage"), ("sent", "sms"), ("sent", "sms")]


async def test_each_step_of_an_escalation_and_each_alert_that_mutes_is_a_line():
    site = await down()
    for at in (OPENED + 1, OPENED + 2):
        for to in ("", "director"):
            site.incidents.note_event(ESCALATED, at, to, device_id="device_1")
        for by in ("DeviceFlapping", "EngineOutage"):
            site.incidents.note_event(MUTED, at, by, device_id="device_1")
        await site.go(at)
    found = [(entry.kind, entry.text) for entry in site.timeline()[1:]]
    muted = [("muted", "DeviceFlapping"), ("muted", "EngineOutage")]
    assert sorted(found) == [("escalated", ""), ("escalated", "director"), *muted]


async def test_what_happens_before_the_threshold_waits_for_the_incident():
    site = await desk()
    await site.hear(BEGIN, up=False)
    site.incidents.note_event(SWITCHED, BEGIN + 5, "channel_a → channel_b", channel_id="channel_device_1")
    await site.go(BEGIN + 6)
    again = await site.restarted()
    await again.go(OPENED)
    assert [(entry.kind, entry.text) for entry in again.timeline()] == [
        ("down", ""),
        ("switched", "channel_a → channel_b"),
    ]


async def test_what_waits_for_an_incident_that_never_opens_does_not_show_in_a_later_one():
    site = await desk()
    await site.hear(BEGIN, up=False)
    site.incidents.note_event(SWITCHED, BEGIN + 5, channel_id="channel_device_1")
    await site.hear(BEGIN + 100, up=True)
    await site.hear(BEGIN + 500, up=False)
    await site.go(BEGIN + 900)
    assert site.kinds() == ["down"]


async def test_the_switch_back_after_the_reconnect_goes_into_the_incident_that_just_ended():
    site = await down()
    await site.hear(BEGIN + 900, up=True)
    site.incidents.note_event(SWITCHED_BACK, BEGIN + 1200, channel_id="channel_device_1")
    await site.go(BEGIN + 1200)
    assert site.kinds() == ["down", "up", "switched_back"]


async def test_lines_of_unknown_devices_and_channels_go_nowhere():
    site = await down()
    site.incidents.note_event(SWITCHED, OPENED, channel_id="nobody's")
    site.incidents.note_event(ALERTED, OPENED, device_id="nobody")
    await site.go(OPENED)
    assert site.kinds() == ["down"]


# -- people -----------------------------------------------------------------------------------------------------------


async def test_a_note_is_in_the_store_when_it_is_acknowledged():
    site = await down()
    entry = await site.incidents.add_note(1, "SIM blocked", author="budi")
    assert entry is not None
    assert [(one.kind, one.text, one.author) for one in (await site.restarted()).timeline()[1:]] == [
        ("note", "SIM blocked", "budi")
    ]


async def test_a_note_with_the_same_key_is_there_once_and_another_text_is_kept_apart():
    site = await down()
    first = await site.incidents.add_note(1, "SIM blocked", key="abc")
    assert await site.incidents.add_note(1, "SIM blocked", key="abc") == first
    await site.incidents.add_note(1, "SIM blocked")
    assert site.kinds() == ["down", "note", "note"]


async def test_a_note_that_cannot_be_written_is_not_acknowledged():
    site = await down()
    site.recorder.broken = True
    with pytest.raises(JournalUnavailable):
        await site.incidents.add_note(1, "SIM blocked")


async def test_an_unknown_incident_takes_neither_note_nor_status():
    site = await desk()
    assert await site.incidents.add_note(7, "x") is None
    assert await site.incidents.set_status(7, "identified") is False


async def test_people_set_the_status_with_a_reason_and_the_reconnect_still_resolves_it():
    site = await down()
    assert await site.incidents.set_status(1, "identified", text="SIM blocked")
    assert site.all()[0].status == "identified"
    assert site.kinds() == ["down", "status", "note"]
    await site.hear(BEGIN + 900, up=True)
    assert site.all()[0].status == "resolved"


async def test_the_same_status_again_adds_no_line():
    site = await down()
    await site.incidents.set_status(1, "identified")
    await site.incidents.set_status(1, "identified")
    assert site.kinds() == ["down", "status"]


async def test_a_resolved_incident_keeps_its_status_and_takes_notes():
    site = await down()
    await site.hear(BEGIN + 900, up=True)
    with pytest.raises(AlreadyResolved):
        await site.incidents.set_status(1, "monitoring", text="x")
    await site.incidents.add_note(1, "SIM was replaced")
    assert site.kinds() == ["down", "up", "note"]
    assert site.all()[0].status == "resolved"


# -- the task ---------------------------------------------------------------------------------------------------------


async def test_the_task_opens_what_becomes_due_without_being_told():
    site = await Desk(now=BEGIN).start()
    task = asyncio.create_task(site.incidents.run())
    site.policies = Policies({"default": Policy(alert_after=0)})
    site.recorder.hear(BEGIN, up=False)
    await eventually(site.all, "an incident in the file, which is what people would see")
    task.cancel()
    assert site.facts() == [(BEGIN, None, "")]


async def test_short_outages_leave_nothing_behind_that_grows_with_them(monkeypatch):
    monkeypatch.setattr("exporter.incidents.open_incidents.SPARE", 10)
    site = await desk()
    for at in range(BEGIN, BEGIN + 200, 2):
        await site.hear(at, up=False)
        await site.hear(at + 1, up=True)
    await site.hear(BEGIN + 200, up=False)

    assert len(site.incidents.open._due) <= 12
    await site.go(BEGIN + 200 + THRESHOLD)
    assert [one.started_at for one in site.all()] == [BEGIN + 200]
