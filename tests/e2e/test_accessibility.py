"""
Every page of both listeners as axe judges it, in both languages, light and dark, on phones and desks: no violation.

`PAGE_PICTURES=FOLDER` keeps the pages' pictures for people to look at.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
import urllib.parse
import urllib.request
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import pytest

from tests import bodies
from tests.e2e.browser import browser
from tests.e2e.process import Client, ExporterProcess
from tests.patience import patient, wait_for
from tests.ports import free_port
from tests.tools import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.browser import Tab

pytestmark = pytest.mark.timeout(300)
DAY = 86_400
SIZES = (360, 768, 1280)
NARROWEST = 320
"""A desk of 1,280 at four times its size."""
LINK = re.compile(r'href="([^"]+)"')
FOR_PROGRAMS = re.compile(r"\.(csv|json|svg|atom)$|/api/|/-/|/metrics|/export|/forget$|/maintenance$|/notes$|/status$")
ONE_OF_A_KIND = re.compile(r"[0-9a-f]{16}|[a-z2-7]{16}|\d+|up|history")
SWITCH = re.compile("[?&](?:lang|renew)=")
SETTINGS = """
alertmanager: {urls: ["http://127.0.0.1:9"]}
pages: {items: [{match: {business_id: biz_1}, slug: toko, title: Toko Makmur, publish_after: 1m}]}
maintenance: [{match: {device_id: planned}, start: "2020-01-01", end: "2099-01-01", comment: "Moving house"}]
"""


def html(url: str, form: dict[str, str] | None = None) -> str:
    """Return a page; empty where it is none."""
    body = urllib.parse.urlencode(form).encode() if form is not None else None
    request = urllib.request.Request(url, body, {"Accept": "text/html"})
    with urllib.request.urlopen(request, timeout=patient(10)) as answer:
        text: str = answer.read().decode()
        return text if answer.headers.get_content_type() == "text/html" else ""


def crawl(*starts: str) -> list[str]:
    """Return the addresses of the pages that links lead to, a few of each kind."""
    found: list[str] = []
    kinds, ahead = dict.fromkeys(starts, 0), list(starts)
    while ahead:
        url = ahead.pop(0)
        text = html(url)
        if not text:
            continue
        found.append(url)
        for link in LINK.findall(text):
            target = urljoin(url, unescape(link)).partition("#")[0]
            parts = urlsplit(target)
            kind = ONE_OF_A_KIND.sub("*", target.partition("?")[0]) + "&".join(dict(parse_qsl(parts.query)))
            known = kinds.get(kind, 0)
            if (
                parts.scheme == "http"
                and known < 2
                and not SWITCH.search(target)
                and not FOR_PROGRAMS.search(parts.path)
            ):
                kinds[kind] = known + 1
                if target not in found and target not in ahead:
                    ahead.append(target)
    return found


def event(device_id: str, at: float, *, up: bool, name: str) -> dict[str, Any]:
    business = {"id": "biz_1", "name": "Toko Makmur"}
    return bodies.device_event(device_id, int(at), up=up, name=name, bisnis=business)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    folder, port, now = tmp_path_factory.mktemp("pages"), free_port(), time.time()
    (folder / "exporter.yml").write_text(SETTINGS)
    address = f"127.0.0.1:{port}"
    flags = ("--config.file", str(folder / "exporter.yml"), "--pages.listen-address", address)
    with ExporterProcess(folder / "data", *flags, "--pages.external-url", f"http://{address}/") as exporter:
        exporter.post(event("up", now - 80 * DAY, up=True, name="Counter"))
        for start in (70 * DAY, 9 * DAY, 3 * DAY):
            exporter.post(event("history", now - start, up=False, name="Office"))
            exporter.post(event("history", now - start + 7000, up=True, name="Office"))
        exporter.post(event("planned", now - 3000, up=False, name="Store room"))
        exporter.post(event("down", now - 400, up=False, name="Front desk"))
        exporter.post(event("taken", now - 500, up=False, name="Second desk"))
        wait_for(lambda: len(exporter.api("incidents?status=open")["incidents"]) >= 2, "incidents are open", 20)
        down = wait_for(lambda: link_of(exporter, "down"), "its alert has a link")
        taken = wait_for(lambda: link_of(exporter, "taken"), "its alert has a link")
        html(taken, {"by": "Sari", "for": "1h", "note": "On the phone with them"})
        admin, outside = exporter.admin_url, f"http://{address}"
        found = crawl(f"{admin}/", f"{outside}/s/toko", down, taken)
        missing = [f"{admin}/devices/none", f"{admin}/incidents/999", f"{admin}/none", f"{outside}/none"]
        yield [*found, *missing, f"{admin}/devices?q=nothing", f"{admin}/incidents?q=nothing"]


def link_of(exporter: ExporterProcess, device_id: str) -> str:
    client = Client(exporter.admin_url, {"Accept": "text/html"})
    text = client.call("GET", f"/devices/{device_id}").text
    client.close()
    found = re.search(r'http://[^"]+/a/[a-z2-7]{16}', text)
    return found[0] if found else ""


def test_every_kind_of_page_is_looked_at(pages: list[str]) -> None:
    paths = [urlsplit(url).path + ("?month" if "month=" in url else "") for url in pages]
    kinds = ("/", "/devices", "/devices/down", "/incidents", "/s/toko", "/s/toko?month")
    assert [kind for kind in kinds if kind not in paths] == []
    assert sum("/a/" in path for path in paths) == 2
    for kind in ("/s/toko/[0-9a-f]{16}", r"/incidents/\d+"):
        assert any(re.fullmatch(kind, path) for path in paths), kind


@pytest.mark.parametrize(
    ("language", "dark"),
    [
        ("id", False),
        ("en", True),
        pytest.param("id", True, marks=pytest.mark.slow),
        pytest.param("en", False, marks=pytest.mark.slow),
    ],
)
async def test_no_page_has_a_violation_and_nothing_sticks_out_of_one(
    tmp_path: Path, pages: list[str], language: str, *, dark: bool
) -> None:
    axe = require("axe").read_text()
    found = []
    async with browser(tmp_path / "profile") as tab:
        for number, url in enumerate(pages):
            await tab.show((SIZES[number % len(SIZES)], 900), dark=dark, language=language)
            await tab.go(url if "/s/" not in url else f"{url}{'&' if '?' in url else '?'}lang={language}")
            await tab.evaluate(f"{axe};0")
            for one in await tab.evaluate("axe.run().then(result => result.violations)", promise=True):
                found += [f"{url}: {one['id']}: {node['html'][:150]}" for node in one["nodes"][:3]]
            for width in SIZES:
                await tab.show((width, 900), dark=dark, language=language)
                found += [f"{url}: {element} at {width}" for element in await tab.overflow()]
                await keep(tab, f"{number:02}-{width}-{language}{'-dark' if dark else ''}")
            await tab.show((NARROWEST, 900), dark=dark, language=language)
            found += [f"{url}: {element} at {NARROWEST}" for element in await tab.overflow()]
    assert found == []


async def test_an_outage_is_taken_with_the_keyboard_alone_in_the_order_in_which_it_is_read(
    tmp_path: Path, pages: list[str]
) -> None:
    (url,) = [url for url in pages if "/a/" in url][:1]
    focused = "[document.activeElement.name || document.activeElement.tagName, document.activeElement.offsetTop]"
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    async with browser(tmp_path / "profile") as tab:
        await tab.scripts(on=False)
        await tab.show((360, 740), language="en")
        await tab.go(url)
        order = []
        for _ in range(5):
            await tab.press("Tab")
            order.append(await tab.evaluate(focused))
            assert await tab.evaluate(outline) == "solid", order
        assert [name for name, _ in order] == ["A", "by", "for", "note", "BUTTON"]
        assert sorted(order, key=lambda one: one[1]) == order
        await tab.evaluate("document.querySelector('input[name=by]').focus()")
        await tab.call("Input.insertText", text="Budi")
        await tab.press("Enter", loads=True)
        assert "Budi has it" in await tab.text()
        html(url, {"by": "Sari", "for": "1h"})
        await tab.reload()  # sends no form again
        assert "Sari has it" in await tab.text()


async def test_on_paper_there_is_what_happened_and_nothing_to_press(tmp_path: Path, pages: list[str]) -> None:
    url = next(url for url in pages if re.search(r"/incidents/\d+$", url))
    async with browser(tmp_path / "profile") as tab:
        await tab.go(url)
        await tab.on_paper(on=True)
        assert (
            await tab.evaluate("[...document.querySelectorAll('form, nav a')].filter(e => e.offsetParent).length") == 0
        )
        assert await tab.evaluate("document.querySelector('.timeline').offsetHeight") > 0


async def keep(tab: Tab, name: str) -> None:
    """Keep a picture where somebody wants to look at it."""
    if folder := os.environ.get("PAGE_PICTURES"):
        await asyncio.to_thread(Path(folder, f"{name}.png").write_bytes, await tab.picture())
