"""Requests that another web site made a browser send: refused where they would change something.

The admin listener has no cookies, but inside a private network being reachable is authority enough, and a browser
sends basic-auth credentials on its own. Programs send neither header and are let through. `hosts` guards against DNS
names that are rebound to this machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from aiohttp import web

from exporter.web import answers

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.typedefs import Handler, Middleware

    from exporter.web.hosts import WebSettings

_SAFE: Final = frozenset(("GET", "HEAD", "OPTIONS"))


def same_origin_only(settings: Callable[[], WebSettings]) -> Middleware:
    """Return the middleware; a page of `external_url`, where a proxy shows us, counts as our own."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method in _SAFE or _is_own(request, urlsplit(settings().external_url or "").netloc.lower()):
            return await handler(request)
        return answers.error(403, "cross_origin", "requests from other web sites may not change anything")

    return check


def _is_own(request: web.Request, external: str) -> bool:
    origin = request.headers.get("Origin")
    if origin is None:
        return request.headers.get("Sec-Fetch-Site", "none") in ("same-origin", "none")
    host = urlsplit(origin).netloc.lower()
    return bool(host) and host in (request.host.lower(), external)
