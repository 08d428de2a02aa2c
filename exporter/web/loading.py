"""What is answered before the journal is loaded: nothing of the fleet. An empty one would be a lie to whoever looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from exporter.errors import JournalUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aiohttp.typedefs import Handler


def once_loaded(routes: Iterable[web.RouteDef], loaded: Callable[[], bool]) -> list[web.RouteDef]:
    """Return the routes, each of which raises JournalUnavailable until `loaded` says that the fleet is known."""
    return [web.RouteDef(one.method, one.path, _guarded(one.handler, loaded), one.kwargs) for one in routes]


def _guarded(handler: Handler, loaded: Callable[[], bool]) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        if not loaded():
            raise JournalUnavailable("the journal is not loaded")
        return await handler(request)

    return handle
