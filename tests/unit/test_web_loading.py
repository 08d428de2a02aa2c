"""Before the journal is loaded: no answer of any listener says that the fleet is empty."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web

from exporter.app import app as the_app
from exporter.app.app import Exporter
from exporter.config.schema import Config, Notify, Pages, Secret, StatusPage, Storage, Web, Webhook
from exporter.errors import JournalUnavailable
from exporter.web.answers import RETRY_AFTER
from tests.patience import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ANSWERED = {
    ("GET", "/metrics"),  # it refuses by itself: 503 `not_ready`
    ("GET", "/-/healthy"),
    ("GET", "/-/ready"),
    ("POST", "/-/reload"),
    ("PUT", "/-/reload"),
    ("GET", "/api/v1/openapi.json"),
    ("GET", "/api/v1/status"),
    ("POST", "/api/v1/notify/{target}"),  # alerts about the exporter itself come through it
}
"""Everything that may be answered before the journal is loaded. What is new here must say nothing of the fleet."""

SAMPLES = {
    "device_id": "d1",
    "number": "1",
    "id": "1",
    "target": "sms",
    "slug": "toko",
    "part": "summary.json",
    "device": "0" * 16,
    "token": "a" * 16,
    "form": "undo",
}
"""What stands for the parameters of a path."""


@pytest.fixture
def apps(monkeypatch: pytest.MonkeyPatch) -> dict[str, web.Application]:
    """Give the applications of the admin and the pages listener as they are made."""
    made: dict[str, web.Application] = {}
    for name in ("admin_app", "pages_app"):
        make = getattr(the_app, name)

        def keep(*given: Any, _name: str = name, _make: Any = make, **more: Any) -> web.Application:
            made[_name] = _make(*given, **more)
            return made[_name]

        monkeypatch.setattr(the_app, name, keep)
    return made


def exporter_in(folder: Path) -> Exporter:
    """Return an exporter with every listener."""
    config = Config(
        webhook=Webhook(listen_address="127.0.0.1:0", secret=Secret("secret")),
        web=Web(listen_address="127.0.0.1:0"),
        pages=Pages(
            listen_address="127.0.0.1:0",
            external_url="http://pages.example",
            secret=Secret("a secret for links"),
            items=(StatusPage(title="Toko", devices=("d1",), slug="toko", language="id", timezone="Asia/Jakarta"),),
        ),
        storage=Storage(url=Secret(f"sqlite:///{folder}/exporter.db")),
        notify=Notify(token=Secret("token")),
    )
    return Exporter(lambda: config)


@asynccontextmanager
async def loading(folder: Path) -> AsyncIterator[Exporter]:
    """Give an exporter that listens and whose journal cannot be loaded."""
    exporter = exporter_in(folder)

    async def fail() -> None:
        raise JournalUnavailable("no space left on device")

    exporter.recorder._journal.load = fail  # type: ignore[method-assign, assignment]
    starting = asyncio.create_task(exporter.start())
    await eventually(lambda: exporter.recorder.unopened)
    try:
        yield exporter
    finally:
        exporter._stopping.set()  # as a signal does
        await starting
        await exporter.stop()


def routes_of(app: web.Application) -> list[tuple[str, str, str]]:
    """Return the method, the template and a sample path of each route, HEAD left out."""
    resources = [(route.method, route.resource) for route in app.router.routes() if route.method != "HEAD"]
    templates = [(method, resource.canonical) for method, resource in resources if resource is not None]
    return [(method, template, template.format(**SAMPLES)) for method, template in templates]


async def test_every_route_of_the_admin_listener_is_refused_or_on_the_short_list(
    tmp_path: Path, apps: dict[str, web.Application]
) -> None:
    async with loading(tmp_path) as exporter, aiohttp.ClientSession(exporter.admin.url) as session:
        routes = routes_of(apps["admin_app"])
        assert {(method, template) for method, template, _ in routes} > ANSWERED
        assert {"/", "/devices.csv", "/incidents", "/api/v1/maintenance"} <= {template for _, template, _ in routes}
        for method, template, path in routes:
            async with session.request(method, path) as answer:
                said = await answer.text()
                refused = answer.status == 503 and '"code":"journal_unavailable"' in said
                assert refused is ((method, template) not in ANSWERED), (method, template, answer.status, said)
                assert not refused or answer.headers["Retry-After"] == RETRY_AFTER
        async with session.get("/metrics") as scrape:
            assert scrape.status == 503
        async with session.get("/nowhere") as unknown:
            assert unknown.status == 404


async def test_every_route_of_the_pages_listener_is_refused_in_both_languages(
    tmp_path: Path, apps: dict[str, web.Application]
) -> None:
    async with loading(tmp_path) as exporter:
        assert exporter.pages is not None
        routes = routes_of(apps["pages_app"])
        assert {"/s/{slug}", "/a/{token}", "/a/{token}/say", "/s/{slug}/{part}"} <= {one for _, one, _ in routes}
        async with aiohttp.ClientSession(exporter.pages.url) as session:
            for method, _, path in routes:
                async with session.request(method, path) as answer:
                    said = await answer.text()
                    assert (answer.status, answer.headers["Retry-After"]) == (503, RETRY_AFTER), (method, path)
                    assert "Sedang tidak bisa dibaca" in said
                    assert "Not available now" in said


@pytest.mark.parametrize(("language", "words"), [("id", "Jurnal sedang tidak bisa dibaca"), ("en", "cannot be read")])
async def test_a_person_gets_the_refusal_as_a_page(tmp_path: Path, language: str, words: str) -> None:
    headers = {"Accept": "text/html", "Accept-Language": language}
    async with loading(tmp_path) as exporter, aiohttp.ClientSession(exporter.admin.url, headers=headers) as session:
        for path in ("/", "/devices", "/devices.csv", "/devices/d1", "/incidents"):
            async with session.get(path) as answer:
                assert (answer.status, answer.content_type) == (503, "text/html"), path
                assert answer.headers["Retry-After"] == RETRY_AFTER
                assert words in await answer.text()


async def test_a_fleet_is_not_shown_before_the_features_know_what_they_keep_of_it(tmp_path: Path) -> None:
    exporter, go_on = exporter_in(tmp_path), asyncio.Event()

    class Slow:
        name = "slow"

        async def start(self) -> None:
            await go_on.wait()

    exporter.features.all = (*exporter.features.all, Slow())
    starting = asyncio.create_task(exporter.start())
    await eventually(lambda: exporter.recorder.ready)
    assert exporter.pages is not None
    windows, page = f"{exporter.admin.url}/api/v1/maintenance", f"{exporter.pages.url}/s/toko"
    async with aiohttp.ClientSession() as session:
        for status in (503, 200):
            for url in (windows, page):
                async with session.get(url) as answer:
                    assert answer.status == status, url
            go_on.set()
            await starting
    await exporter.stop()


async def test_the_status_tells_what_is_in_the_way_and_nothing_of_the_fleet(tmp_path: Path) -> None:
    async with loading(tmp_path) as exporter, aiohttp.ClientSession(exporter.admin.url) as session:
        async with session.get("/api/v1/status") as answer:
            status = await answer.json()
        async with session.get("/-/ready") as ready:
            assert (ready.status, (await ready.json())["error"]) == (503, "no space left on device")
        async with session.get("/-/healthy") as healthy:
            assert healthy.status == 200
    assert (status["ready"], status["trouble"]) == (False, "no space left on device")
    assert [status[name] for name in ("devices", "down", "in_maintenance", "last_blind")] == [None] * 4
