"""The admin listener: metrics, health, reload, API and pages. It must not face the internet.

Features add their routes by `routes`; their handlers raise aiohttp's HTTP errors or use `answers`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from exporter.errors import ConfigError
from exporter.web import answers
from exporter.web.landing import landing_page
from exporter.web.origin import same_origin_only
from exporter.web.scrape import scrape_handler

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from aiohttp.typedefs import Handler, Middleware

    from exporter.web.ports import EnginePort, ExpositionPort, RequestMetrics

    Reload = Callable[[], Awaitable[None]]


def admin_app(
    engine: EnginePort,
    exposition: ExpositionPort,
    metrics: RequestMetrics,
    *,
    reload: Reload,
    external_url: str | None = None,
    authenticate: Middleware | None = None,
    routes: Iterable[web.AbstractRouteDef] = (),
    links: Iterable[tuple[str, str]] = (),
) -> web.Application:
    """Return the admin application. `reload` raises ConfigError; `links` are (title, path) for the landing page."""
    guards = [authenticate] if authenticate is not None else []
    app = web.Application(middlewares=[*guards, same_origin_only(external_url)])
    reload_handler = _reload(reload)
    app.add_routes(
        [
            web.get("/", landing_page(engine, list(links))),
            web.get("/metrics", scrape_handler(engine, exposition, metrics)),
            web.get("/-/healthy", _state(lambda: engine.healthy, "unhealthy", "the journal's writer does not run")),
            web.get("/-/ready", _state(lambda: engine.ready, "not_ready", "the journal is being loaded")),
            web.post("/-/reload", reload_handler),
            web.put("/-/reload", reload_handler),
            *routes,
        ]
    )
    app.on_response_prepare.append(_mark)
    return app


async def _mark(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in answers.HEADERS.items():
        response.headers[name] = value


def _state(good: Callable[[], bool], code: str, message: str) -> Handler:
    async def handle(_: web.Request) -> web.StreamResponse:
        return answers.text("OK") if good() else answers.error(503, code, message)

    return handle


def _reload(reload: Reload) -> Handler:
    one_at_a_time = asyncio.Lock()

    async def handle(_: web.Request) -> web.StreamResponse:
        async with one_at_a_time:
            try:
                await reload()
            except ConfigError as error:
                return answers.error(500, error.code, str(error))
        return answers.text("OK")

    return handle
