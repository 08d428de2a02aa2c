"""Status pages as a feature: the routes on the pages listener, and which page an address or a host means.

A page that is asked for by a host of its own answers there and nowhere shows another one. What is not there, and what
is not for this host, look the same.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, ClassVar, Final

from aiohttp import hdrs, web

from exporter.errors import JournalUnavailable, Overloaded
from exporter.lib.logs import fields
from exporter.lib.words import LANGUAGES
from exporter.look.rendering import headers
from exporter.status_pages import drawing, slugs
from exporter.status_pages.service import METRICS, PARTS, TYPES, StatusPages, Wanted
from exporter.web.operations import NotFound
from exporter.web.pages import host_of, is_inside, policy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from exporter.config import Config
    from exporter.config.schema import StatusPage
    from exporter.journal.port import Piece
    from exporter.maintenance.repeated import Span
    from exporter.maintenance.windows import Window
    from exporter.recording.recorder import Recorder

log = logging.getLogger(__name__)

PATH: Final = "/s"
TLS_PATH: Final = "/-/tls-allowed"
"""Where Caddy asks whether a certificate may be had for a name; for everybody else there is nothing here."""
_GZIP: Final = re.compile(r"\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))", re.IGNORECASE)
"""What says that a browser takes it."""
FRESH: Final = "public, max-age=15, stale-while-revalidate=60, stale-if-error=86400"


class StatusPagesFeature:
    """Keeps the addresses that were made by chance."""

    name: ClassVar[str] = slugs.PIECE.name
    piece: ClassVar[Piece] = slugs.PIECE

    def __init__(
        self,
        recorder: Recorder,
        config: Callable[[], Config],
        *,
        windows: Callable[[float], Iterable[tuple[Window, Span]]],
        covered: Callable[[], Collection[str]],
    ) -> None:
        self._recorder = recorder
        self._config = config
        self._pages = StatusPages(recorder, config, windows, covered)
        self._by_slug: dict[str, StatusPage] = {}
        self._by_host: dict[str, str] = {}

    async def start(self) -> None:
        """Know the pages. JournalUnavailable."""
        await self._know(self._config().pages.items)

    async def reload(self, config: Config) -> None:
        """Take other pages into use; without the journal those whose address the configuration gives."""
        try:
            await self._know(config.pages.items)
        except (JournalUnavailable, Overloaded) as error:
            log.warning("pages without a slug have no address now; reload again", extra=fields(error=str(error)))
            self._take({page.slug: page for page in config.pages.items if page.slug is not None})

    async def _know(self, pages: Collection[StatusPage]) -> None:
        name = slugs.PIECE.name
        self._take(await self._recorder.transact(name, lambda transaction: slugs.ensure(transaction, pages)))

    def _take(self, pages: dict[str, StatusPage]) -> None:
        self._pages.clear()
        self._by_slug = pages
        self._by_host = {host: slug for slug, page in self._by_slug.items() for host in page.hosts}

    def outside(self) -> list[web.RouteDef]:
        """Return the routes of the pages listener."""
        part, device = "{part:" + "|".join(PARTS) + "}", "{device:[0-9a-f]{16}}"
        return [
            web.get("/", self._by_own_host),
            web.get(f"/{part}", self._by_own_host),
            web.get(f"/{device}", self._by_own_host),
            web.get(f"{PATH}/{{slug}}", self._by_address),
            web.get(f"{PATH}/{{slug}}/{part}", self._by_address),
            web.get(f"{PATH}/{{slug}}/{device}", self._by_address),
            web.get(TLS_PATH, self._tls_allowed),
        ]

    async def _by_own_host(self, request: web.Request) -> web.StreamResponse:
        slug = self._by_host.get(host_of(request))
        if slug is None:
            raise NotFound("no such page")
        return await self._answer(request, slug, own_host=True)

    async def _by_address(self, request: web.Request) -> web.StreamResponse:
        slug = request.match_info["slug"]
        if slug not in self._by_slug:
            raise NotFound("no such page")
        return await self._answer(request, slug, own_host=False)

    async def _tls_allowed(self, request: web.Request) -> web.StreamResponse:
        if not is_inside(request) or request.query.get("domain", "").lower() not in self._by_host:
            raise NotFound("no such host")
        return web.Response(text="yes\n")

    async def _answer(self, request: web.Request, slug: str, *, own_host: bool) -> web.StreamResponse:
        page = self._by_slug[slug]
        device, month = request.match_info.get("device", ""), request.query.get("month", "")
        part = request.match_info.get("part", "device" if device else "month" if month else "page")
        which = device or (month if part == "month" else request.query.get("page", "") if part == "page" else "")
        own = next((language for language in LANGUAGES if language == page.language), LANGUAGES[0])
        language = next((language for language in LANGUAGES if language == request.query.get("lang")), own)
        asked = request.query.get("metric", METRICS[0])
        metric = asked if asked in METRICS and part.startswith("badge") else METRICS[0]
        url = f"https://{host_of(request)}/" if own_host else self._url(slug)
        drawn = await self._pages.draw(slug, page, Wanted(part, language, metric, own_host, url, which))
        answer = web.Response(content_type=TYPES[part], charset="utf-8", headers=_headers(part, page))
        answer.etag = drawn.tag
        if any(tag.value in (drawn.tag, "*") for tag in request.if_none_match or ()):
            answer.set_status(304)
        elif _GZIP.search(request.headers.get(hdrs.ACCEPT_ENCODING, "")):
            answer.body, answer.headers[hdrs.CONTENT_ENCODING] = drawn.packed, "gzip"
        else:
            answer.body = drawn.body
        return answer

    def _url(self, slug: str) -> str:
        base = (self._config().pages.external_url or "http://localhost/").rstrip("/")
        return f"{base}{PATH}/{slug}"


def _headers(part: str, page: StatusPage) -> dict[str, str]:
    found = {"Cache-Control": FRESH, "Vary": hdrs.ACCEPT_ENCODING}
    is_page = TYPES[part] == "text/html"
    if is_page:
        allowed = headers()["Content-Security-Policy"].replace("'self'", "'none'")
        frames = " ".join(page.frames) or "'none'"
        found["Content-Security-Policy"] = allowed.replace("frame-ancestors 'none'", f"frame-ancestors {frames}")
    elif part == "bars.svg":
        found["Content-Security-Policy"] = policy(drawing.STRIP_STYLE)
    if not is_page:
        found |= {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
    if page.index:
        found["X-Robots-Tag"] = "all"
    return found
