"""
What operators see of a real exporter: what is down, the devices, one device, and errors.

`OPERATOR_PICTURES=FOLDER` keeps the pages' pictures for people to look at.
"""

from __future__ import annotations

import asyncio
import csv
import io
import os
import re
import time
from datetime import datetime, timedelta
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote
from zoneinfo import ZoneInfo

import pytest

from exporter.operators.devices import ON_A_PAGE
from tests.e2e.browser import browser
from tests.e2e.process import Client, ExporterProcess, device_event
from tests.patience import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator


HOSTILE = "<script>document.title='harmed'</script>\"><img src=x onerror=\"document.title='harmed'\"> \u202egnp.exe"
STRANGE_ID = "evo-jkt:a b/../c?d=\"'<b>%2F"
ENGLISH = {"Accept": "text/html", "Accept-Language": "en"}
NOW = int(time.time())
CONFIGURATION = """
maintenance: [{match: {device_id: planned}, start: "2020-01-01", end: "2099-01-01", comment: "Moving house"}]
"""


def event(device_id: str, timestamp: int, *, up: bool, **other: str) -> dict[str, Any]:
    """Return an event; `name`, `business` and `engine` may be given."""
    body = device_event(device_id, timestamp, up=up)
    name, engine = other.get("name", f"Kasir {device_id}"), other.get("engine", "slack")
    channel = {"id": f"channel_{device_id}", "name": name, "engine": engine}
    business = other.get("business", "Toko Makmur")
    body["device"] |= {"name": name, "channel": channel, "bisnis": {"id": f"biz {business}"[:200], "name": business}}
    return body


def with_incident(exporter: ExporterProcess) -> set[str]:
    return {one["device_id"] for one in exporter.api("incidents?status=open")["incidents"]}


@pytest.fixture(scope="module")
def exporter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExporterProcess]:
    folder = tmp_path_factory.mktemp("operators")
    policy = folder / "policy.yml"
    policy.write_text(CONFIGURATION)
    with ExporterProcess(folder / "data", "--config.file", str(policy)) as process:
        for number in range(60):
            process.post(event(f"up{number:02}", NOW - 90_000, up=True))
        process.post(event("long", NOW - 80_000, up=False, engine="wa", name="Kasir Bandung"))
        process.post(event("short", NOW - 4000, up=False, engine="telegram", business="Kopi Senja"))
        process.post(event("planned", NOW - 3000, up=False, name="Gudang"))
        process.post(event("hostile", NOW - 2000, up=False, name=HOSTILE, business=HOSTILE, engine="w" * 60))
        process.post(event(STRANGE_ID, NOW - 1000, up=True, name="Sangat" + "panjangsekali" * 38))
        for start, end in ((70 * 86_400, 70 * 86_400 - 5000), (20 * 86_400, 20 * 86_400 - 61), (50_000, 49_000)):
            process.post(event("history", NOW - start, up=False))
            process.post(event("history", NOW - end, up=True))
        wait_for(lambda: {"long", "short", "hostile"} <= with_incident(process), "incidents are open", 20)
        yield process


def page(exporter: ExporterProcess, path: str, **headers: str) -> tuple[int, str, dict[str, str]]:
    client = Client(exporter.admin_url, ENGLISH | {name.replace("_", "-"): text for name, text in headers.items()})
    answer = client.call("GET", path)
    client.close()
    return answer.status, answer.text, answer.headers


def listed(text: str) -> list[str]:
    """Return the ids of the devices that a page lists, in its order."""
    return [unescape(found) for found in re.findall(r'<li><a href="(?:\./|\.\./)?devices/([^"?]+)"', text)]


def send(exporter: ExporterProcess, path: str, form: str) -> tuple[int, str]:
    client = Client(exporter.admin_url, {"Content-Type": "application/x-www-form-urlencoded"} | ENGLISH)
    answer = client.call("POST", path, form.encode())
    client.close()
    return answer.status, answer.text + answer.headers.get("Location", "")


# -- what is down -----------------------------------------------------------------------------------------------------


def test_the_first_page_shows_what_is_down_whose_since_when_and_its_incident_before_all_else(exporter):
    status, text, headers = page(exporter, "/")
    assert status == 200
    assert "<h1>3 devices are down</h1>" in text
    assert listed(text) == ["long", "short", "hostile", "planned"]
    first = text.split("<li>")[1]
    for words in (
        "Kasir Bandung",
        "Toko Makmur",
        "WhatsApp",
        "22\u00a0h\u00a01",
        "Reason not known",
        "Nobody has it",
        "#1",
    ):
        assert words in first, words
    assert text.index("Kasir Bandung") < text.index("Fleet") < text.index('href="metrics"')
    assert headers["Refresh"] == "30"


def test_the_first_page_is_indonesian_for_those_who_want_it(exporter):
    _, text, _ = page(exporter, "/", Accept_Language="id")
    assert '<html lang="id">' in text
    for words in ("3 perangkat terputus", "Terputus sekarang", "Belum ada yang menangani", "Semua perangkat"):
        assert words in text, words


# -- devices ----------------------------------------------------------------------------------------------------------


def test_the_devices_come_in_pages_of_fifty_those_that_are_down_first(exporter):
    _, text, _ = page(exporter, "/devices")
    first = listed(text)
    assert first[:4] == ["long", "short", "hostile", "planned"]
    assert len(first) == ON_A_PAGE
    (following,) = re.findall(r'href="([^"]+)" rel="next"', text)
    _, text, _ = page(exporter, "/" + unescape(following).removeprefix("./"))
    second = listed(text)
    assert len(first) + len(second) == len(exporter.api("devices?limit=1000")["devices"]) == len({*first, *second})


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param("state=down", ["long", "short", "hostile"], id="by state"),
        pytest.param("state=planned", ["planned"], id="in maintenance"),
        pytest.param("engine=wa", ["long"], id="by engine"),
        pytest.param("business_id=biz+Kopi+Senja", ["short"], id="by business"),
        pytest.param("gateway=evo-jkt", [], id="by gateway"),
        pytest.param("q=BANDUNG", ["long"], id="by a part of its name"),
        pytest.param("q=kopi", ["short"], id="by its business' name"),
        pytest.param("q=hist&state=up", ["history"], id="by two"),
        pytest.param("q=%3Cscript%3E", ["hostile"], id="by markup"),
        pytest.param("q=nobody", [], id="nothing"),
    ],
)
def test_the_devices_are_filtered_and_searched(exporter, query, found):
    status, text, _ = page(exporter, f"/devices?{query}")
    assert (status, listed(text)) == (200, found)


@pytest.mark.parametrize("query", ["state=x", "cursor=x", "cursor=" + "A" * 9, "q=" + "x" * 201])
def test_filters_that_cannot_be_answer_with_a_page(exporter, query):
    status, text, _ = page(exporter, f"/devices?{query}")
    assert (status, "This request cannot be answered" in text) == (400, True)


def test_the_file_has_every_device_that_the_filters_let_through_and_runs_in_no_spreadsheet(exporter):
    _, text, headers = page(exporter, "/devices.csv?state=down")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["device_id"] for row in rows] == ["long", "short", "hostile"]
    assert rows[0]["state"] == "down"
    assert headers["Content-Type"].startswith("text/csv")


@pytest.mark.parametrize("path", ["/", "/devices?state=down&q=kasir"])
def test_a_page_renews_itself_with_its_filters_until_the_reader_stops_it(exporter, path):
    _, text, headers = page(exporter, path)
    assert headers["Refresh"].isdecimal()  # no address in it: the browser takes the same one again
    (stop,) = [unescape(link) for link in re.findall(r'<footer.*?href="([^"]+)"', text, re.DOTALL)]
    assert dict(parse_qsl(stop.partition("?")[2])) == dict(parse_qsl(path.partition("?")[2])) | {"renew": "off"}
    _, _, headers = page(exporter, "/" + stop.removeprefix("./"))
    assert "Refresh" not in headers


# -- one device -------------------------------------------------------------------------------------------------------


def test_a_device_s_page_says_how_it_is_and_links_to_its_incident(exporter):
    _, text, _ = page(exporter, "/devices/long")
    for words in (
        "Kasir Bandung",
        "Disconnected",
        "22\u00a0h\u00a01",
        "Reason: not known",
        "incidents/1",
        "Toko Makmur",
    ):
        assert words in text, words


def test_its_figures_equal_the_report_s_for_the_same_span(exporter):
    _, text, _ = page(exporter, "/devices/history")
    shown = re.findall(r"<dd[^>]*>([\d.]+)%\s*<small>down (.*?), (\d+)\u00a0times?", text)
    midnight = datetime.now(ZoneInfo("Asia/Jakarta")).replace(hour=0, minute=0, second=0, microsecond=0)
    starts = [time.time() - 86_400, *((midnight - timedelta(days=days - 1)).timestamp() for days in (7, 30, 90))]
    for (percent, down, times), start in zip(shown, starts, strict=True):
        rows = exporter.api(f"availability?by=device&start={start:.3f}")["rows"]
        (row,) = [row for row in rows if row["key"] == "history"]
        assert float(percent) == pytest.approx(row["availability_ratio"] * 100, abs=0.006)
        assert int(times) == row["outages"]
        assert (
            down
            == {
                1000: "16\u00a0min\u00a040\u00a0s",
                1061: "17\u00a0min\u00a041\u00a0s",
                6061: "1\u00a0h\u00a041\u00a0min",
            }[round(row["downtime_seconds"])]
        )


def test_the_strip_of_days_adds_up_to_the_figure_of_ninety_days(exporter):
    _, text, _ = page(exporter, "/devices/history")
    strip = text.split('<svg class="bars"')[1].split("</svg>")[0]
    titles = re.findall(r"<title>([^<]+)</title>", strip)
    bad = [title for title in titles if "down" in title]
    assert re.findall(r"<li>([^<]+)</li>", text.split("days with outages")[1].split("</details>")[0]) == bad[::-1]
    units = {"h": 3600, "min": 60, "s": 1}
    parts = [re.findall(r"(\d+)\s(h|min|s)", title.partition("down")[2]) for title in bad]
    seconds = sum(int(count) * units[unit] for found in parts for count, unit in found)
    assert seconds == pytest.approx(5000 + 61 + 1000, abs=60)  # hours show no seconds
    assert sum("not watched yet" in title for title in titles) >= 18


def test_planned_windows_are_shown_with_what_was_said_of_them(exporter):
    _, text, _ = page(exporter, "/devices/planned")
    assert "Moving house" in text
    assert ">Maintenance</span>" in text


@pytest.mark.parametrize("path", ["/", "/devices/short"])
def test_nobody_has_to_have_what_is_planned_and_nothing_of_it_is_red(exporter, path):
    def told() -> str:
        _, text, _ = page(exporter, path)
        start, end = ('href="devices/short"', "</ol>") if path == "/" else ("</header>", "</main>")
        return text.split(start)[1].partition(end)[0]

    (token,) = set(re.findall(r'name="token" value="([^"]+)"', page(exporter, "/devices/short")[1]))
    wait_for(lambda: ' bad">' in told(), "it is down", 20)
    send(exporter, "/devices/short/maintenance", f"token={token}")
    try:
        wait_for(lambda: ' bad">' not in told(), "it is planned, although its incident is open", 20)
        assert "short" in with_incident(exporter)
        assert "Nobody has it" not in told()
        assert not re.search(r"> · [#<]", told()), "no separator without something before it"
    finally:
        send(exporter, "/devices/short/maintenance/end", f"token={token}")


def test_a_button_plans_half_an_hour_of_maintenance_and_tells_its_price_first(exporter):
    _, text, _ = page(exporter, "/devices/short")
    assert "no alerts, and the time counts neither" in text
    (token,) = set(re.findall(r'name="token" value="([^"]+)"', text))
    assert send(exporter, "/devices/short/maintenance", "token=guessed")[0] == 403
    assert exporter.api("maintenance")["windows"][0]["match"] == {"device_id": "planned"}
    status, location = send(exporter, "/devices/short/maintenance", f"token={token}")
    assert (status, location) == (303, "../short?done=planned")
    windows = [one for one in exporter.api("maintenance")["windows"] if one["match"] == {"device_id": "short"}]
    assert [(one["end"] - one["start"], one["active"]) for one in windows] == [(1800, True)]
    _, text, _ = page(exporter, "/devices/short?done=planned")
    assert "Maintenance has begun." in text
    assert "Maintenance for" not in text
    assert send(exporter, "/devices/short/maintenance/end", "token=guessed")[0] == 403
    assert send(exporter, "/devices/short/maintenance/end", f"token={token}") == (303, "../../short?done=ended")
    assert [one["match"] for one in exporter.api("maintenance")["windows"]] == [{"device_id": "planned"}]
    assert "Maintenance has ended." in page(exporter, "/devices/short?done=ended")[1]


def test_a_window_of_the_configuration_cannot_be_ended_from_a_device_s_page(exporter):
    _, text, _ = page(exporter, "/devices/planned")
    assert "End maintenance" not in text
    (token,) = set(re.findall(r'name="token" value="([^"]+)"', text))
    send(exporter, "/devices/planned/maintenance/end", f"token={token}")
    assert [one["active"] for one in exporter.api("maintenance")["windows"]] == [True]


def test_a_device_is_taken_out_of_the_monitoring_only_after_a_second_press(exporter):
    exporter.post(event("gone", NOW - 100, up=True))
    _, text, _ = page(exporter, "/devices/gone")
    (hidden,) = re.findall(r"<details>(.*?)</details>", text, re.DOTALL)
    assert "Its next event brings it back" in hidden
    (token,) = re.findall(r'name="token" value="([^"]+)"', hidden)
    assert send(exporter, "/devices/gone/forget", f"token={token}") == (303, "../../devices")
    assert page(exporter, "/devices/gone")[0] == 404


# -- strangers --------------------------------------------------------------------------------------------------------


def test_an_id_of_strange_letters_has_its_page_and_its_buttons(exporter):
    path = f"/devices/{quote(STRANGE_ID, safe='')}"
    status, text, _ = page(exporter, path)
    assert status == 200
    assert f'action="../{path.removeprefix("/")}/maintenance"' in text
    assert quote(STRANGE_ID, safe="") in listed(page(exporter, "/devices?q=evo-jkt")[1])


@pytest.mark.parametrize("device_id", ["nobody", "Long", "%00", "..%2Flong", "long%20", "x" * 3000])
def test_every_id_that_is_not_known_gets_the_same_page(exporter, device_id):
    status, text, _ = page(exporter, f"/devices/{device_id}")
    main = re.search(r"<main>.*</main>", text, re.DOTALL)
    expected = re.search(r"<main>.*</main>", page(exporter, "/devices/unknown")[1], re.DOTALL)
    assert main is not None
    assert expected is not None
    assert (status, main[0]) == (404, expected[0])


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        pytest.param("/nowhere", 404, "There is no such page.", id="nowhere"),
        pytest.param("/nowhere/at/all", 404, 'href="../../"', id="deep down, with a way back"),
    ],
)
def test_people_get_errors_as_a_page_and_programs_as_json(exporter, path, status, words):
    found, text, headers = page(exporter, path)
    assert (found, words in text) == (status, True)
    assert headers["Content-Type"].startswith("text/html")
    found, text, headers = page(exporter, path, Accept="*/*")
    assert (found, headers["Content-Type"]) == (status, "application/json")
    assert page(exporter, "/api/v1/nothing")[2]["Content-Type"] == "application/json"


def test_a_name_that_we_do_not_have_is_refused_with_a_page(exporter):
    status, text, _ = page(exporter, "/", Host="evil.example.com")
    assert (status, "web.allowed_hosts" in text, "Kasir" in text) == (403, True, False)


# -- in a browser -----------------------------------------------------------------------------------------------------

CONTRAST = """
(() => {
  const parse = text => { const [r, g, b, a] = text.match(/[\\d.]+/g).map(Number);
    return text.startsWith('color(') ? [r * 255, g * 255, b * 255, a] : [r, g, b, a]; };
  const over = (top, under) => { const a = top[3] ?? 1; return [0, 1, 2].map(i => top[i] * a + under[i] * (1 - a)); };
  const linear = v => v / 255 <= .04045 ? v / 255 / 12.92 : ((v / 255 + .055) / 1.055) ** 2.4;
  const light = c => { const [r, g, b] = c.map(linear);
    return .2126 * r + .7152 * g + .0722 * b; };
  const behind = e => { if (!e) return [255, 255, 255]; const own = parse(getComputedStyle(e).backgroundColor);
    return (own[3] ?? 1) === 1 ? own : over(own, behind(e.parentElement)); };
  const bad = [];
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || e.closest('svg')) continue;
    const style = getComputedStyle(e), back = behind(e), ink = over(parse(style.color), back);
    const [a, b] = [light(ink), light(back)].sort((x, y) => y - x), ratio = (a + .05) / (b + .05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && +style.fontWeight >= 700);
    const named = `${e.tagName}.${e.className} ${e.textContent.trim().slice(0, 30)} ${ratio.toFixed(2)}`;
    if (ratio < (large ? 3 : 4.5)) bad.push(named);
  }
  return bad;
})()
"""
"""Texts whose contrast is below what WCAG AA asks for."""
LABELS = """
(() => [
  ...[...document.querySelectorAll('input:not([type=hidden]), select, textarea')].filter(e => !e.labels.length),
  ...[...document.querySelectorAll('a, button, summary')].filter(e => !e.textContent.trim()),
  ...[...document.querySelectorAll('svg:not([aria-hidden])')].filter(e => !e.getAttribute('aria-label')),
  ...(document.documentElement.lang ? [] : [document.documentElement]),
  ...(document.title.trim() ? [] : [document.documentElement]),
  ...(document.querySelectorAll('h1').length === 1 ? [] : document.querySelectorAll('body')),
  ...(document.querySelectorAll('main').length === 1 ? [] : document.querySelectorAll('body')),
  ...[...document.querySelectorAll('[id]')].filter(e => document.querySelectorAll('#' + CSS.escape(e.id)).length > 1),
  ...[...document.querySelectorAll('th')].filter(e => !e.scope),
].map(e => e.outerHTML.slice(0, 120)))()
"""
"""Elements without what a screen reader says of them."""


async def test_every_page_can_be_read_on_any_screen_by_anybody(tmp_path, exporter):
    pages = ("", "devices", "devices/long", "devices/hostile", "devices/history", "incidents", "incidents/1", "nowhere")
    async with browser(tmp_path / "profile") as tab:
        for width, dark, language in ((360, False, "id"), (768, True, "en"), (1920, False, "en"), (1280, True, "id")):
            await tab.show((width, 900), dark=dark, language=language)
            for path in pages:
                await tab.go(f"{exporter.admin_url}/{path}")
                where = f"{path or 'overview'} {width} {'dark' if dark else 'light'}"
                assert await tab.overflow() == [], where
                assert await tab.evaluate(CONTRAST) == [], where
                assert await tab.evaluate(LABELS) == [], where
                assert await tab.evaluate("document.title") != "harmed"
                if folder := os.environ.get("OPERATOR_PICTURES"):
                    name = f"{where}-{language}.png".replace("/", "-").replace(" ", "-")
                    await asyncio.to_thread(Path(folder, name).write_bytes, await tab.picture())
        assert [line for line in tab.console if "404" not in line] == []
