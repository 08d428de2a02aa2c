from __future__ import annotations

import base64
import hashlib
import json
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest

from exporter.incidents.api import IncidentApi
from exporter.incidents.model import NOTE_LENGTH
from exporter.incidents.pages import ON_A_PAGE, IncidentPages
from exporter.incidents.wording import Wording
from exporter.look.rendering import Renderer
from tests.unit.incident_site import BEGIN, Desk, Disk, identity
from tests.unit.web_site import running, state

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiohttp import web

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7 * 7 }}"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Browser:
    """A client of the pages, without cookies unless it was given some."""

    def __init__(self, desk: Desk, session: aiohttp.ClientSession, root: str) -> None:
        self.desk = desk
        self._session = session
        self.root = root

    async def get(self, path: str, **headers: str) -> tuple[aiohttp.ClientResponse, str]:
        return await self.send("GET", path, None, **headers)

    async def send(self, method: str, path: str, body: Any, **headers: str) -> tuple[aiohttp.ClientResponse, str]:
        """Send a form (a mapping), JSON (bytes) or nothing; do not follow redirects."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._session.request(
            method, self.root + path, data=body, headers=given, allow_redirects=False
        ) as answer:
            return answer, await answer.text()

    async def form(self, number: int = 1) -> dict[str, str]:
        """Return the hidden fields of an incident's page."""
        _, text = await self.get(f"/incidents/{number}")
        return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', text))

    async def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Post JSON to the API; return status and decoded answer."""
        answer, text = await self.send("POST", path, json.dumps(body).encode(), Content_Type="application/json")
        return answer.status, json.loads(text)

    async def api(self, path: str, status: int = 200) -> Any:
        answer, text = await self.get(f"/api/v1/incidents{path}")
        assert answer.status == status, text
        return json.loads(text)


@asynccontextmanager
async def site(
    folder: Path, *, author: str = "", nobody: str | None = None, planned: bool = False
) -> AsyncIterator[Browser]:
    """Start an admin listener with incidents; the desk has one device that is down past its threshold."""
    desk = await Desk(Disk(folder / "exporter.db"), BEGIN - 1000).start()
    await desk.hear(BEGIN, up=False, device=identity("device_1", device_name="Front desk"))
    await desk.go(BEGIN + 300)
    read = desk.recorder.read

    def wording(language: Any) -> Wording:
        return Wording(language or "id", ZoneInfo("Asia/Jakarta"))

    def who(_: web.Request) -> str:
        return author

    api = IncidentApi(desk.incidents, read, desk.recorder.clock, author=who, wording=wording)
    pages = IncidentPages(
        desk.incidents,
        read,
        desk.recorder.clock,
        author=who,
        renderer=Renderer("exporter.incidents", wording, nobody=lambda: nobody),
        zone=lambda: ZoneInfo("Asia/Jakarta"),
        planned=lambda _: planned,
    )
    admin = {"operations": [*api.operations(), state()], "routes": pages.routes()}
    async with (
        running(admin=admin) as listeners,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        host, port = listeners.admin
        yield Browser(desk, session, f"http://{host}:{port}")


async def test_every_page_says_that_nobody_is_notified(tmp_path):
    async with site(tmp_path, nobody="no_receiver") as browser:
        for path, words in (("/incidents", "belum ada penerima"), ("/incidents/1", "belum ada")):
            _, text = await browser.get(path)
            assert words in text.split("</header>")[-1], path


async def test_no_page_says_so_while_somebody_is(tmp_path):
    async with site(tmp_path) as browser:
        for path in ("/", "/incidents", "/incidents/1"):
            _, text = await browser.get(path)
            assert 'role="alert"' not in text


@pytest.mark.parametrize("path", ["/incidents", "/incidents/1"])
async def test_what_runs_in_maintenance_is_planned_and_not_red(tmp_path, path):
    async with site(tmp_path, planned=True) as browser:
        _, text = await browser.get(path)
        assert 'class="pill planned">Dalam pemeliharaan<' in text
        assert "Ditangani oleh" not in text
        assert not re.search('class="[^"]*bad">[0-9]+\\u00a0', text), "no duration is red"


@pytest.mark.parametrize("path", ["/incidents", "/incidents/1"])
async def test_what_runs_out_of_maintenance_is_red(tmp_path, path):
    async with site(tmp_path) as browser:
        _, text = await browser.get(path)
        assert 'class="pill investigating">' in text
        assert re.search('class="[^"]*bad">[0-9]+\\u00a0', text)


async def test_an_incident_that_nobody_has_says_so_while_it_runs(tmp_path):
    async with site(tmp_path) as browser:
        _, text = await browser.get("/incidents/1")
        assert "<dt>Ditangani oleh</dt><dd>belum ada</dd>" in text


async def many(browser: Browser, count: int) -> None:
    """Open incidents #2, #3, … of other devices, one after the other, so that none belong together."""
    now = browser.desk.recorder.now
    for number in range(count):
        who = identity(f"device_{number + 2}", engine=["wa", "slack"][number % 2], business_id=f"biz_{number % 3}")
        browser.desk.recorder.hear(int(now) - 400 - 100 * (count - number), up=False, device=who)
    await browser.desk.go(now)


# -- the API ----------------------------------------------------------------------------------------------------------


async def test_one_incident_as_json(tmp_path):
    async with site(tmp_path) as browser:
        assert await browser.api("/1") == {
            "incident": {
                "number": 1,
                "type": "device_disconnect",
                "status": "investigating",
                "resolution": "",
                "severity": "critical",
                "device_id": "device_1",
                "device_name": "Front desk",
                "engine": "telegram",
                "channel_id": "channel_device_1",
                "channel_name": "Telegram Toko",
                "business_id": "biz_9",
                "business_name": "Toko Makmur",
                "started_at": BEGIN,
                "opened_at": float(BEGIN + 300),
                "resolved_at": None,
                "duration_seconds": 300.0,
                "affected_conversations": None,
                "waiting_conversations": None,
                "part_of": None,
                "shared": "",
                "gateway": "csku",
                "acknowledged_at": None,
                "acknowledged_by": "",
            },
            "timeline": [
                {"at": float(BEGIN), "kind": "down", "text": "", "author": "", "public": False, "next_update_at": None}
            ],
        }


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        pytest.param("", [5, 4, 3, 2, 1], id="all, newest first"),
        pytest.param("?status=open", [5, 4, 3, 2, 1], id="open"),
        pytest.param("?status=resolved", [], id="resolved"),
        pytest.param("?engine=wa", [4, 2], id="by engine"),
        pytest.param("?business_id=biz_0", [5, 2], id="by business"),
        pytest.param("?device_id=device_3", [3], id="by device"),
        pytest.param(f"?since={BEGIN - 50}", [1], id="by start"),
        pytest.param("?engine=slack&business_id=biz_1", [3], id="by two"),
    ],
)
async def test_the_list_is_filtered(tmp_path, query, numbers):
    async with site(tmp_path) as browser:
        await many(browser, 4)
        assert [one["number"] for one in (await browser.api(query))["incidents"]] == numbers


async def test_pages_follow_each_other_without_gap_or_overlap(tmp_path):
    async with site(tmp_path) as browser:
        await many(browser, 6)
        found: list[int] = []
        path: str | None = "?limit=3"
        while path is not None:
            page = await browser.api(path)
            found += [one["number"] for one in page["incidents"]]
            path = f"?limit=3&cursor={page['next']}" if page["next"] else None
        assert found == [7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    "path", ["?status=down", "?cursor=x", "?cursor=-1", "?limit=0", "?since=soon", "?color=red", "/export?format=pdf"]
)
async def test_parameters_that_cannot_be_are_refused(tmp_path, path):
    async with site(tmp_path) as browser:
        assert (await browser.api(path, 400))["code"] == "bad_parameter"


@pytest.mark.parametrize("number", ["99", "0", "-1", "x", "1.0", "9" * 40, "%31%30"])
async def test_what_is_no_incident_is_not_found(tmp_path, number):
    async with site(tmp_path) as browser:
        assert (await browser.api(f"/{number}", 404))["code"] == "not_found"


async def test_a_note_is_answered_with_its_line_and_the_same_key_adds_nothing(tmp_path):
    async with site(tmp_path, author="budi") as browser:
        body = {"text": " SIM blocked\r\n", "key": "k1"}
        status, entry = await browser.post("/api/v1/incidents/1/notes", body)
        assert (status, entry["text"], entry["author"], entry["kind"]) == (201, "SIM blocked", "budi", "note")
        assert await browser.post("/api/v1/incidents/1/notes", body) == (201, entry)
        assert len((await browser.api("/1"))["timeline"]) == 2


async def test_a_note_promises_the_next_one_by_the_api_and_by_both_forms(tmp_path):
    async with site(tmp_path) as browser:
        status, entry = await browser.post("/api/v1/incidents/1/notes", {"text": "x", "next_update": "45m"})
        assert (status, entry["next_update_at"] - entry["at"]) == (201, 2700.0)
        form = await browser.form() | {"text": "y", "public": "1", "next_update": "30m"}
        assert (await browser.send("POST", "/incidents/1/notes", form))[0].status == 303
        form = await browser.form() | {"status": "identified", "note": "z", "next_update": "2h"}
        assert (await browser.send("POST", "/incidents/1/status", form))[0].status == 303
        notes = [one for one in (await browser.api("/1"))["timeline"] if one["kind"] == "note"]
        assert sorted(one["next_update_at"] - one["at"] for one in notes) == [1800.0, 2700.0, 7200.0]
        assert (await browser.get("/incidents/1"))[1].count("Kabar berikutnya paling lambat") == 3
        assert "Next update by" in (await browser.get("/api/v1/incidents/export?format=markdown&lang=en"))[1]
        await browser.desk.hear(BEGIN + 900, up=True, device=identity("device_1", device_name="Front desk"))
        assert "Kabar berikutnya paling lambat" not in (await browser.get("/incidents/1"))[1]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"text": "x", "next_update": "soon"}, 400, id="a promise that is no duration"),
        pytest.param({"text": "x", "next_update": "10s"}, 400, id="a promise that nobody can keep"),
        pytest.param({"text": "x", "next_update": "8d"}, 400, id="a promise of another week"),
        pytest.param({"text": ""}, 400, id="an empty one"),
        pytest.param({"text": " \n "}, 400, id="only white space"),
        pytest.param({"text": "x" * (NOTE_LENGTH + 1)}, 400, id="a longer one than may be"),
        pytest.param({}, 400, id="none"),
        pytest.param({"text": 5}, 400, id="a number"),
        pytest.param({"text": "x", "colour": "red"}, 400, id="an unknown field"),
        pytest.param({"text": "x" * 70_000}, 413, id="a body beyond all bounds"),
    ],
)
async def test_notes_that_are_refused(tmp_path, body, status):
    async with site(tmp_path) as browser:
        assert (await browser.post("/api/v1/incidents/1/notes", body))[0] == status
        assert len((await browser.api("/1"))["timeline"]) == 1


async def test_the_status_is_set_and_resolved_comes_only_with_the_reconnect(tmp_path):
    async with site(tmp_path) as browser:
        path = "/api/v1/incidents/1/status"
        status, answer = await browser.post(path, {"status": "monitoring", "note": "SIM replaced"})
        assert (status, answer["incident"]["status"]) == (200, "monitoring")
        assert [line["kind"] for line in answer["timeline"]] == ["down", "status", "note"]
        assert (await browser.post(path, {"status": "resolved"}))[0] == 400
        await browser.desk.hear(BEGIN + 900, up=True, device=identity("device_1", device_name="Front desk"))
        status, answer = await browser.post(path, {"status": "identified"})
        assert (status, answer["code"]) == (409, "already_resolved")


async def test_without_a_journal_nothing_is_acknowledged(tmp_path):
    async with site(tmp_path) as browser:
        browser.desk.recorder.broken = True
        status, answer = await browser.post("/api/v1/incidents/1/notes", {"text": "x"})
        assert (status, answer["code"]) == (503, "journal_unavailable")


async def test_an_export_holds_every_incident_that_the_filters_let_through(tmp_path):
    async with site(tmp_path) as browser:
        await many(browser, 6)
        answer, text = await browser.get("/api/v1/incidents/export?engine=wa")
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert [line.split(",")[0] for line in text.splitlines()] == ["number", "6", "4", "2"]
        answer, text = await browser.get("/api/v1/incidents/export?format=markdown&lang=en")
        assert answer.headers["Content-Type"] == "text/markdown; charset=utf-8"
        assert re.findall(r"^## \\#(\d+)", text, re.MULTILINE) == ["7", "6", "5", "4", "3", "2", "1"]
        assert "# Incidents\n" in text


# -- pages ------------------------------------------------------------------------------------------------------------


async def test_the_list_links_to_each_incident(tmp_path):
    async with site(tmp_path) as browser:
        _, text = await browser.get("/incidents")
        assert 'href="./incidents/1"' in text
        assert "Front desk" in text
        assert "1 insiden berlangsung" in text


async def test_no_page_lets_a_script_run_or_be_framed(tmp_path):
    async with site(tmp_path) as browser:
        for path in ("/incidents", "/incidents/1", "/incidents/99"):
            answer, text = await browser.get(path)
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert "script" not in text
            assert "style=" not in text


async def test_names_and_notes_of_others_are_escaped_everywhere(tmp_path):
    async with site(tmp_path, author=HOSTILE) as browser:
        fields = ("device_id", "device_name", "engine", "channel_id", "channel_name", "business_id", "business_name")
        who = identity(**dict.fromkeys(fields, HOSTILE))
        await browser.desk.hear(BEGIN, up=False, now=BEGIN + 400, device=who)
        await browser.desk.incidents.add_note(2, HOSTILE, author=HOSTILE)
        fields_of_form = await browser.form(2)
        pages = [(await browser.get(path))[1] for path in ("/incidents", "/incidents/2")]
        pages.append((await browser.get("/incidents?" + "device_id=%3Cscript%3E%22&engine=%3Cscript%3E"))[1])
        refused = fields_of_form | {"token": "", "text": f"</textarea>{HOSTILE}", "status": HOSTILE, "note": HOSTILE}
        pages += [(await browser.send("POST", f"/incidents/2/{form}", refused))[1] for form in ("notes", "status")]
        for page in pages:
            for harm in ("<script", "<img", "onerror=alert(2)>"):
                assert harm not in page, harm
            assert page.count("</textarea>") == page.count("<textarea")
        assert "{{ 7 * 7 }}" in pages[1]
        assert "&lt;script&gt;" in pages[0]


async def test_a_note_is_saved_and_the_browser_sent_back_to_the_incident(tmp_path):
    async with site(tmp_path, author="budi") as browser:
        form = await browser.form() | {"text": "SIM blocked\r\ncalled the provider"}
        answer, _ = await browser.send("POST", "/incidents/1/notes", form)
        assert (answer.status, answer.headers["Location"]) == (303, "../1#timeline")
        _, text = await browser.get("/incidents/1")
        assert "SIM blocked\ncalled the provider" in text
        assert "oleh budi" in text


async def test_a_form_that_is_sent_twice_adds_one_note(tmp_path):
    async with site(tmp_path) as browser:
        form = await browser.form() | {"text": "SIM blocked"}
        for _ in range(2):
            answer, _ = await browser.send("POST", "/incidents/1/notes", form)
            assert answer.status == 303
        assert len((await browser.api("/1"))["timeline"]) == 2


async def test_the_status_form_sets_the_status_and_is_gone_when_resolved(tmp_path):
    async with site(tmp_path) as browser:
        form = await browser.form() | {"status": "identified", "note": "SIM blocked"}
        assert (await browser.send("POST", "/incidents/1/status", form))[0].status == 303
        _, text = await browser.get("/incidents/1")
        assert 'value="identified" checked' in text
        await browser.desk.hear(BEGIN + 900, up=True, device=identity("device_1", device_name="Front desk"))
        _, text = await browser.get("/incidents/1")
        assert "/status" not in text
        assert "/notes" in text
        answer, text = await browser.send("POST", "/incidents/1/status", form)
        assert answer.status == 409
        assert "SIM blocked</textarea>" in text


@pytest.mark.parametrize("token", ["", "guessed", "ünicode"])
async def test_a_form_without_this_process_s_token_saves_nothing_and_keeps_what_was_typed(tmp_path, token):
    async with site(tmp_path) as browser:
        form = await browser.form() | {"token": token, "text": "SIM blocked"}
        answer, text = await browser.send("POST", "/incidents/1/notes", form)
        assert answer.status == 403
        assert "SIM blocked</textarea>" in text
        assert "terlalu lama terbuka" in text
        assert len((await browser.api("/1"))["timeline"]) == 1


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
async def test_a_form_from_another_site_is_refused_even_with_the_token(tmp_path, headers):
    async with site(tmp_path) as browser:
        form = await browser.form() | {"text": "x"}
        answer, _ = await browser.send("POST", "/incidents/1/notes", form, **headers)
        assert answer.status == 403
        assert len((await browser.api("/1"))["timeline"]) == 1


@pytest.mark.parametrize(
    ("form", "values", "status", "words"),
    [
        pytest.param("notes", {"text": "  "}, 400, "Catatan masih kosong", id="an empty note"),
        pytest.param("notes", {"text": "x" * (NOTE_LENGTH + 1)}, 400, "paling banyak 4.000", id="a long note"),
        pytest.param("status", {"status": "resolved"}, 400, "tidak bisa dipilih", id="a status that nobody sets"),
        pytest.param("status", {}, 400, "tidak bisa dipilih", id="no status"),
    ],
)
async def test_a_form_that_cannot_be_saved_says_why(tmp_path, form, values, status, words):
    async with site(tmp_path) as browser:
        answer, text = await browser.send("POST", f"/incidents/1/{form}", await browser.form() | values)
        assert answer.status == status
        assert words in text


async def test_a_note_that_the_journal_cannot_take_stays_in_the_form(tmp_path):
    async with site(tmp_path) as browser:
        form = await browser.form() | {"text": "SIM blocked", "status": "identified", "note": "SIM blocked"}
        browser.desk.recorder.broken = True
        for path in ("notes", "status"):
            answer, text = await browser.send("POST", f"/incidents/1/{path}", form)
            assert answer.status == 503
            assert "SIM blocked</textarea>" in text


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(b'{"text": "x"}', "application/json", id="JSON"),
        pytest.param(b"text=%ff", "application/x-www-form-urlencoded", id="no UTF-8 is kept out"),
        pytest.param(b"a=1&" * 50, "application/x-www-form-urlencoded", id="too many fields"),
        pytest.param(b"text=" + b"x" * 70_000, "application/x-www-form-urlencoded", id="too large"),
    ],
)
async def test_bodies_that_are_no_form_of_ours_are_refused(tmp_path, body, content_type):
    async with site(tmp_path) as browser:
        answer, _ = await browser.send("POST", "/incidents/1/notes", body, Content_Type=content_type)
        assert answer.status in (400, 403)
        assert len((await browser.api("/1"))["timeline"]) == 1


@pytest.mark.parametrize(
    ("path", "headers", "language"),
    [
        pytest.param("", {}, "id", id="the configured one"),
        pytest.param("", {"Accept-Language": "en-US,en;q=0.9"}, "en", id="the browser's"),
        pytest.param("", {"Accept-Language": "en", "Cookie": "device_exporter_lang=id"}, "id", id="the cookie's"),
        pytest.param("?lang=en", {"Cookie": "device_exporter_lang=id"}, "en", id="the switch's"),
        pytest.param("?lang=xx", {"Accept-Language": "en"}, "en", id="an unknown one is passed over"),
    ],
)
async def test_the_language_of_a_page(tmp_path, path, headers, language):
    async with site(tmp_path) as browser:
        answer, text = await browser.get(f"/incidents/1{path}", **headers)
        assert f'<html lang="{language}">' in text
        assert ("device_exporter_lang" in answer.headers.get("Set-Cookie", "")) == (path == "?lang=en")


async def test_the_switch_keeps_the_filters(tmp_path):
    async with site(tmp_path) as browser:
        _, text = await browser.get("/incidents?status=open&lang=id")
        assert 'href="./incidents?status=open&amp;lang=en"' in text


async def test_a_long_list_has_pages(tmp_path):
    async with site(tmp_path) as browser:
        await many(browser, ON_A_PAGE + 5)
        _, first = await browser.get("/incidents?status=open")
        assert first.count('<li><a href="./incidents/') == ON_A_PAGE
        (older,) = re.findall(r'<a href="([^"]+)" rel="next">', first)
        _, second = await browser.get("/" + older.removeprefix("./").replace("&amp;", "&"))
        assert second.count('<li><a href="./incidents/') == 6
        assert "status=open" in older


@pytest.mark.parametrize(
    "query",
    [
        *("?status=x", "?since=31.1.2025", "?since=0000-00-00", "?cursor=x", "?cursor=1-2", "?severity=x"),
        f"?q={'x' * 201}",
    ],
)
async def test_filters_that_cannot_be_answer_with_a_page(tmp_path, query):
    async with site(tmp_path) as browser:
        answer, text = await browser.get(f"/incidents{query}")
        assert answer.status == 400
        assert "Permintaan ini tidak bisa diproses" in text


async def test_a_date_is_a_day_of_the_configured_zone(tmp_path):
    async with site(tmp_path) as browser:
        assert "Front desk" in (await browser.get("/incidents?since=2025-01-28"))[1]
        assert "Front desk" not in (await browser.get("/incidents?since=2025-01-29"))[1]


async def test_an_unknown_incident_answers_with_a_page_that_leads_back(tmp_path):
    async with site(tmp_path) as browser:
        answer, text = await browser.get("/incidents/99")
        assert answer.status == 404
        assert 'href="../incidents"' in text
        form = await browser.form() | {"text": "x"}
        assert (await browser.send("POST", "/incidents/99/notes", form))[0].status == 404


async def test_a_page_needs_nothing_beside_itself_and_its_policy_names_its_one_style_sheet(tmp_path):
    async with site(tmp_path) as browser:
        answer, text = await browser.get("/incidents")
        (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert f"style-src 'sha256-{digest}'" in answer.headers["Content-Security-Policy"]
        assert "prefers-color-scheme: dark" in style
        assert not re.findall(r"<link|src=|url\(", text)
