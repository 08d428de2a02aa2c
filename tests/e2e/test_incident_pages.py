"""
Incidents of a real exporter: its pages in a real browser, and what a SIGKILL leaves of them.

`INCIDENT_PICTURES=FOLDER` keeps the pages' pictures for people to look at.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.bodies import device_event
from tests.e2e.browser import DESKTOP, PHONE, browser
from tests.e2e.process import ExporterProcess, run_command
from tests.patience import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.browser import Tab

HOSTILE = "<script>document.title='harmed'</script>\"><img src=x onerror=\"document.title='harmed'\"> \u202egnp.exe"
LONG = "Perangkat" + "sangatpanjangsekali" * 20


def event(
    device_id: str, timestamp: int, *, up: bool, name: str = "Kasir Bandung", engine: str = "wa"
) -> dict[str, Any]:
    body = device_event(device_id, timestamp, up=up)
    channel = {"id": f"channel_{device_id}", "name": name, "engine": engine}
    body["device"] |= {"name": name, "channel": channel, "bisnis": {"id": "biz_9", "name": name}}
    return body


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[ExporterProcess]:
    with ExporterProcess(tmp_path / "data") as process:
        yield process


def incidents(exporter: ExporterProcess, query: str = "") -> list[dict[str, Any]]:
    """Return incidents by the API, oldest first."""
    return list(reversed(exporter.api(f"incidents?limit=1000{query}")["incidents"]))


def opened(exporter: ExporterProcess, count: int) -> None:
    """Wait until there are so many incidents."""
    try:
        wait_for(lambda: len(incidents(exporter)) == count, f"{count} incidents are there", 20)
    except AssertionError as error:
        devices = exporter.api("devices?limit=1000")["devices"]
        known = {one["device_id"] for one in incidents(exporter)}
        missing = [device for device in devices if device["device_id"] not in known]
        warnings = [line for line in exporter.lines if "level=info" not in line]
        raise AssertionError(
            f"{error}; {len(known)} devices have some, without are {missing[:3]}; {warnings[-5:]}"
        ) from None


async def look(tab: Tab, name: str) -> None:
    """Keep a picture where somebody wants to look at it; nothing may stick out of the page in any case."""
    assert await tab.overflow() == [], name
    folder = os.environ.get("INCIDENT_PICTURES")
    if folder:
        picture = await tab.picture()
        await asyncio.to_thread(Path(folder, f"{name}.png").write_bytes, picture)


# -- in a browser -----------------------------------------------------------------------------------------------------


async def test_a_person_finds_the_incident_notes_what_happened_and_sets_the_status(tmp_path, exporter):
    now = int(time.time())
    exporter.post(event("d1", now - 60, up=False))
    opened(exporter, 1)
    async with browser(tmp_path / "profile") as tab:
        await tab.scripts(on=False)
        await tab.show(PHONE)
        await tab.go(exporter.admin_url)
        await tab.click('.top a[href$="incidents"]', loads=True)
        await look(tab, "phone-list")
        await tab.click(".incidents a", loads=True)
        assert "Kasir Bandung" in await tab.text("h1")
        await tab.type("textarea[name=text]", "Kartu SIM terblokir.\nSudah lapor ke operator.")
        await tab.click("form[action$=notes] button", loads=True)
        assert "Kartu SIM terblokir.\nSudah lapor ke operator." in await tab.text(".timeline")
        await tab.click("input[value=identified]")
        await tab.type("textarea[name=note]", "Operator membuka blokir pukul 10.00")
        await tab.click("form[action$=status] button", loads=True)
        assert await tab.text(".pill") == "Penyebab diketahui"
        await look(tab, "phone-incident")
        exporter.post(event("d1", now, up=True))
        wait_for(lambda: incidents(exporter, "&status=resolved"), "the reconnect resolves it", 20)
        await tab.go(f"{exporter.admin_url}/incidents/1")
        assert await tab.text(".pill") == "Selesai"
        assert "Ubah status" not in await tab.text()
        await look(tab, "phone-resolved")
        assert tab.console == []
    kinds = [line["kind"] for line in exporter.api("incidents/1")["timeline"]]
    assert sorted(kinds) == ["down", "note", "note", "status", "up"]


async def test_the_language_follows_the_browser_and_then_the_switch(tmp_path, exporter):
    async with browser(tmp_path / "profile") as tab:
        await tab.show(DESKTOP, language="en-US")
        await tab.go(f"{exporter.admin_url}/incidents?status=open")
        assert await tab.text("h1") == "Incidents"
        await look(tab, "empty-filtered")
        await tab.click(".language", loads=True)
        assert await tab.text("h1") == "Insiden"
        assert await tab.evaluate("document.querySelector('select').value") == "open"
        await tab.go(f"{exporter.admin_url}/incidents")
        assert await tab.text("h1") == "Insiden"
        await look(tab, "empty")


async def test_hostile_and_long_names_neither_run_nor_break_a_page(tmp_path, exporter):
    now = int(time.time())
    exporter.post(event("d1", now - 1000, up=False, name=HOSTILE))
    exporter.post(event("x" * 240, now - 1000, up=False, name=LONG, engine="w" * 60))
    opened(exporter, 2)
    for number in (1, 2):
        run_command("incidents", "note", str(number), HOSTILE, LONG, "--url", exporter.admin_url)
    async with browser(tmp_path / "profile") as tab:
        for size, where in ((DESKTOP, "desktop"), (PHONE, "phone")):
            for path in ("incidents", "incidents/1", "incidents/2"):
                await tab.show(size)
                await tab.go(f"{exporter.admin_url}/{path}")
                await look(tab, f"hostile-{where}-{path.replace('/', '-')}")
                assert "harmed" not in await tab.evaluate("document.title.split(' ')[0]")
                assert await tab.evaluate("document.querySelectorAll('main script, main img').length") == 0
        assert "<script>" in await tab.text(".timeline")
        assert tab.console == []


async def test_two_hundred_incidents_fit_on_any_screen_in_the_dark_too(tmp_path, exporter):
    now, chance = int(time.time()), random.Random(7)
    platform = exporter.platform()
    for number in range(200):
        start = now - chance.randrange(4000, 900_000)
        name = f"{chance.choice(['Kasir', 'Gudang', 'Layanan'])} {chance.choice(['Bandung', 'Medan'])} {number}"
        end = start + chance.randrange(1000, 4000)
        for body in (event(f"d{number}", start, up=False, name=name), event(f"d{number}", end, up=True, name=name)):
            assert platform.call("POST", "/webhook", json.dumps(body).encode()).status == 200
    platform.close()
    opened(exporter, 200)
    async with browser(tmp_path / "profile") as tab:
        for width in (320, 390, 600, 800, 1280, 1920):
            for dark in (False, True):
                await tab.show((width, 900), dark=dark)
                await tab.go(f"{exporter.admin_url}/incidents")
                await look(tab, f"list-{width}-{'dark' if dark else 'light'}")
        pages = 1
        while await tab.evaluate("!!document.querySelector('a[rel=next]')"):
            await tab.click("a[rel=next]", loads=True)
            pages += 1
        assert pages == 4


# -- who was told -----------------------------------------------------------------------------------------------------


@pytest.fixture
def alertmanager() -> Iterator[str]:
    """Something that takes every alert."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(b"[]")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(b"")

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_alert_and_an_escalation_that_an_alertmanager_took_are_in_the_timeline_once(tmp_path, alertmanager):
    policy = tmp_path / "policy.yml"
    policy.write_text(f"alertmanager: {{urls: ['{alertmanager}'], resend_interval: 1s}}")
    with ExporterProcess(tmp_path / "data", "--config.file", str(policy)) as exporter:
        exporter.post(event("d1", int(time.time()) - 60, up=False))

        def kinds() -> list[str]:
            return [line["kind"] for line in exporter.api("incidents/1")["timeline"]]

        opened(exporter, 1)
        wait_for(lambda: len(kinds()) == 3, "both are told", 20)
        exporter.kill()
        exporter.start()
        exporter.post(event("d1", int(time.time()), up=True))
        wait_for(lambda: "up" in kinds(), "it is resolved", 20)
        assert sorted(kinds()) == ["alerted", "down", "escalated", "up"]


# -- SIGKILL ----------------------------------------------------------------------------------------------------------


def test_a_sigkill_neither_loses_nor_doubles_an_incident(exporter):
    """Devices go down and up while the exporter is killed; what was acknowledged has its incident, once."""
    chance, expected, sent = random.Random(3), {}, int(time.time()) - 50_000
    for _ in range(6):
        platform = exporter.platform()
        for _ in range(chance.randrange(5, 25)):
            sent += 20
            device_id = f"d{chance.randrange(40)}"
            running = expected.get(device_id, [])
            up = bool(running) and running[-1][1] is None
            answer = platform.call("POST", "/webhook", json.dumps(event(device_id, sent, up=up)).encode())
            assert answer.status == 200
            if up:
                running[-1] = (running[-1][0], sent)
            else:
                expected.setdefault(device_id, []).append((sent, None))
        platform.close()
        exporter.kill()
        exporter.start()
    truth = sorted((device, start, end) for device, spans in expected.items() for start, end in spans)

    def found() -> list[tuple[str, int, float | None]]:
        return sorted((one["device_id"], one["started_at"], one["resolved_at"]) for one in incidents(exporter))

    wait_for(lambda: len(found()) >= len(truth) and found() == truth, "every outage has its incident", 20)
    for one in incidents(exporter):
        kinds = [line["kind"] for line in exporter.api(f"incidents/{one['number']}")["timeline"]]
        assert kinds == (["down"] if one["resolved_at"] is None else ["down", "up"])


def test_an_acknowledged_note_outlives_a_sigkill(exporter):
    exporter.post(event("d1", int(time.time()) - 60, up=False))
    opened(exporter, 1)
    for number in range(5):
        done = run_command("incidents", "note", "1", f"note {number}", "--url", exporter.admin_url)
        assert done.returncode == 0, done.stderr
        exporter.kill()
        exporter.start()
    notes = [line["text"] for line in exporter.api("incidents/1")["timeline"] if line["kind"] == "note"]
    assert notes == [f"note {number}" for number in range(5)]


def test_a_full_disk_refuses_notes_and_opens_the_incident_once_when_it_is_free(exporter):
    now = int(time.time())
    exporter.post(event("d1", now - 60, up=False))
    opened(exporter, 1)
    exporter.fill_disk()
    done = run_command("incidents", "note", "1", "x", "--url", exporter.admin_url)
    assert done.returncode == 1
    assert "exporter.db" in done.stderr
    exporter.free_disk()
    wait_for(lambda: exporter.post(event("d2", now - 60, up=False)).status == 200, "events are taken again", 30)
    opened(exporter, 2)
    assert run_command("incidents", "note", "1", "x", "--url", exporter.admin_url).returncode == 0


# -- when nothing waits -----------------------------------------------------------------------------------------------


def test_an_incident_opens_within_a_second_of_its_threshold(tmp_path):
    policy = tmp_path / "policy.yml"
    policy.write_text("policies: {wa: {alert_after: 2s}}")
    with ExporterProcess(tmp_path / "data", "--config.file", str(policy)) as exporter:
        exporter.post(event("d1", int(time.time()), up=False))
        opened(exporter, 1)
        (one,) = incidents(exporter)
        assert 2 <= one["opened_at"] - one["started_at"] < 3
