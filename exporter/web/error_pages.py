"""Errors of the admin listener as pages, where it is a browser that shows them: what programs get stays JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from aiohttp import web

from exporter.errors import JournalUnavailable, Overloaded
from exporter.web import answers
from exporter.web.operations import BadParameter, NotFound

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.typedefs import Handler, Middleware

    from exporter.look.rendering import Renderer

_FOR_PROGRAMS: Final = ("/api/", "/-/", "/metrics")
_KEPT: Final = ("Allow", "WWW-Authenticate", "Retry-After")


class _Error(msgspec.Struct):
    code: str


def errors_as_pages(renderer: Renderer) -> Middleware:
    """Return the middleware; it goes around all that may refuse a request."""

    @web.middleware
    async def show(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
        except web.HTTPException as error:
            if error.status < 400 or not _is_for_a_person(request):
                raise
            kept = {name: error.headers[name] for name in _KEPT if name in error.headers}
            response = answers.http_error(error.status, kept)
        if response.status < 400 or response.content_type != "application/json" or not _is_for_a_person(request):
            return response
        return _page(renderer, request, response)

    return show


def with_error_pages(
    handle: Callable[[web.Request], Awaitable[web.StreamResponse]],
    show: Callable[[web.Request, int, str, str], web.StreamResponse],
    *,
    unknown: str,
) -> Handler:
    """Return a handler whose errors `show` draws, by status, the name of its words, and a detail.

    `unknown` names the words for what is not there.
    """

    async def page(request: web.Request) -> web.StreamResponse:
        try:
            return await handle(request)
        except NotFound:
            return show(request, 404, unknown, "")
        except BadParameter as error:
            return show(request, 400, "error", str(error))
        except (JournalUnavailable, Overloaded):
            return show(request, 503, "unavailable", "")

    return page


def _is_for_a_person(request: web.Request) -> bool:
    return not request.path.startswith(_FOR_PROGRAMS) and "text/html" in request.headers.get("Accept", "")


def _page(renderer: Renderer, request: web.Request, response: web.StreamResponse) -> web.Response:
    body = response.body if isinstance(response, web.Response) else None
    code = msgspec.json.decode(body, type=_Error).code if isinstance(body, bytes) else ""
    words = renderer.words(request)
    named = words.known("error", code)
    said = words.text("error") if named == code else named
    page = renderer.page(request, "error.html", status=response.status, words=said, detail="", back="", here="./")
    page.headers.update({name: response.headers[name] for name in _KEPT if name in response.headers})
    return page
