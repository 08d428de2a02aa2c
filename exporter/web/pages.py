"""The pages listener: what people outside may see, and the one thing that they may do. It faces the internet.

It serves what features publish below `/a/` and `/s/`, a status page at `/` for the page's own host, which shows nothing
else, and nothing of the other listeners. GET and HEAD change nothing; POST is for forms of at most `FORM_LIMIT` bytes.
Whatever is not there, or is not theirs to see, looks the same. Each address may ask so often and all together so often,
so that no crowd holds up webhooks. Before the journal is loaded nothing is known of what is there: then all is 503.

A handler raises `NotFound`, `JournalUnavailable` and `Overloaded`; its own headers go over the ones here.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import time
from typing import TYPE_CHECKING, Final

from aiohttp import hdrs, web

from exporter.errors import JournalUnavailable, Overloaded
from exporter.web import answers
from exporter.web.loading import once_loaded
from exporter.web.operations import NotFound
from exporter.web.rates import Rates

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from aiohttp.typedefs import Handler, Middleware

FORM_LIMIT: Final = 8 * 1024
_FORWARDED: Final = ("X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "Via")
"""Headers of what came through a proxy."""
EACH: Final = (100.0, 200.0)
"""Requests a second from one address, and how many at once."""
ALL: Final = (200.0, 400.0)
_STYLE: Final = (
    "body{background:#f6f7f9;color:#17202b;font:18px/1.5 system-ui,sans-serif;margin:20vh auto;"
    "max-width:26rem;padding:0 1rem}h1{font-size:1.1em}"
    "@media(prefers-color-scheme:dark){body{background:#11151a;color:#e6eaef}}"
)
_PAGE: Final = (
    '<!doctype html><html lang="id"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<meta name="color-scheme" content="light dark"><title>{title}</title><style>{style}</style>'
    '<main><h1>{text}</h1><p lang="en">{text_en}</p></main></html>\n'
)
_NOT_FOUND: Final = ("Halaman ini tidak ada.", "There is no such page.")
_UNAVAILABLE: Final = (
    "Sedang tidak bisa dibaca. Coba lagi sebentar lagi.",
    "Not available now. Try again in a moment.",
)
_TOO_LARGE: Final = ("Formulir ini terlalu besar.", "This form is too large.")
_NOT_SO: Final = ("Halaman ini tidak bisa dipakai seperti itu.", "This page cannot be used like that.")
_FOREIGN: Final = (
    "Formulir dari situs lain tidak mengubah apa pun di sini. Buka lagi tautan di pesan.",
    "A form of another site changes nothing here. Open the link in the message again.",
)
_REFUSED: Final = {403: _FOREIGN, 404: _NOT_FOUND, 413: _TOO_LARGE}
_TOO_MANY: Final = ("Terlalu banyak permintaan. Coba lagi sebentar lagi.", "Too many requests. Try again in a moment.")


def style_source(style: str) -> str:
    """Return what a Content-Security-Policy says to let exactly this style sheet in."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"


def policy(style: str, *, forms: bool = False, frames: str = "'none'") -> str:
    """Return a Content-Security-Policy for a page with this style sheet in it, and no scripts."""
    form_action = "'self'" if forms else "'none'"
    return (
        f"default-src 'none'; style-src {style_source(style)}; img-src 'self'; form-action {form_action}; "
        f"base-uri 'none'; frame-ancestors {frames}"
    )


HEADERS: Final = {
    "Content-Security-Policy": policy(_STYLE),
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""Of every answer that says nothing else."""


def pages_app(
    routes: Iterable[web.RouteDef],
    clock: Callable[[], float] = time.monotonic,
    *,
    own_hosts: Callable[[], Collection[str]] = frozenset,
    loaded: Callable[[], bool] = lambda: True,
) -> web.Application:
    """Return the application; `clock` counts seconds, `own_hosts` are names that show one status page each.

    `loaded` tells whether the fleet, and what features keep of it, is known.
    """
    checks: list[Middleware] = [_errors_as_pages, _bounded(clock), _own_page_only(own_hosts), _safe]
    app = web.Application(middlewares=checks, client_max_size=FORM_LIMIT)
    app.add_routes(once_loaded(routes, loaded))
    app.on_response_prepare.append(_mark)
    return app


def notice(status: int, text: str, text_en: str) -> web.Response:
    """Return a small page that says one thing in both languages."""
    page = _PAGE.format(title=status, style=_STYLE, text=text, text_en=text_en)
    return web.Response(status=status, text=page, content_type="text/html")


def host_of(request: web.Request) -> str:
    """Return the name by which we are asked."""
    return request.host.partition(":")[0].lower().removesuffix(".")


def is_inside(request: web.Request) -> bool:
    """Return whether a request comes from our own network, and through no proxy."""
    address = _parsed(request.remote or "")
    return address is not None and address.is_private and not any(name in request.headers for name in _FORWARDED)


def client_of(request: web.Request) -> str:
    """Return whose request it is: the peer's address, or whom it names where the peer is a proxy in our own network.

    Of an IPv6 address it is the network, as a whole one is anybody's.
    """
    address = _parsed(request.remote or "")
    if address is None or address.is_private:
        named = _parsed(request.headers.get("X-Forwarded-For", "").rpartition(",")[2])
        address = named or address
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _own_page_only(own_hosts: Callable[[], Collection[str]]) -> Middleware:
    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(("/a/", "/s/")) and host_of(request) in own_hosts():
            raise NotFound("this host shows its own page")
        return await handler(request)

    return check


def _bounded(clock: Callable[[], float]) -> Middleware:
    each, all_ = Rates(*EACH), Rates(*ALL)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        now = clock()
        if each.take(client_of(request), now) and all_.take("", now):
            return await handler(request)
        return too_many()

    return check


def too_many() -> web.Response:
    """Return the answer to who asks too often."""
    response = notice(429, *_TOO_MANY)
    response.headers["Retry-After"] = "10"
    return response


@web.middleware
async def _safe(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what another site made a browser send, where it would change something."""
    if request.method in ("GET", "HEAD") or _is_own(request):
        return await handler(request)
    return notice(403, *_FOREIGN)


def _is_own(request: web.Request) -> bool:
    """Return whether a form is of this site. A page without a referrer sends the origin `null`."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get(hdrs.ORIGIN, "null")
    return origin == "null" or origin.rpartition("//")[2].lower() == request.host.lower()


@web.middleware
async def _errors_as_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except NotFound:
        return notice(404, *_NOT_FOUND)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        response = notice(error.status, *_REFUSED.get(error.status, _NOT_SO))
        if hdrs.ALLOW in error.headers:
            response.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
        return response
    except (JournalUnavailable, Overloaded):
        response = notice(503, *_UNAVAILABLE)
        response.headers["Retry-After"] = answers.RETRY_AFTER
        return response


async def _mark(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in answers.HEADERS.items():
        response.headers[name] = value
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
