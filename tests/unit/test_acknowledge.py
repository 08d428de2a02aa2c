"""Somebody has an outage: the link, the page, the journal, the silence, and what people are told."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from exporter.acknowledge.links import Links, Scope, token_of
from exporter.acknowledge.pages import NAME_LENGTH, NOTE_LENGTH
from exporter.acknowledge.store import PIECE, load
from exporter.domain.policy import Policy, Step
from tests.patience import eventually
from tests.unit.acknowledge_site import EXTERNAL, Desk, desk_of
from tests.unit.journal_site import event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

RLO = "\u202e"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_of(tmp_path) as found:
        yield found


# -- the link ---------------------------------------------------------------------------------------------------------


async def test_every_firing_alert_about_a_device_has_the_same_short_link(desk: Desk) -> None:
    path = await desk.down()
    await desk.later(1801)
    [escalated] = await desk.told("DeviceDownEscalated")
    assert escalated["annotations"]["ack_url"] == EXTERNAL + path
    assert len(path) == len("/a/") + 16


async def test_a_link_that_is_forged_cut_or_of_nothing_is_not_there(desk: Desk) -> None:
    path = await desk.down()
    other = token_of(Scope(("DeviceDown", "d2"), 1), "key")
    for wrong in (path[:-1], f"{path}a", path[:-1] + ("b" if path[-1] == "a" else "a"), path.upper(), f"/a/{other}"):
        assert (await desk.get(wrong)).status == 404
        assert (await desk.take(wrong)).status == 404
    assert desk.service.active == {}


def test_a_former_key_is_taken_and_the_first_one_signs() -> None:
    scope = Scope(("DeviceDown", "d1"), 7)
    links = Links(lambda: "new\nformer\n")
    assert links.learn(scope, 0.0) == token_of(scope, "new")
    assert links.find(token_of(scope, "former")) == scope
    assert links.find(token_of(scope, "stranger")) is None


def test_two_outages_never_share_a_link() -> None:
    scopes = [Scope((name, who), at) for name in ("DeviceDown", "EngineOutage") for who in ("a", "b") for at in (1, 2)]
    assert len({token_of(scope, "key") for scope in scopes}) == len(scopes)


def test_a_link_is_forgotten_a_day_after_the_end() -> None:
    links, scope, runs = Links(lambda: "key"), Scope(("DeviceDown", "d1"), 7), [True]
    token = links.learn(scope, 0.0)
    links.forget_old(lambda _: runs[0], 200_000.0)
    runs[0] = False
    links.forget_old(lambda _: runs[0], 200_000.0 + 86_000)
    assert links.find(token) == scope
    links.forget_old(lambda _: runs[0], 200_000.0 + 87_000)
    assert links.find(token) is None


async def test_the_link_of_an_outage_shows_how_it_ended_and_acknowledges_no_other(desk: Desk) -> None:
    path = await desk.down()
    await desk.take(path, by="Sari")
    await desk.up()
    assert "Tersambung lagi" in (await desk.get(path)).text
    assert "Ditangani oleh Sari" in (await desk.get(path)).text
    desk.site.clock.now += 100
    newer = await desk.down()
    assert newer != path
    await desk.take(path, by="Budi")
    assert desk.service.active == {}


# -- reading changes nothing ------------------------------------------------------------------------------------------


async def test_previews_and_scanners_change_nothing(desk: Desk) -> None:
    path = await desk.down()
    agents = ("Slackbot-LinkExpanding 1.0", "TelegramBot (like TwitterBot)", "WhatsApp/2", "curl")
    for agent in agents:
        for method in ("GET", "HEAD"):
            for _ in range(6):
                assert (await desk.get(path, method, **{"User-Agent": agent})).status == 200
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        assert (await desk.get(path, method)).status in (403, 405)
    assert desk.service.active == {}
    assert "acknowledged" not in await desk.kinds()


async def test_the_page_tells_nobody_where_it_was_read_and_shows_no_name_in_its_title(desk: Desk) -> None:
    page = await desk.get(await desk.down())
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cache-Control"] == "no-store"
    assert "noindex" in page.headers["X-Robots-Tag"]
    assert "form-action 'self'" in page.headers["Content-Security-Policy"]
    assert "<title>Perangkat terputus</title>" in page.text
    assert "<script" not in page.text


# -- taking it --------------------------------------------------------------------------------------------------------


async def test_who_takes_it_is_in_the_journal_on_the_page_and_told_to_everybody(desk: Desk) -> None:
    path = await desk.down(ago=60)
    answer = await desk.take(path, by="Sari", note="cek listrik")
    assert (answer.status, answer.headers["Location"]) == (303, f"./{path.removeprefix('/a/')}")
    page = await desk.get(path, Cookie=answer.headers["Set-Cookie"].split(";")[0])
    assert "Ditangani oleh Sari" in page.text
    assert "cek listrik" in page.text
    assert 'value="Sari"' in page.text
    incident, timeline = await desk.incident()
    assert (incident.acknowledged_by, incident.acknowledged_at) == ("Sari", desk.site.clock())
    assert [entry.text.partition(" ")[2] for entry in timeline if entry.kind == "acknowledged"] == ["Sari\ncek listrik"]
    [notice] = await desk.told("DeviceAcknowledged")
    assert notice["labels"]["severity"] == "notice"
    assert notice["annotations"]["summary_id"].startswith("Sari menangani Front desk. Pengingat ")
    assert "ack_url" not in notice["annotations"]
    assert desk.site.metrics.registry.get_sample_value("incident_acknowledge_seconds_sum") == 60.0
    [(device, value)] = list(desk.service.acknowledged(0.0))
    assert (device.identity.device_id, value) == ("d1", 1.0)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({"by": ""}, "Isi nama"),
        ({"by": " \t\n"}, "Isi nama"),
        ({"by": RLO}, "Isi nama"),
        ({"by": "x" * (NAME_LENGTH + 1)}, "paling panjang 64"),
        ({"by": "Sari", "note": "x" * (NOTE_LENGTH + 1)}, "paling panjang 500"),
        ({"by": "Sari", "for": "99h"}, "Pilih salah satu"),
    ],
)
async def test_a_form_that_cannot_be_used_is_refused_with_a_reason_and_keeps_what_was_typed(
    desk: Desk, form: dict[str, str], text: str
) -> None:
    path = await desk.down()
    answer = await desk.post(path, **form)
    assert answer.status == 400
    assert text in answer.text
    assert desk.service.active == {}


async def test_hostile_names_and_notes_are_harmless(desk: Desk) -> None:
    path = await desk.down()
    name = f"<!channel> <b>{RLO}x</b>"
    await desk.take(path, by=name, note="<script>alert(1)</script>")
    page = await desk.get(path)
    assert "<script>" not in page.text
    assert "&lt;!channel&gt;" in page.text
    assert RLO not in page.text
    [notice] = await desk.told("DeviceAcknowledged")
    assert RLO not in notice["annotations"]["summary"]


async def test_a_second_one_takes_it_over_and_the_first_one_pressing_twice_does_not(desk: Desk) -> None:
    path = await desk.down()
    await desk.take(path, by="Sari")
    await desk.take(path, by="Sari")
    assert (await desk.kinds()).count("acknowledged") == 1
    await asyncio.gather(desk.take(path, by="Sari", lasting="4h"), desk.take(path, by="Sari", lasting="4h"))
    assert (await desk.kinds()).count("acknowledged") == 2  # another time is another word
    await asyncio.gather(desk.take(path, by="Budi"), desk.take(path, by="Dewi"))
    assert (await desk.kinds()).count("acknowledged") >= 2
    holder = desk.service.active["DeviceDown", "d1"].author
    assert holder in ("Budi", "Dewi")
    assert f"Ditangani oleh {holder}" in (await desk.get(path)).text
    assert (await desk.incident())[0].acknowledged_by == holder


async def test_of_two_people_at_the_same_moment_one_has_it_and_both_are_in_the_timeline(desk: Desk) -> None:
    path = await desk.down()
    answers = await asyncio.gather(*(desk.take(path, by=by) for by in ("Sari", "Budi", "Sari")))
    assert {answer.status for answer in answers} == {303}
    [one] = desk.service.active.values()
    assert f"Ditangani oleh {one.author}" in (await desk.get(path)).text
    said = [entry.text.split(" ", 1)[1] for entry in (await desk.incident())[1] if entry.kind == "acknowledged"]
    assert set(said) == {"Sari", "Budi"}
    ours = await desk.site.recorder.transact(PIECE.name, load)
    assert [known.number for known in ours] == [one.number]


async def test_it_can_be_undone_within_five_minutes_and_everybody_is_told(desk: Desk) -> None:
    path = await desk.down()
    await desk.take(path)
    number = str(desk.service.active["DeviceDown", "d1"].number)
    await eventually(lambda: desk.alertmanager.silences)
    answer = await desk.post(f"{path}/undo", number=number)
    assert (answer.status, answer.headers["Location"]) == (303, f"../{path.removeprefix('/a/')}")
    assert "Belum ada yang menangani" in (await desk.get(path)).text
    await eventually(lambda: not desk.alertmanager.silences)
    told = await desk.told("DeviceAcknowledged", 2)
    assert "tidak jadi" in told[1]["annotations"]["summary_id"]
    await desk.take(path)
    desk.site.clock.now += 301
    await desk.post(f"{path}/undo", number=str(desk.service.active["DeviceDown", "d1"].number))
    assert desk.service.active
    assert (await desk.kinds()).count("ack_undone") == 1


async def test_a_thousand_forms_at_once_are_few(desk: Desk) -> None:
    path = await desk.down()
    statuses = [(await desk.take(path, by=f"x{number}")).status for number in range(30)]
    assert statuses[:10] == [303] * 10
    assert set(statuses[10:]) == {429}


# -- the silence ------------------------------------------------------------------------------------------------------


async def test_the_silence_is_short_exact_and_lets_escalations_through_that_nothing_holds_up(tmp_path: Path) -> None:
    steps = (Step(60.0, "management", "acknowledged"), Step(3600.0, "director"))
    async with desk_of(tmp_path, Policy(alert_after=0.0, severity="critical", escalate=steps)) as desk:
        await desk.take(await desk.down(), by="Sari")
        [silence] = (await eventually(lambda: desk.alertmanager.silences)).values()
    matchers = {one["name"]: (one["value"], one["isRegex"]) for one in silence["matchers"]}
    assert matchers == {
        "device_id": ("d1", False),
        "alertname": ("DeviceDown|DeviceDownEscalated|DeviceFlapping", True),
        "escalation": ("|management", True),
    }
    assert silence["createdBy"] == "Sari"
    assert silence["comment"].startswith("ACK device-exporter #")


async def test_the_silence_ends_before_the_end_of_the_alert_is_told(desk: Desk) -> None:
    await desk.take(await desk.down())
    await eventually(lambda: desk.alertmanager.silences)
    await desk.up()
    await eventually(lambda: "-DeviceDown d1" in desk.alertmanager.log, "the end is told")
    log = desk.alertmanager.log
    assert log.index("-silence") < log.index("-DeviceDown d1")
    assert not desk.alertmanager.silences


async def test_while_alertmanager_is_away_it_is_shown_at_once_and_the_silence_follows(desk: Desk) -> None:
    path = await desk.down()
    desk.alertmanager.away = True
    await desk.take(path)
    assert "Ditangani oleh Sari" in (await desk.get(path)).text
    desk.alertmanager.away = False
    await eventually(lambda: desk.alertmanager.silences, "the silence follows", 20)


async def test_a_silence_that_somebody_made_longer_ends_with_the_outage_and_others_stay(desk: Desk) -> None:
    await desk.take(await desk.down())
    [(number, made)] = (await eventually(lambda: desk.alertmanager.silences)).items()
    del desk.alertmanager.silences[number]  # Alertmanager gives another id to what is made longer
    desk.alertmanager.silences["longer"] = {**made, "id": "longer", "endsAt": "2090-01-01T00:00:00Z"}
    foreign = {**made, "id": "foreign", "comment": "working on it", "createdBy": "Budi"}
    desk.alertmanager.silences["foreign"] = foreign
    desk.look()
    await eventually(lambda: "foreign" in desk.alertmanager.silences)
    await eventually(desk.features.incidents.service._idle)
    await desk.up()
    await eventually(lambda: set(desk.alertmanager.silences) == {"foreign"})


async def arrived() -> None:
    """Let answers arrive that are on their way: both sides share this loop."""
    for _ in range(200):
        await asyncio.sleep(0)


async def test_nothing_is_silenced_before_people_had_the_time_to_be_told_of_it(tmp_path: Path) -> None:
    async with desk_of(tmp_path, told_within=45.0) as desk:
        await desk.take(await desk.down())
        await eventually(lambda: desk.alertmanager.log.count("DeviceDown d1") == 2, "it is posted once more")
        await arrived()
        desk.site.clock.now += 44
        desk.look()
        await asyncio.sleep(0.1)
        assert not desk.alertmanager.silences

        def a_little_later() -> object:
            desk.site.clock.now += 1.5  # again, where it was taken a little after it had come
            desk.look()
            return desk.alertmanager.silences

        await eventually(a_little_later)


async def test_an_alertmanager_that_lost_everything_tells_an_outage_before_it_is_silenced_again(desk: Desk) -> None:
    await desk.take(await desk.down(), by="Sari")
    await eventually(lambda: desk.alertmanager.silences)
    await desk.told("DeviceAcknowledged")
    desk.site.clock.now += 130
    desk.alerts.reconsider()
    await eventually(lambda: "-DeviceAcknowledged d1" in desk.alertmanager.log)
    desk.alertmanager.lose_everything()
    desk.look()
    await eventually(lambda: desk.alertmanager.silences)
    assert desk.alertmanager.log[desk.alertmanager.log.index("lost") :] == ["lost", "DeviceDown d1", "silence"]
    assert desk.alertmanager.posts[-1][0]["annotations"]["held_by"] == "Sari"
    await desk.up()
    await eventually(lambda: desk.alertmanager.log[-2:] == ["-silence", "-DeviceDown d1"], "the end is told")


async def test_an_alertmanager_that_starts_again_while_it_should_tell_is_waited_for_anew(tmp_path: Path) -> None:
    async with desk_of(tmp_path, told_within=45.0) as desk:
        await desk.take(await desk.down())
        await eventually(lambda: desk.alertmanager.log.count("DeviceDown d1") == 2)
        await arrived()
        desk.alertmanager.lose_everything()
        desk.site.clock.now += 46
        desk.look()
        await eventually(lambda: desk.alertmanager.log.count("DeviceDown d1") == 3, "it is posted to the new one")
        assert not desk.alertmanager.silences


async def test_a_kill_of_both_lets_the_outage_be_told_before_it_is_silenced(desk: Desk) -> None:
    await desk.take(await desk.down())
    await eventually(lambda: desk.alertmanager.silences)
    await desk.site.kill()
    desk.alertmanager.lose_everything()
    async with Desk(desk.site, desk.alertmanager).running() as again:
        await eventually(lambda: again.alertmanager.silences)
        since = again.alertmanager.log[again.alertmanager.log.index("lost") :]
        assert since.index("DeviceDown d1") < since.index("silence")


# -- its end ----------------------------------------------------------------------------------------------------------


async def test_when_the_time_is_over_everybody_is_told_again_and_the_escalation_begins_anew(desk: Desk) -> None:
    path = await desk.down()
    await desk.take(path, lasting="1h")
    await desk.later(1900)
    assert not [one for one in desk.alertmanager.log if one.startswith("DeviceDownEscalated")]
    await desk.later(1701)
    [again] = await desk.told("DeviceStillDown")
    assert again["annotations"]["summary_id"] == "Front desk masih mati; tadi ditangani Sari"
    assert again["annotations"]["ack_url"] == EXTERNAL + path
    await eventually(lambda: not desk.alertmanager.silences)
    assert "Sekarang belum ada yang menangani" in (await desk.get(path)).text
    assert "ack_expired" in await desk.kinds()
    assert not [one for one in desk.alertmanager.log if one.startswith("DeviceDownEscalated")]
    await desk.later(1801)
    await desk.told("DeviceDownEscalated")


async def test_as_long_as_it_lasts_has_an_end_all_the_same(desk: Desk) -> None:
    path = await desk.down()
    await desk.take(path, lasting="until_up")
    made = desk.service.active["DeviceDown", "d1"]
    assert made.until - made.at == 12 * 3600


async def test_acknowledging_what_came_back_meanwhile_is_nothing_in_both_orders(desk: Desk) -> None:
    path = await desk.down()
    await desk.up()
    answer = await desk.take(path)
    assert answer.status == 303
    assert "Tersambung lagi" in (await desk.get(path)).text
    desk.site.clock.now += 100
    path = await desk.down()
    at = int(desk.site.clock()) + 1
    desk.site.clock.now = at
    await asyncio.gather(desk.take(path), desk.site.recorder.submit(event(at, up=True)))
    await eventually(lambda: not desk.service.active)
    await eventually(lambda: not desk.alertmanager.silences)


async def test_a_clock_that_is_set_back_leaves_it_with_who_has_it_and_the_recovery_is_told(desk: Desk) -> None:
    path = await desk.down()
    desk.site.clock.now += 7200
    await desk.take(path, lasting="1h")
    await eventually(lambda: desk.alertmanager.silences)
    desk.site.clock.now -= 3600
    await desk.later(0)
    desk.look()
    assert "Ditangani oleh Sari" in (await desk.get(path)).text
    await desk.up()
    await eventually(lambda: "-DeviceDown d1" in desk.alertmanager.log)
    assert not desk.alertmanager.silences


async def test_a_device_that_is_forgotten_is_nobodys_any_more(desk: Desk) -> None:
    await desk.take(await desk.down())
    await eventually(lambda: desk.alertmanager.silences)
    await desk.site.recorder.forget("d1")
    await eventually(lambda: not desk.service.active and not desk.alertmanager.silences)


# -- restarts ---------------------------------------------------------------------------------------------------------


async def test_a_kill_between_the_journal_and_the_silence_loses_nothing(desk: Desk) -> None:
    path = await desk.down()
    desk.alertmanager.away = True
    await desk.take(path)
    await desk.site.kill()
    desk.alertmanager.away = False
    async with Desk(desk.site, desk.alertmanager).running() as again:
        await eventually(lambda: again.alertmanager.silences)
        assert "Ditangani oleh Sari" in (await again.get(path)).text
        await again.told("DeviceAcknowledged")
        await again.up()
        await eventually(lambda: "-DeviceDown d1" in again.alertmanager.log)
        assert not again.alertmanager.silences


async def test_what_came_back_while_nobody_looked_is_silenced_no_longer(desk: Desk) -> None:
    await desk.take(await desk.down())
    await eventually(lambda: desk.alertmanager.silences)
    number = desk.service.active["DeviceDown", "d1"].number
    await desk.site.kill()
    recorder = await desk.site.start()
    desk.site.clock.now += 1
    await recorder.submit(event(int(desk.site.clock()), up=True))
    await desk.site.kill()
    async with Desk(desk.site, desk.alertmanager).running() as again:
        await eventually(lambda: "-DeviceDown d1" in again.alertmanager.log)
        assert not again.alertmanager.silences
        again.alerts.alerts.tidy(again.site.clock())
        await eventually(lambda: not again.service.active and number not in again.service._over)


async def test_one_that_another_exporter_wrote_is_taken_in(desk: Desk) -> None:
    path = await desk.down()
    await desk.take(path)
    desk.service.active.clear()  # as an exporter that has not heard of it
    await desk.service.refresh()
    assert desk.service.active["DeviceDown", "d1"].author == "Sari"
    await desk.later(3601)
    await desk.told("DeviceStillDown")
    posts = len(desk.alertmanager.posts)
    await desk.service.refresh()  # what this one knows itself is no news
    assert len(desk.alertmanager.posts) == posts


async def test_whoever_has_the_link_writes_how_it_goes_once_into_the_timeline(desk: Desk) -> None:
    path = await desk.down()
    await desk.take(path)
    shown = (await desk.get(path)).text
    key = re.findall('name="key" value="([^"]+)"', shown)[0]
    said = {"by": "Budi", "status": "identified", "note": "SIM blocked", "key": key}
    for _ in range(2):
        answer = await desk.post(f"{path}/say", **said)
        assert (answer.status, answer.headers["Location"]) == (303, f"../{path.rpartition('/')[2]}")
    desk.site.clock.now += 1
    assert (await desk.post(f"{path}/say", by="Budi", status="identified", note="New SIM")).status == 303
    incident, timeline = await desk.incident()
    assert incident.status == "identified"
    notes = [(one.text, one.author, one.public) for one in timeline if one.kind == "note"]
    assert notes == [("SIM blocked", "Budi", False), ("New SIM", "Budi", False)]
    assert "Ditangani oleh Sari" in (await desk.get(path)).text


async def test_a_word_on_how_it_goes_that_cannot_be_used_is_refused_and_kept(desk: Desk) -> None:
    path = await desk.down()
    await desk.take(path)
    for form in (
        {"by": "", "status": "identified", "note": "x"},
        {"by": "Budi", "status": "investigating", "note": ""},
        {"by": "Budi", "status": "resolved", "note": " "},
        {"by": "Budi", "status": "investigating", "note": "x" * 501},
        {},
    ):
        answer = await desk.post(f"{path}/say", **form)
        assert answer.status == 400, form
        assert form.get("note", "").strip() in answer.text
        assert f'action="../{path.rpartition("/")[2]}/say"' in answer.text
    assert "Ditangani oleh Sari" in (await desk.get(f"{path}/say")).text  # whose address is shown then
    assert "note" not in await desk.kinds()
    assert (await desk.post(f"{path[:-1]}{'a' if path[-1] != 'a' else 'b'}/say", by="x", note="y")).status == 404


# -- many at once -----------------------------------------------------------------------------------------------------


async def test_a_mass_outage_is_taken_once_for_all_its_devices(desk: Desk) -> None:
    for number in range(8):
        await desk.site.recorder.submit(
            event(int(desk.site.clock()), up=False, device_id=f"d{number}", business=f"b{number}")
        )
    desk.site.clock.now += 1  # nobody joined it
    await desk.told("EngineOutage")
    path = await desk.linked("", "EngineOutage")
    await desk.features.incidents.service.flush()
    page = await desk.get(path)
    assert "8 perangkat terputus" in page.text
    await desk.take(path)
    assert len(list(desk.service.acknowledged(0.0))) == 8
    own = (await desk.get(await desk.linked("d3"))).text
    assert "Ditangani oleh Sari" in own
    assert "undo" not in own
    [silence] = (await eventually(lambda: desk.alertmanager.silences)).values()
    assert {one["name"]: one["value"] for one in silence["matchers"]} == {"alertname": "EngineOutage", "engine": "wa"}
    assert "acknowledged" in await desk.kinds()
    [notice] = await desk.told("DeviceAcknowledged")
    assert notice["labels"]["engine"] == "wa"


async def test_a_device_that_comes_into_a_mass_outage_is_with_whoever_has_that(desk: Desk) -> None:
    for number in range(8):
        given = {"device_id": f"d{number}", "business": f"b{number}"}
        await desk.site.recorder.submit(event(int(desk.site.clock()), up=False, **given))
    desk.site.clock.now += 1  # nobody joined it
    await desk.told("EngineOutage")
    await desk.take(await desk.linked("", "EngineOutage"), note="On the phone with WhatsApp")
    desk.site.clock.now += 5
    path = await desk.down("late", business="b9")
    page = (await desk.get(path)).text
    assert "Ditangani oleh Sari" in page
    assert "Belum ada yang menangani" not in page
    assert desk.features.acknowledge.holder("late") == "Sari"
    posted = [one for post in desk.alertmanager.posts for one in post if one["labels"].get("device_id") == "late"]
    assert {one["annotations"]["held_by"] for one in posted if one["labels"]["alertname"] == "DeviceDown"} == {"Sari"}
    await desk.features.incidents.service.flush()
    incident, timeline = await desk.incident()
    assert (incident.device_id, incident.acknowledged_by) == ("late", "Sari")
    assert incident.acknowledged_at == incident.started_at
    assert [one.kind for one in timeline].count("acknowledged") == 1
