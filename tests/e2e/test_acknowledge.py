"""From the alert on the phone to "it is back": links, silences and notices with a real Alertmanager.

`ACK_PICTURES=FOLDER` keeps the page's pictures for people to look at, and the transcript that the docs show.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import re
import shutil
import threading
import time
import urllib.parse
import urllib.request
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.e2e.browser import browser
from tests.e2e.harness import request
from tests.e2e.process import ExporterProcess
from tests.e2e.test_direct_alerts import Site, device_event, site_of
from tests.patience import patient, wait_for
from tests.ports import LOOPBACK, free_port
from tests.postgres import shared_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.browser import Tab

pytestmark = [pytest.mark.binaries, pytest.mark.timeout(300)]
LINK = re.compile(r"/a/[a-z2-7]{16}")


@contextmanager
def acknowledging(folder: Path, **given: Any) -> Iterator[Site]:
    """A site whose alerts have links."""
    port = free_port()
    flags = ("--pages.listen-address", f"{LOOPBACK}:{port}", "--pages.external-url", f"http://{LOOPBACK}:{port}/")
    with site_of(folder, flags=flags, **given) as site:
        yield site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with acknowledging(tmp_path_factory.mktemp("site")) as found:
        yield found


def told_link(site: Site, about: str) -> str:
    """Return the path of the link in the first message about a device on Slack."""
    texts = [text for text in site.where.slack() if about in text and LINK.search(text)]
    found = LINK.search(texts[0]) if texts else None
    return found[0] if found else ""


def shown(exporter: ExporterProcess, path: str, form: bytes | None = None) -> str:
    with urllib.request.urlopen(exporter.pages_url + path, form, timeout=patient(10)) as answer:
        text: str = answer.read().decode()
        return text


def posted(exporter: ExporterProcess, path: str, by: str = "Sari", lasting: str = "1h") -> str:
    """Say that somebody has it; return the page that they see then."""
    return shown(exporter, path, urllib.parse.urlencode({"by": by, "for": lasting}).encode())


def page(site: Site, path: str) -> str:
    return shown(site.exporter, path)


def take(site: Site, path: str, by: str = "Sari", lasting: str = "1h") -> str:
    return posted(site.exporter, path, by, lasting)


def try_to_take(site: Site, path: str) -> None:
    with suppress(OSError, http.client.HTTPException):
        take(site, path)


def silences(site: Site, device_id: str, number: int = 0) -> list[dict[str, Any]]:
    """Return our silences of a device that are in force at one Alertmanager."""
    found = request(f"{site.alertmanagers[number].url}/api/v2/silences")
    return [
        one
        for one in found
        if one["status"]["state"] == "active"
        and one["comment"].startswith("ACK")
        and {"name": "device_id", "value": device_id, "isEqual": True, "isRegex": False} in one["matchers"]
    ]


def notices(site: Site) -> list[str]:
    return [text for text in site.where.slack() if text.startswith("✋")]


def test_the_link_is_in_every_kind_of_message(site: Site) -> None:
    site.down("k1", name="Kasir Link")
    site.wait_told("Kasir Link")
    path = told_link(site, "Kasir Link")
    [mail] = [mail for mail in site.where.emails() if "Kasir Link" in str(mail["subject"])]
    assert path in mail.get_body(("plain",)).get_content()
    assert path in mail.get_body(("html",)).get_content()
    wait_for(lambda: [text for text in site.where.telegram() if path in text], "Telegram has it")
    [sms] = [text for text in site.sms() if "Kasir Link" in text]
    assert path in sms
    assert len(sms) <= 160


def test_who_has_it_is_told_and_so_is_the_recovery_although_it_was_silenced(site: Site) -> None:
    site.down("a1", name="Kasir Satu")
    site.wait_told("Kasir Satu")
    path = told_link(site, "Kasir Satu")
    before = site.counts("Kasir Satu")
    assert "Ditangani oleh Sari" in take(site, path)
    wait_for(lambda: silences(site, "a1"), "the silence is there")
    wait_for(lambda: [text for text in notices(site) if "Sari menangani Kasir Satu" in text], "the chat is told")
    assert site.counts("Kasir Satu") == before | {"slack": before["slack"] + 1}
    for operators in ("/", "/devices/a1"):
        assert "Sari" in site.exporter.get(operators).text
    site.back("a1", name="Kasir Satu")
    site.wait_told("PULIH: Kasir Satu")
    assert silences(site, "a1") == []
    assert "Tersambung lagi" in page(site, path)
    assert site.alertmanager.muted_by("device_id=a1") == []


def test_acknowledged_while_alertmanager_is_away_it_is_shown_and_the_silence_follows_a_kill_too(site: Site) -> None:
    site.down("a2", name="Kasir Dua")
    site.wait_told("Kasir Dua")
    path = told_link(site, "Kasir Dua")
    site.wires[0].cut()
    assert "Ditangani oleh Sari" in take(site, path)
    site.exporter.kill()
    site.wires[0].mend()
    site.exporter.start()
    wait_for(lambda: silences(site, "a2"), "the silence follows")
    assert "Ditangani oleh Sari" in page(site, path)
    site.exporter.kill()
    site.exporter.start()
    site.back("a2", name="Kasir Dua")
    site.wait_told("PULIH: Kasir Dua")
    assert silences(site, "a2") == []


@pytest.mark.parametrize("both", [False, True])
def test_an_alertmanager_that_lost_its_data_tells_the_recovery_all_the_same(site: Site, *, both: bool) -> None:
    device_id, name = ("l2", "Kasir Lupa Dua") if both else ("l1", "Kasir Lupa Satu")
    site.down(device_id, name=name)
    site.wait_told(name)
    take(site, told_link(site, name))
    wait_for(lambda: silences(site, device_id), "the silence is there")
    wait_for(lambda: [text for text in notices(site) if name in text], "the chat knows who has it")
    if both:
        site.exporter.kill()
    site.alertmanager.kill()
    shutil.rmtree(site.alertmanager.folder / "data")
    site.alertmanager.start()
    if both:
        site.exporter.start()
    wait_for(lambda: silences(site, device_id), "the silence is there again")
    again = [text for text in site.where.slack() if f"MATI: {name}" in text]
    assert len(again) == 2
    assert "Sedang ditangani Sari" in again[1]
    site.back(device_id, name=name)
    site.wait_told(f"PULIH: {name}")
    assert silences(site, device_id) == []


def test_a_silence_that_somebody_made_longer_ends_with_the_outage(site: Site) -> None:
    site.down("a3", name="Kasir Tiga")
    site.wait_told("Kasir Tiga")
    take(site, told_link(site, "Kasir Tiga"))
    [ours] = wait_for(lambda: silences(site, "a3"), "the silence is there")
    longer = {key: ours[key] for key in ("id", "matchers", "createdBy", "comment")}
    longer |= {"startsAt": "2020-01-01T00:00:00Z", "endsAt": "2090-01-02T00:00:00Z"}  # another start is another id
    request(f"{site.alertmanager.url}/api/v2/silences", longer)
    site.back("a3", name="Kasir Tiga")
    site.wait_told("PULIH: Kasir Tiga")
    wait_for(lambda: not silences(site, "a3"), "no silence of ours is left")


@pytest.mark.slow
def test_two_alertmanagers_in_a_cluster_are_silenced_once_and_tell_the_recovery_once(tmp_path: Path) -> None:
    with acknowledging(tmp_path, alertmanagers=2, interval="2s") as site:
        site.down("c1", name="Kasir Klaster")
        site.wait_told("Kasir Klaster")
        take(site, told_link(site, "Kasir Klaster"))
        for number in (0, 1):
            wait_for(lambda number=number: silences(site, "c1", number), "both know the silence")  # type: ignore[misc]
        site.settle(3)
        assert len(silences(site, "c1")) == 1
        site.back("c1", name="Kasir Klaster")
        site.wait_told("PULIH: Kasir Klaster")
        site.settle(4)
        assert set(site.counts("PULIH: Kasir Klaster").values()) == {1}


def test_of_several_exporters_each_shows_at_once_who_has_it_and_a_kill_of_one_loses_nothing(tmp_path: Path) -> None:
    url = shared_cluster().database()
    (tmp_path / "secret").write_text("a key of both\n")
    secret = f"pages: {{secret_file: {tmp_path}/secret}}\nwebhook: {{secret: s}}\n"
    (tmp_path / "exporter.yml").write_text(
        f"alertmanager: {{urls: ['http://127.0.0.1:9']}}\nalerts: {{language: id}}\n{secret}"
    )
    with ExitStack() as running:

        def exporter(name: str) -> ExporterProcess:
            address = f"{LOOPBACK}:{free_port()}"
            flags = ["--config.file", str(tmp_path / "exporter.yml"), "--pages.listen-address", address]
            flags += ["--pages.external-url", f"http://{address}/"]
            made = ExporterProcess(tmp_path / name, *flags)
            made.storage_url = url
            return running.enter_context(made)

        first, second = exporter("first"), exporter("second")
        first.post(device_event("p1", int(time.time()) - 300, up=False, name="Kasir Dua"), "s")

        def path_at(one: ExporterProcess) -> str:
            found = LINK.search(one.get("/devices/p1").text)
            return found[0] if found else ""

        path = wait_for(lambda: path_at(second), "the other one knows it and links to it", 20)
        assert path_at(first) == path
        assert "Ditangani oleh Sari" in posted(second, path, by="Sari")
        assert "Ditangani oleh Sari" in shown(first, path)
        second.kill()
        assert "Ditangani oleh Budi" in posted(first, path, by="Budi")
        first.post(device_event("p1", int(time.time()), up=True, name="Kasir Dua"), "s")
        wait_for(lambda: "Tersambung lagi" in shown(first, path), "it is over")
        assert "Ditangani oleh Budi" in shown(first, path)


@pytest.mark.slow
def test_a_kill_at_any_moment_loses_neither_who_has_it_nor_the_recovery(tmp_path: Path) -> None:
    with acknowledging(tmp_path) as site:
        for number, delay in enumerate((0.0, 0.002, 0.005, 0.01, 0.03, 0.1, 0.4, 1.5)):
            device_id, name = f"s{number}", f"Kasir Sigkill {number}"
            site.down(device_id, name=name)
            site.wait_told(name)
            path = told_link(site, name)
            threading.Thread(target=try_to_take, args=(site, path)).start()
            time.sleep(delay)
            site.exporter.kill()
            site.exporter.start()
            if "Ditangani oleh Sari" not in page(site, path):
                assert "Ditangani oleh Sari" in take(site, path)  # who got no answer says it again
            wait_for(lambda device_id=device_id: silences(site, device_id), "the silence follows")  # type: ignore[misc]
            site.back(device_id, name=name)
            time.sleep(delay)
            site.exporter.kill()
            site.exporter.start()
            site.wait_told(f"PULIH: {name}")
            wait_for(lambda device_id=device_id: not silences(site, device_id), "no silence is left")  # type: ignore[misc]
            # the incident is closed a moment after the alert has ended
            wait_for(lambda path=path: "Tersambung lagi" in page(site, path), "the recovery is shown")  # type: ignore[misc]


# -- in a browser -----------------------------------------------------------------------------------------------------


async def look(tab: Tab, name: str) -> None:
    """Keep a picture where somebody wants to look at it; nothing may stick out of the page in any case."""
    assert await tab.overflow() == [], name
    folder = os.environ.get("ACK_PICTURES")
    if folder:
        picture = await tab.picture()
        await asyncio.to_thread(Path(folder, f"{name}.png").write_bytes, picture)


def transcribe(site: Site, about: str, language: str, *pages: tuple[str, str]) -> None:
    """Keep what people read on their way where somebody wants to look at it."""
    folder = os.environ.get("ACK_PICTURES")
    if folder:
        messages = [text for text in site.where.slack() if about in text]
        lines = [*messages, *(f"{what}\n{text}" for what, text in pages)]
        Path(folder, f"transcript-{language}.txt").write_text("\n\n".join(lines), encoding="utf-8")


class Told(NamedTuple):
    """What people read, in one language."""

    name: str
    note: str
    nobody: str
    taken: str
    back: str
    connected: str
    had: str


TOLD = {
    "id": Told(
        "Kasir Depan",
        "Menelepon Ibu Sari",
        "Belum ada yang menangani",
        "Ditangani oleh Sari",
        "PULIH: Kasir Depan",
        "Tersambung lagi",
        "Ditangani oleh Sari",
    ),
    "en": Told(
        "Front desk",
        "Calling the owner",
        "Nobody has it yet",
        "Sari has it",
        "BACK: Front desk",
        "Connected again",
        "Sari had it",
    ),
}


@pytest.mark.parametrize("language", ["id", pytest.param("en", marks=pytest.mark.slow)])
async def test_from_the_alert_on_the_phone_to_everybody_hearing_that_it_is_back(
    tmp_path: Path, request: pytest.FixtureRequest, language: str
) -> None:
    if language == "id":
        await walk(tmp_path, request.getfixturevalue("site"), language)
        return
    with acknowledging(tmp_path / "site", language=language) as site:
        await walk(tmp_path, site, language)


async def walk(folder: Path, site: Site, language: str) -> None:
    """Go the whole way with two telephones, of which neither runs scripts."""
    told = TOLD[language]
    await asyncio.to_thread(site.down, "b1", name=told.name, ago=560)
    await asyncio.to_thread(site.wait_told, told.name)
    url = site.exporter.pages_url + told_link(site, told.name)
    async with browser(folder / "sari") as sari, browser(folder / "budi") as budi:
        for tab in (sari, budi):
            await tab.scripts(on=False)
            await tab.show((360, 740), language=language)
            await tab.go(url)
            assert told.nobody in await tab.text()
        read = [("GET", await sari.text("main"))]
        await look(sari, f"{language}-phone-open")
        await sari.type("input[name=by]", "Sari")
        await sari.type("textarea[name=note]", told.note)
        await sari.click("form button", loads=True)
        assert told.taken in await sari.text()
        read.append(("POST", await sari.text("main")))
        await look(sari, f"{language}-phone-taken")
        await budi.go(url)  # others see it
        assert told.taken in await budi.text()
        assert told.note in await budi.text()
        read.append(("GET", await budi.text("main")))
        await budi.click("details:last-of-type > summary")
        await look(budi, f"{language}-phone-take-over")
        for size, name in (((1280, 900), "desktop"), ((360, 740), "phone")):
            for dark in (False, True):
                await budi.show(size, dark=dark, language=language)
                await budi.go(url)
                await look(budi, f"{language}-{name}-taken{'-dark' if dark else ''}")
        await asyncio.to_thread(site.back, "b1", name=told.name)
        await asyncio.to_thread(site.wait_told, told.back)
        await budi.go(url)
        assert told.connected in await budi.text()
        assert told.had in await budi.text()
        await look(budi, f"{language}-phone-back")
        read.append(("GET", await budi.text("main")))
        await asyncio.to_thread(transcribe, site, told.name, language, *read)
        await sari.go(url.replace("/a/", "/a/a"))
        await look(sari, f"{language}-phone-not-there")
        assert [line for line in sari.console if "404" not in line] == []
