"""Status pages: what people outside see, what they never see, and that every figure is the report's."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.config.schema import Failover, Hook, Match
from exporter.days.sums import last_days
from exporter.errors import JournalUnavailable
from exporter.lib.times import local, rfc3339, zone_of
from exporter.maintenance.repeated import Span
from exporter.maintenance.windows import Window
from exporter.report.availability import availability
from exporter.status_pages.picture import key_of
from tests.unit.status_site import DAY, HOUR, PARTS, TODAY, ZONE, outside, page, who

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(1)> \u202egnp.exe ]]> &amp;"
DEVICE = re.compile("/[0-9a-f]{16}$")
ATOM = "{http://www.w3.org/2005/Atom}"


async def test_every_figure_is_the_reports_for_the_same_days(tmp_path: Path) -> None:
    async with outside(tmp_path, page()) as site:
        await site.tell(who("d1"), TODAY - 40 * DAY, up=True)
        await site.tell(who("d1"), TODAY - 9 * DAY + HOUR, up=False)
        await site.tell(who("d1"), TODAY - 9 * DAY + 3 * HOUR + 7, up=True)
        await site.tell(who("d2", name="Counter"), TODAY - 30 * DAY + 5, up=False)
        await site.tell(who("d2", name="Counter"), TODAY - 2 * DAY, up=True)
        found = msgspec.json.decode((await site.get("/s/toko/summary.json")).text)
        start = last_days(90, site.clock.now, zone_of(ZONE))[0]
        rows = await site.recorder.read(
            lambda reader: availability(
                reader.histories(), blind=reader.blind_intervals(), start=start, end=site.clock.now, by="device"
            )
        )
        total = await site.recorder.read(
            lambda reader: availability(
                reader.histories(), blind=reader.blind_intervals(), start=start, end=site.clock.now, by="business"
            )
        )
    by_name = {row.name: row.availability_ratio for row in rows}
    assert {one["name"]: one["x_availability"] for one in found["components"]} == by_name
    assert found["x_availability"] == total[0].availability_ratio


@pytest.mark.parametrize(
    ("down", "of", "banner", "indicator"),
    [
        (0, 3, "All channels connected", "none"),
        (1, 3, "1 of 3 channels disconnected", "minor"),
        (2, 3, "Major outage: 2 of 3 channels disconnected", "major"),
        (3, 3, "All channels disconnected", "critical"),
        (1, 1, "This channel is disconnected", "critical"),
        (0, 0, "No channel is watched yet", "none"),
    ],
)
async def test_the_banner_says_it_in_one_sentence(
    tmp_path: Path, down: int, of: int, banner: str, indicator: str
) -> None:
    async with outside(tmp_path, page()) as site:
        for number in range(of):
            await site.tell(who(f"d{number}"), TODAY, up=number >= down)
        shown = (await site.get("/s/toko")).text
        assert f"<h1>{banner}</h1>" in shown
        assert shown.partition("<main")[2].count(banner) == 1
        assert ("banner good" in shown) == (indicator == "none" and of > 0)
        summary = msgspec.json.decode((await site.get("/s/toko/summary.json")).text)
        assert summary["status"] == {"indicator": indicator, "description": banner}
        status = msgspec.json.decode((await site.get("/s/toko/status.json")).text)
        assert status == {name: summary[name] for name in ("page", "status")}


async def test_of_channels_with_a_backup_it_says_how_long_at_least_one_was_connected(tmp_path: Path) -> None:
    async with outside(tmp_path, page()) as site:
        hook = Hook("https://hook.example.id/")
        mine, foreign = Failover("c-d1", "c-d2", hook), Failover("c-d3", "c-d4", hook)
        site.config = msgspec.structs.replace(site.config, failover=(mine, foreign))
        for number in range(1, 5):
            await site.tell(who(f"d{number}", business="b2" if number == 4 else "b1"), TODAY, up=True)
        for device_id, down, up in (("d1", HOUR, 3 * HOUR), ("d2", 2 * HOUR, 4 * HOUR), ("d3", 0, 6 * HOUR)):
            await site.tell(who(device_id), TODAY + down + 1, up=False)
            await site.tell(who(device_id), TODAY + up + 1, up=True)
        shown = (await site.get("/s/toko")).text
        told = re.search(r"Channels with a backup: at least one connected.*?<dd>([^<]*) <small>([^<]*)<", shown)
        assert told is not None
        assert told.groups() == ("91.67%", "down 1\u00a0h"), "an hour of twelve; of the other pair only one is shown"
        assert "backup" not in (await site.get("/s/toko?lang=id")).text
        assert "setidaknya satu terhubung" in (await site.get("/s/toko?lang=id")).text
        site.config = msgspec.structs.replace(site.config, failover=(foreign,))
        site.clock.now += 61
        assert "at least one" not in (await site.get("/s/toko")).text


async def test_a_short_outage_counts_but_the_banner_waits(tmp_path: Path) -> None:
    async with outside(tmp_path, page(publish_after=120.0)) as site:
        await site.tell(who("d1"), TODAY, up=True)
        await site.tell(who("d1"), int(site.clock.now) - 119, up=False)
        shown = (await site.get("/s/toko")).text
        assert "All channels connected" in shown
        assert "down 1\u00a0min\u00a059\u00a0s" in shown
        site.clock.now += 61
        assert "This channel is disconnected" in (await site.get("/s/toko")).text


async def test_a_change_is_seen_at_once(tmp_path: Path) -> None:
    async with outside(tmp_path, page(publish_after=0.0)) as site:
        await site.tell(who("d1"), TODAY, up=True)
        assert "All channels connected" in (await site.get("/s/toko")).text
        site.clock.now += 2
        await site.tell(who("d1"), int(site.clock.now), up=False)
        assert "This channel is disconnected" in (await site.get("/s/toko")).text


async def test_a_backup_that_serves_and_planned_time_are_no_outage(tmp_path: Path) -> None:
    async with outside(tmp_path, page()) as site:
        await site.tell(who("d1"), TODAY, up=False)
        site.covered = {"c-d1"}
        assert "Served by the backup channel" in (await site.get("/s/toko")).text


async def test_a_device_in_maintenance_is_no_outage_whatever_its_incident_says(tmp_path: Path) -> None:
    async with outside(tmp_path, page()) as site:
        device = who("d1")
        await site.tell(device, TODAY, up=True)
        await site.tell(device, TODAY + HOUR, up=False)
        await site.incident(device, TODAY + HOUR, None, ("A technician is on the way.", True))
        assert "Happening now" in (await site.get("/s/toko")).text
        site.clock.now += 2
        await site.maintain(device, TODAY + 11 * HOUR)
        window = Window(Match(device_id="d1"), ZONE, start_at=TODAY + 11 * HOUR, end_at=TODAY + 14 * HOUR)
        site.windows = [(window, Span(TODAY + 11 * HOUR, TODAY + 14 * HOUR))]
        for path in (
            "/s/toko",
            f"/s/toko/{key_of('toko', 'd1')}",
            f"/s/toko?month={local(TODAY, zone_of(ZONE)):%Y-%m}",
        ):
            shown = (await site.get(path)).text
            assert "Happening now" not in shown, path
            assert "Investigating" not in shown, path
            assert "In maintenance" in shown, path
            assert "A technician is on the way." in shown, path
        assert "<h1>Planned maintenance until 14:00\xa0WIB</h1>" in (await site.get("/s/toko")).text
        summary = msgspec.json.decode((await site.get("/s/toko/summary.json")).text)
        assert (summary["incidents"], summary["status"]["indicator"]) == ([], "maintenance")
        assert "Investigating" not in (await site.get("/s/toko/feed.atom")).text
        site.clock.now += 2
        await site.maintain(device, int(site.clock.now), inside=False)
        shown = (await site.get("/s/toko")).text
        assert "Happening now" in shown
        assert "Investigating" in shown


async def test_a_maintenance_that_ends_another_day_says_which(tmp_path: Path) -> None:
    async with outside(tmp_path, page()) as site:
        await site.tell(who("d1"), TODAY, up=True)
        await site.maintain(who("d1"), TODAY + HOUR)
        end = TODAY + 2 * DAY + HOUR
        site.windows = [(Window(Match(), ZONE, start_at=TODAY, end_at=end), Span(TODAY, end))]
        day = local(end, zone_of(ZONE))
        assert f"Planned maintenance until {day.day}\xa0{day:%b} 01:00\xa0WIB" in (await site.get("/s/toko")).text


async def test_from_when_to_when_names_the_zone_once_and_the_day_where_it_is_another(tmp_path: Path) -> None:
    async with outside(tmp_path, page()) as site:
        await site.tell(who("d1"), TODAY, up=True)
        spans = Span(TODAY + 13 * HOUR, TODAY + 15 * HOUR), Span(TODAY + 20 * HOUR, TODAY + 400 * DAY)
        site.windows = [(Window(Match(), ZONE, start_at=one.start, end_at=one.end), one) for one in spans]
        shown, last = (await site.get("/s/toko?lang=id")).text, local(spans[1].end, zone_of(ZONE))
        assert " 13.00 sampai 15.00 WIB, 1 channel" in shown
        assert f" 20.00 sampai {last.day} " in shown
        assert f" {last.year} 00.00 WIB, 1 channel" in shown


async def test_a_published_note_says_by_when_the_next_one_comes_until_that_time(tmp_path: Path) -> None:
    async with outside(tmp_path, page()) as site:
        device, promised = who("d1"), TODAY + 13 * HOUR
        await site.tell(device, TODAY + 10 * HOUR, up=False)
        notes = (("We called the provider.", True), ("They answer within the hour.", True))
        await site.incident(device, TODAY + 10 * HOUR, None, *notes, next_update_at=promised)
        assert "Next update by 13:00 WIB" in (await site.get("/s/toko")).text
        assert "Kabar berikutnya paling lambat 13.00 WIB" in (await site.get("/s/toko?lang=id")).text
        [one] = msgspec.json.decode((await site.get("/s/toko/summary.json")).text)["incidents"]
        assert one["x_next_update_by"] == rfc3339(promised)
        site.clock.now = promised + 1.0
        assert "Next update by" not in (await site.get("/s/toko")).text


async def test_what_an_unpublished_or_an_older_note_promised_is_not_shown(tmp_path: Path) -> None:
    async with outside(tmp_path, page()) as site:
        device = who("d1")
        await site.tell(device, TODAY + 10 * HOUR, up=False)
        notes = (("Published", True), ("Among ourselves", False))
        await site.incident(device, TODAY + 10 * HOUR, None, *notes, next_update_at=TODAY + 13 * HOUR)
        assert "Next update by" not in (await site.get("/s/toko")).text


async def test_planned_windows_of_these_devices_are_announced_without_their_comment(tmp_path: Path) -> None:
    async with outside(tmp_path, page()) as site:
        await site.tell(who("d1"), TODAY, up=True)
        begin = TODAY + DAY
        ours = Window(Match(business_id="b1"), ZONE, start_at=begin, end_at=begin + HOUR, comment="new SIM of Sari")
        other = Window(Match(business_id="b2"), ZONE, start_at=begin + 5, end_at=begin + HOUR, comment="theirs")
        site.windows = [(ours, Span(begin, begin + HOUR)), (other, Span(begin + 5, begin + HOUR))]
        shown = (await site.get("/s/toko")).text
        assert "Planned maintenance" in shown
        assert "1 channel" in shown
        assert "Sari" not in shown
        entries = ET.fromstring((await site.get("/s/toko/feed.atom")).text).findall(f"{ATOM}entry")
        assert len(entries) == 1


async def test_of_an_incident_only_times_status_and_published_notes_are_shown(tmp_path: Path) -> None:
    async with outside(tmp_path, page()) as site:
        device = who("d1")
        await site.tell(device, TODAY - 9 * DAY, up=True)
        await site.incident(
            device, TODAY - DAY, TODAY - DAY + HOUR, ("The provider works on it.", True), ("PIN 1234", False)
        )
        await site.incident(device, TODAY - 2 * DAY, TODAY - 2 * DAY + 60, ("too short to tell", True))
        for part in ("", "/feed.atom", "/summary.json"):
            shown = (await site.get(f"/s/toko{part}")).text
            assert "The provider works on it." in shown
            assert "1234" not in shown
            assert "too short" not in shown
            assert "sari" not in shown


async def test_no_id_and_no_name_but_the_public_one_gets_out(tmp_path: Path) -> None:
    shown_as = page(names={"device_7f3a": "Front desk, Jakarta"})
    async with outside(tmp_path, shown_as) as site:
        device = who("device_7f3a", name="Kasir 0812-3456-7890")
        await site.tell(device, TODAY - DAY, up=True)
        await site.tell(who("device_0001", name="WA +62 811 2345 678"), TODAY - DAY, up=True)
        await site.tell(who("device_0002", name="device_0002"), TODAY - DAY, up=True)
        await site.incident(device, TODAY - HOUR, None)
        secret = ["device_7f3a", "device_0001", "device_0002", "b1", "Owner", "c-device", "A channel", "Sari", "m1"]
        secret += ["Kasir", "3456", "2345"]
        for part in PARTS:
            shown = (await site.get(f"/s/toko{part}")).text
            assert [one for one in secret if one in re.sub("#b3261e|#11151a|[0-9a-f]{16}", "", shown)] == [], part
        assert "••678" in (await site.get("/s/toko")).text


names = st.text(st.characters(codec="utf-8"), max_size=60)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(names, min_size=2, max_size=5))
async def test_a_page_of_one_business_never_shows_anything_of_another(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    theirs = [f"{text}THEIRS{number}" for number, text in enumerate(texts)]
    pages = (page(), page("Batik", "b2", slug="batik"), page("By engine", slug="engine", match=Match(engine="slack")))
    async with outside(tmp_path_factory.mktemp("pages"), *pages) as site:
        await site.tell(who("d1"), TODAY - 40 * DAY, up=True)
        for number, name in enumerate(theirs):
            device = who(f"theirs{number}", name=name, business="b2", engine="wa")
            await site.tell(device, TODAY - DAY, up=False)
            await site.incident(device, TODAY - DAY, None, (f"note {name}", True))
        moved = who("d9", name="was THEIRS", business="b2")
        await site.tell(moved, TODAY - DAY, up=False)
        await site.incident(moved, TODAY - DAY, TODAY - HOUR, ("when it was THEIRS", True))
        await site.tell(who("d9", name="ours now"), TODAY, up=True)
        for slug, part, query in itertools.product(("toko", "engine"), PARTS, ("", "?lang=id", "?metric=90d")):
            shown = (await site.get(f"/s/{slug}{part}{query}")).text
            assert "THEIRS" not in shown
            assert "theirs" not in shown
        followed = await site.follow("/s/toko")
        assert any("?month=" in path for path in followed)
        assert sum(bool(DEVICE.search(path)) for path in followed) >= 2
        for path, shown in followed.items():
            assert "THEIRS" not in shown, path
            assert "theirs" not in shown, path
            assert "batik" not in path
        for number in range(len(theirs)):
            for slug in ("toko", "batik"):
                assert (await site.get(f"/s/toko/{key_of(slug, f'theirs{number}')}")).status == 404
        assert "THEIRS0" in (await site.get("/s/batik")).text


async def test_unknown_foreign_and_forbidden_addresses_look_the_same(tmp_path: Path) -> None:
    pages = (page(), page("Batik", "b2", slug="batik", hosts=("status.batik.id",)))
    async with outside(tmp_path, *pages) as site:
        asked = [("/s/nothing", {}), ("/s/toko/", {}), ("/s/toko/x.json", {}), ("/", {}), ("/summary.json", {})]
        asked += [("/s/toko", {"Host": "status.batik.id"}), ("/s/batik", {"Host": "status.batik.id"})]
        asked += [("/", {"Host": "elsewhere.id"}), ("/-/tls-allowed?domain=elsewhere.id", {}), ("/s/%2e%2e/toko", {})]
        asked += [("/s/toko/0123456789abcdef", {}), ("/s/nothing/0123456789abcdef", {}), ("/0123456789abcdef", {})]
        asked += [(f"/s/toko?month={month}", {}) for month in ("2020-01", "2999-12", "x", "2026-13", "-1")]
        for header in ("X-Forwarded-For", "Forwarded", "Via"):  # not from the front door itself
            asked.append(("/-/tls-allowed?domain=status.batik.id", {header: "203.0.113.7"}))
        found = []
        for path, headers in asked:
            answer = await site.get(path, **headers)
            found.append((answer.status, answer.text, {k: v for k, v in answer.headers.items() if k != "Date"}))
        assert found[0][0] == 404
        assert [one for one in found if one != found[0]] == []
        assert "Batik" in (await site.get("/", Host="status.batik.id:443")).text
        assert (await site.get("/badge.svg", Host="STATUS.batik.id.")).status == 200
        assert (await site.get("/-/tls-allowed?domain=status.batik.id")).status == 200
        assert (await site.get("/s/batik")).status == 200


@pytest.mark.parametrize(
    "name", [HOSTILE, "", "x" * 10_000, "\u202e\u2066rtl\u2069", "\x00\x1b[31m", "\ud83d", "مرحبا"]
)
async def test_names_and_notes_of_any_kind_do_no_harm(tmp_path: Path, name: str) -> None:
    name = name.encode(errors="replace").decode()
    async with outside(tmp_path, page(name[:150].strip("\x00") or "-")) as site:
        device = who("d1", name=name)
        await site.tell(device, TODAY - 9 * DAY, up=True)
        await site.tell(device, TODAY - DAY, up=False)
        await site.incident(device, TODAY - DAY, None, (name or "-", True), ("y" * 4000, True))
        for part in PARTS:
            answer = await site.get(f"/s/toko{part}")
            assert answer.status == 200
            assert len(answer.text) < 60_000
            assert "\u202e" not in answer.text
            if part.endswith(("atom", "svg")):
                ET.fromstring(answer.text)
            elif part.endswith("json"):
                msgspec.json.decode(answer.text)
            else:
                assert "<script" not in answer.text
                assert "<img" not in answer.text


async def test_what_did_not_change_is_not_sent_again(tmp_path: Path) -> None:
    async with outside(tmp_path, page()) as site:
        await site.tell(who("d1"), TODAY - DAY, up=True)
        first = await site.get("/s/toko", Accept_Encoding="gzip")
        assert first.headers["Content-Encoding"] == "gzip"
        assert "max-age=15" in first.headers["Cache-Control"]
        for refused in ("gzip;q=0", "br, gzip ; q=0.0, *", "identity"):
            assert "Content-Encoding" not in (await site.get("/s/toko", Accept_Encoding=refused)).headers, refused
        again = await site.get("/s/toko", If_None_Match=first.headers["Etag"])
        assert (again.status, again.text) == (304, "")


async def test_an_entry_of_the_feed_keeps_its_id_and_its_time_until_something_happens(tmp_path: Path) -> None:
    async with outside(tmp_path, page()) as site:
        device = who("d1")
        await site.tell(device, TODAY - DAY, up=True)
        await site.incident(device, TODAY - HOUR, None)

        async def entry() -> tuple[str, str]:
            root = ET.fromstring((await site.get("/s/toko/feed.atom")).text)
            found = root.find(f"{ATOM}entry")
            assert found is not None
            assert root.findtext(f"{ATOM}updated") == found.findtext(f"{ATOM}updated")
            return found.findtext(f"{ATOM}id", ""), found.findtext(f"{ATOM}updated", "")

        first = await entry()
        site.clock.now += 100
        assert await entry() == first
        await site.incident(device, TODAY - HOUR, TODAY - 600)
        site.clock.now += 100
        later = await entry()
        assert later[0] == first[0]
        assert later[1] > first[1]


async def test_a_device_has_a_page_of_its_own_by_its_alias(tmp_path: Path) -> None:
    async with outside(tmp_path, page(hosts=("status.toko.id",))) as site:
        device = who("device_7f3a")
        await site.tell(device, TODAY - 100 * DAY, up=True)
        await site.tell(device, TODAY - 70 * DAY, up=False)
        await site.tell(device, TODAY - 70 * DAY + HOUR, up=True)
        await site.incident(
            device, TODAY - 70 * DAY, TODAY - 70 * DAY + HOUR, ("The line was cut.", True), ("PIN", False)
        )
        await site.tell(who("d2", name="Counter"), TODAY - DAY, up=False)
        await site.incident(who("d2", name="Counter"), TODAY - DAY, None, ("Theirs alone", True))
        key = key_of("toko", "device_7f3a")
        assert f'href="toko/{key}"' in (await site.get("/s/toko")).text
        shown = await site.get(f"/s/toko/{key}")
        assert shown.status == 200
        assert "The line was cut." in shown.text
        assert "down 1\u00a0h" in shown.text
        assert 'href="../toko"' in shown.text
        for hidden in ("device_7f3a", "PIN", "Counter", "Theirs alone", "b1", "c-device"):
            assert hidden not in shown.text
        assert "This channel" not in shown.text
        assert (await site.get("/s/toko/device_7f3a")).status == 404
        own = await site.get(f"/{key}?lang=id", Host="status.toko.id")
        assert "Per bulan" in own.text
        assert 'href="./?lang=id"' in own.text


async def test_a_month_shows_its_incidents_day_by_day_and_its_own_figure(tmp_path: Path) -> None:
    async with outside(tmp_path, page()) as site:
        device, when = who("d1"), local(TODAY - 40 * DAY, zone_of(ZONE))
        first = int(when.replace(day=3).timestamp())
        await site.tell(device, TODAY - 100 * DAY, up=True)
        await site.tell(device, first, up=False)
        await site.tell(device, first + HOUR, up=True)
        await site.incident(device, first, first + HOUR, ("In that month", True))
        await site.incident(device, TODAY - DAY, TODAY - DAY + HOUR, ("In this month", True))
        now = (await site.get("/s/toko")).text
        assert "In this month" in now
        assert "In that month" not in now
        assert f'href="toko?month={when:%Y-%m}"' in now
        shown = (await site.get(f"/s/toko?month={when:%Y-%m}")).text
        assert "In that month" in shown
        assert "In this month" not in shown
        assert "down 1\u00a0h" in shown
        assert "No incidents" in shown


async def test_days_without_incidents_are_told_as_such_and_those_under_one_are_not(tmp_path: Path) -> None:
    async with outside(tmp_path, page()) as site:
        await site.tell(who("d1"), TODAY - 30 * DAY, up=False)
        await site.incident(who("d1"), TODAY - 20 * DAY, None)
        assert "No incidents" not in (await site.get("/s/toko")).text
        month = local(TODAY - 20 * DAY, zone_of(ZONE))
        assert "Investigating" in (await site.get(f"/s/toko?month={month:%Y-%m}")).text
    (tmp_path / "other").mkdir()
    async with outside(tmp_path / "other", page()) as site:
        await site.tell(who("d1"), TODAY - 30 * DAY, up=True)
        await site.incident(who("d1"), TODAY - 5 * DAY, TODAY - 5 * DAY + 600)
        assert (await site.get("/s/toko")).text.count("No incidents") == 2


async def test_what_a_device_was_at_another_business_is_not_on_the_page_of_the_next(tmp_path: Path) -> None:
    async with outside(tmp_path, page(), page("Batik", "b2", slug="batik")) as site:
        await site.tell(who("d1", business="b2"), TODAY - 20 * DAY, up=False)
        site.clock.now = float(TODAY - 10 * DAY)
        await site.tell(who("d1"), TODAY - 10 * DAY, up=True)
        site.clock.now = float(TODAY + 12 * HOUR)
        found = msgspec.json.decode((await site.get("/s/toko/summary.json")).text)
        assert found["x_availability"] == 1.0
        assert "</b> · no outages" in (await site.get("/s/toko")).text
        assert "</b> · no outages" in (await site.get(f"/s/toko/{key_of('toko', 'd1')}")).text


async def test_a_feed_without_entries_is_as_old_as_what_it_watches(tmp_path: Path) -> None:
    async with outside(tmp_path, page()) as site:
        assert rfc3339(TODAY) in (await site.get("/s/toko/feed.atom")).text
        await site.tell(who("d1"), TODAY - DAY, up=True)
        site.clock.now += 2
        await site.take(page("Renamed"))
        assert rfc3339(TODAY - DAY) in (await site.get("/s/toko/feed.atom")).text


async def test_an_address_by_chance_is_kept_for_ever_and_cannot_be_guessed(tmp_path: Path) -> None:
    hidden = page(slug=None)
    async with outside(tmp_path, hidden) as site:
        (slug,) = site.feature._by_slug
        assert re.fullmatch("[a-z0-9]{20}", slug)
        await site.take(page(title="Renamed", slug=None))
        assert list(site.feature._by_slug) == [slug]
    async with outside(tmp_path, hidden) as site:
        assert list(site.feature._by_slug) == [slug]
        assert (await site.get(f"/s/{slug}")).status == 200


async def test_where_the_journal_cannot_be_read_the_page_says_since_when_nothing_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with outside(tmp_path, page()) as site:
        await site.tell(who("d1"), TODAY - DAY, up=True)
        assert "All channels connected" in (await site.get("/s/toko")).text

        async def fails(_: object) -> None:
            raise JournalUnavailable("disk full")

        monkeypatch.setattr(site.recorder, "read", fails)
        site.clock.now += 300
        assert "state unknown since 12:00 WIB" in (await site.get("/s/toko")).text
        assert "unknown" in (await site.get("/s/toko/badge.json")).text
        await site.take(page("New", "b2", slug="new"))
        assert (await site.get("/s/new")).status == 503


async def test_search_engines_and_frames_are_kept_out_unless_the_page_says_otherwise(tmp_path: Path) -> None:
    async with outside(tmp_path, page(), page("Open", "b2", slug="open", index=True)) as site:
        assert "noindex" in (await site.get("/s/toko")).headers["X-Robots-Tag"]
        shown = await site.get("/s/open")
        assert "noindex" not in shown.headers["X-Robots-Tag"] + shown.text
        assert "frame-ancestors 'none'" in shown.headers["Content-Security-Policy"]
        await site.take(page(frames=("https://www.toko.id", "https://admin.toko.id:8443")))
        shown = await site.get("/s/toko")
        assert shown.headers["Content-Security-Policy"].endswith(
            "frame-ancestors https://www.toko.id https://admin.toko.id:8443"
        )
        assert "X-Frame-Options" not in shown.headers
        assert (await site.get("/s/toko/badge.svg")).headers["Access-Control-Allow-Origin"] == "*"


async def test_the_figure_is_the_sum_of_what_the_strip_s_own_titles_say(tmp_path: Path) -> None:
    async with outside(tmp_path, page()) as site:
        await site.tell(who("d1"), TODAY - 20 * DAY, up=True)
        for days, seconds in ((9, 372), (5, 3 * HOUR), (1, 45)):
            await site.tell(who("d1"), TODAY - days * DAY + HOUR, up=False)
            await site.tell(who("d1"), TODAY - days * DAY + HOUR + seconds, up=True)
        shown = (await site.get("/s/toko")).text
        strip = shown.split('<svg class="bars"')[1].split("</svg>")[0]
        bad = [title for title in re.findall("<title>([^<]+)</title>", strip) if "down" in title]
        units = {"h": HOUR, "min": 60, "s": 1}
        parts = re.findall(r"(\d+)\s(h|min|s)\b", " ".join(title.partition("down")[2] for title in bad))
        down = sum(int(count) * units[unit] for count, unit in parts)
        assert down == 372 + 3 * HOUR + 45
        assert "down 3\u00a0h\u00a06\u00a0min" in shown
        watched = 20 * DAY + 12 * HOUR
        ratio = msgspec.json.decode((await site.get("/s/toko/summary.json")).text)["components"][0]["x_availability"]
        assert ratio == (watched - down) / watched
        assert f"<b>{ratio * 100:.2f}%</b>" in shown


async def test_a_day_that_is_not_over_says_until_when_it_counts(tmp_path: Path) -> None:
    async with outside(tmp_path, page()) as site:
        await site.tell(who("d1"), TODAY - DAY, up=True)
        await site.tell(who("d1"), TODAY + HOUR, up=False)
        await site.tell(who("d1"), TODAY + 2 * HOUR, up=True)
        assert "down 1\u00a0h (up to 12:00 WIB)" in (await site.get("/s/toko")).text


async def test_channels_stand_by_engine_where_there_are_several_and_the_worst_engine_first(tmp_path: Path) -> None:
    async with outside(tmp_path, page()) as site:
        await site.tell(who("d1", name="Aaa", engine="slack"), TODAY, up=True)
        assert "<details open" not in (await site.get("/s/toko")).text
        site.clock.now += 61
        await site.tell(who("d2", name="Zzz", engine="wa"), TODAY, up=False)
        shown = (await site.get("/s/toko")).text
        assert re.findall("<summary>(\\w+) <small>1 channel", shown) == ["WhatsApp", "Slack"]


async def test_of_very_many_devices_those_are_listed_that_were_not_always_fine_on_as_many_pages_as_it_takes(
    tmp_path: Path,
) -> None:
    async with outside(tmp_path, page()) as site:
        for number in range(230):
            await site.tell(who(f"d{number:03}", name=f"Till {number:03}"), TODAY - 2 * DAY, up=number >= 105)
            if number < 104:
                await site.tell(who(f"d{number:03}", name=f"Till {number:03}"), TODAY - DAY, up=True)
        first, second = [(await site.get(f"/s/toko{query}")).text for query in ("", "?page=2&lang=id")]
        assert first.count("<svg class") == 1 + 100
        assert "Till 104" in first.split("<svg class")[1]
        assert "And 125 more without outages in 90 days." in first
        assert 'href="toko?page=2"' in first
        assert second.count("<svg class") == 1 + 5
        assert 'href="toko?page=2&amp;lang=en"' in second
        assert 'href="toko?lang=id"' in second
        assert ("<h2>Past incidents" in first, "<h2>Riwayat" in second) == (True, False)
        for wrong in ("0", "1", "3", "x", "-1", "2.0", "9" * 30):
            assert (await site.get(f"/s/toko?page={wrong}")).status == 404


async def test_the_feed_of_an_old_incident_leads_to_its_month(tmp_path: Path) -> None:
    async with outside(tmp_path, page()) as site:
        await site.tell(who("d1"), TODAY - 60 * DAY, up=True)
        old, new = TODAY - 40 * DAY, TODAY - DAY
        for start in (old, new):
            await site.incident(who("d1"), start, start + HOUR)
        root = ET.fromstring((await site.get("/s/toko/feed.atom")).text)
        links = [one.attrib["href"] for one in root.findall(f"{ATOM}entry/{ATOM}link")]
        assert links[0].startswith("https://status.example.id/s/toko#i-")
        assert links[1].startswith(f"https://status.example.id/s/toko?month={local(old, zone_of(ZONE)):%Y-%m}#i-")
        for link in links:
            path, _, anchor = link.removeprefix("https://status.example.id").partition("#")
            assert f'id="{anchor}"' in (await site.get(path)).text


async def test_a_device_s_page_lists_every_day_that_was_not_all_fine(tmp_path: Path) -> None:
    async with outside(tmp_path, page()) as site:
        await site.tell(who("d1"), TODAY - 60 * DAY, up=True)
        for days in range(3, 33, 2):
            await site.tell(who("d1"), TODAY - days * DAY - HOUR, up=False)
            await site.tell(who("d1"), TODAY - days * DAY - 60, up=True)
        key = key_of("toko", "d1")
        listed = (await site.get(f"/s/toko/{key}")).text.split('id="days"')[1].split("</details>")[0]
        assert listed.count("<li>") == 15
        assert f'href="toko/{key}#days"' in (await site.get("/s/toko")).text


async def test_whoever_wants_to_follow_finds_the_address_to_paste(tmp_path: Path) -> None:
    async with outside(tmp_path, page(hosts=("status.toko.id",))) as site:
        shown = (await site.get("/s/toko")).text
        assert "<code>/feed subscribe https://status.example.id/s/toko/feed.atom</code>" in shown
        assert 'href="#subscribe"' in shown
        own = (await site.get("/", Host="status.toko.id")).text
        assert "<code>/feed subscribe https://status.toko.id/feed.atom</code>" in own
