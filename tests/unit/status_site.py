"""A pages listener with status pages over a real journal."""

from __future__ import annotations

import html
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urljoin

import aiohttp
import msgspec
from aiohttp import web

from exporter.config.schema import Config, Match, Pages, StatusPage
from exporter.days.sums import last_days
from exporter.domain.identity import Identity
from exporter.gateways.events import DeviceEvent
from exporter.incidents import store
from exporter.incidents.model import NOTE, Close, Entry, Open
from exporter.lib.times import zone_of
from exporter.recording.recorder import Boundary
from exporter.status_pages.feature import StatusPagesFeature
from exporter.web.pages import pages_app
from tests.unit.journal_site import NOW, FakeClock, Site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from exporter.journal.port import Transaction
    from exporter.maintenance.repeated import Span
    from exporter.maintenance.windows import Window

ZONE = "Asia/Jakarta"
DAY, HOUR = 86_400, 3600
TODAY = last_days(1, NOW, zone_of(ZONE))[0]
PARTS = ("", "/feed.atom", "/summary.json", "/status.json", "/badge.svg", "/badge.json", "/bars.svg")


class Answer(NamedTuple):
    status: int
    text: str
    headers: dict[str, str]


def page(title: str = "Toko Makmur", business: str = "b1", **other: object) -> StatusPage:
    given = {"slug": "toko", "language": "en", "timezone": ZONE, "match": Match(business_id=business)} | other
    return StatusPage(title=title, **given)  # type: ignore[arg-type]


def who(device_id: str, *, name: str = "Front desk", business: str = "b1", engine: str = "wa") -> Identity:
    return Identity(device_id, name, engine, f"c-{device_id}", "A channel", business, f"Owner {business}", "m1", "Sari")


class Outside:
    """The listener. `clock` may be moved; `windows` are planned ones."""

    def __init__(self, folder: Path, *pages: StatusPage) -> None:
        self.clock = FakeClock(TODAY + 12 * HOUR)
        self.site = Site(folder, self.clock)
        self.config = Config(pages=Pages(external_url="https://status.example.id/", items=pages))
        self.windows: list[tuple[Window, Span]] = []
        self.covered: set[str] = set()

    async def start(self) -> None:
        self.recorder = await self.site.start()
        self.feature = StatusPagesFeature(
            self.recorder, lambda: self.config, windows=lambda _: self.windows, covered=lambda: self.covered
        )
        await self.feature.start()

    async def take(self, *pages: StatusPage) -> None:
        self.config = msgspec.structs.replace(self.config, pages=Pages(items=pages))
        await self.feature.reload(self.config)

    async def tell(self, device: Identity, at: int, *, up: bool) -> None:
        await self.recorder.submit(DeviceEvent(timestamp=at, up=up, identity=device))

    async def maintain(self, device: Identity, at: int, *, inside: bool = True) -> None:
        """Let a planned window begin or end."""
        await self.recorder.plan([Boundary(self.recorder.fleet.devices[device.device_id], at, inside)])

    async def incident(
        self,
        device: Identity,
        start: int,
        end: int | None,
        *notes: tuple[str, bool],
        next_update_at: float | None = None,
    ) -> None:
        """Keep an incident with (text, whether public) notes, of which the last may promise another."""

        def put(transaction: Transaction) -> None:
            store.apply(transaction, [Open(device, start, start, "critical")])
            query = "SELECT number FROM incident WHERE device_id = ? AND outage = ?"
            number = transaction.rows(query, (device.device_id, start))[0][0]
            for place, (text, public) in enumerate(notes):
                promised = next_update_at if place == len(notes) - 1 else None
                entry = Entry(start + 60 + place, NOTE, text, "sari", public, promised)
                store.note(transaction, number, f"n{place}", entry)
            if end is not None:
                store.apply(transaction, [Close(device.device_id, start, end, "connected", end)])

        await self.recorder.transact("incidents", put)

    async def follow(self, path: str) -> dict[str, str]:
        """Return the text of every page that links lead to, by its path."""
        found: dict[str, str] = {}
        ahead = [path]
        while ahead:
            path = ahead.pop()
            if path in found:
                continue
            found[path] = (await self.get(path)).text
            links = re.findall('href="([^"]+)"', found[path])
            ahead += [urljoin(path, html.unescape(link)) for link in links if "://" not in link and "#" not in link]
        return found

    async def get(self, path: str, **headers: str) -> Answer:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.get(path, headers=given) as answer:
            return Answer(answer.status, await answer.text(), dict(answer.headers))


@asynccontextmanager
async def outside(folder: Path, *pages: StatusPage) -> AsyncIterator[Outside]:
    site = Outside(folder, *pages)
    await site.start()
    runner = web.AppRunner(
        pages_app(site.feature.outside(), own_hosts=lambda: site.config.pages.own_hosts), access_log=None
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as session:
            site.session = session
            yield site
    finally:
        await runner.cleanup()
        await site.site.kill()
