"""The admin listener: metrics, health, reload, API and pages. It must not face the internet.

Features add `operations` (routes with their description); their handlers raise the typed errors of `operations` and
`errors`, or use `answers`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiohttp import web

from exporter.errors import ConfigError, JournalUnavailable, Overloaded
from exporter.gateways.reasons import UNKNOWN
from exporter.web import answers
from exporter.web.api import Api
from exporter.web.error_pages import errors_as_pages
from exporter.web.hosts import allowed_hosts_only
from exporter.web.loading import once_loaded
from exporter.web.openapi import Error, document
from exporter.web.operations import TEXT, BadParameter, NotFound, Operation
from exporter.web.origin import same_origin_only
from exporter.web.scrape import scrape_handler

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from aiohttp.typedefs import Handler

    from exporter.domain.accounts import Device
    from exporter.look.rendering import Renderer
    from exporter.web.api import Account
    from exporter.web.hosts import WebSettings
    from exporter.web.ports import ExpositionPort, RecorderPort, RequestMetrics
    from exporter.web.webconfig import WebConfigFile

    Reload = Callable[[], Awaitable[None]]

SPECIFICATION_PATH = "/api/v1/openapi.json"


def admin_app(
    recorder: RecorderPort,
    exposition: ExpositionPort,
    metrics: RequestMetrics,
    *,
    reload: Reload,
    account: Account,
    settings: Callable[[], WebSettings],
    ready: Callable[[], bool] | None = None,
    loaded: Callable[[], bool] | None = None,
    web_config: WebConfigFile | None = None,
    operations: Iterable[Operation] = (),
    routes: Iterable[web.RouteDef] = (),
    pages: Renderer | None = None,
    reason_of: Callable[[Device], str] = lambda _device: UNKNOWN,
) -> web.Application:
    """Return the admin application.

    `reload` raises ConfigError; `account` computes availability; `ready` tells whether all works, `loaded` whether the
    fleet is known (the recorder's own word without them); `settings` name us, `web_config` brings basic auth and
    headers.
    `operations` are described in the OpenAPI document, `routes` (pages for people) are not. Until the fleet is known
    none of them is answered but those that say so (`Operation.always`). `pages` shows errors to people, `reason_of`
    tells why a device is down.
    """
    specification = bytearray()
    every = [
        Operation(
            "GET",
            "/metrics",
            scrape_handler(recorder, exposition, metrics),
            "All metrics",
            {200: TEXT, 503: Error},
            always=True,
        ),
        *_state_operations(recorder, ready or (lambda: recorder.ready)),
        *_reload_operations(reload),
        Operation("GET", SPECIFICATION_PATH, _bytes(specification), "This document", {200: dict}, always=True),
        *Api(recorder, account, reason_of).operations(),
        *operations,
    ]
    specification += document(every)
    guards = [web_config.middleware()] if web_config is not None else []
    shown = [errors_as_pages(pages)] if pages is not None else []
    app = web.Application(
        middlewares=[*shown, allowed_hosts_only(settings), *guards, same_origin_only(settings), _typed_errors]
    )
    app.add_routes(operation.route() for operation in every if operation.always)
    of_the_fleet = (operation.route() for operation in every if not operation.always)
    app.add_routes(once_loaded([*of_the_fleet, *routes], loaded or (lambda: recorder.ready)))
    app.on_response_prepare.append(_mark)
    if web_config is not None:
        app.on_response_prepare.append(web_config.set_headers)
    return app


@web.middleware
async def _typed_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except BadParameter as error:
        return answers.error(400, error.code, str(error))
    except NotFound as error:
        return answers.error(404, error.code, str(error))
    except (JournalUnavailable, Overloaded) as error:
        return answers.error(503, error.code, str(error), {"Retry-After": answers.RETRY_AFTER})


async def _mark(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in answers.HEADERS.items():
        response.headers[name] = value


NOT_LOADED: Final = "the journal is not loaded, or what others put into it is not known here"


def _state_operations(recorder: RecorderPort, is_ready: Callable[[], bool]) -> list[Operation]:
    health = _state(lambda: recorder.healthy, "unhealthy", lambda: recorder.trouble)
    ready = _state(
        is_ready,
        "not_ready",
        lambda: recorder.trouble or NOT_LOADED,
    )
    told = {200: TEXT, 503: Error}
    return [
        Operation("GET", "/-/healthy", health, "Whether the process works", told, always=True),
        Operation("GET", "/-/ready", ready, "Whether the journal is loaded and works", told, always=True),
    ]


def _state(good: Callable[[], bool], code: str, message: Callable[[], str]) -> Handler:
    async def handle(_: web.Request) -> web.StreamResponse:
        return answers.text("OK") if good() else answers.error(503, code, message())

    return handle


def _reload_operations(reload: Reload) -> list[Operation]:
    one_at_a_time = asyncio.Lock()

    async def handle(_: web.Request) -> web.StreamResponse:
        async with one_at_a_time:
            try:
                await reload()
            except ConfigError as error:
                return answers.error(500, error.code, str(error))
        return answers.text("OK")

    outcomes = {200: TEXT, 403: Error, 500: Error}
    return [
        Operation(method, "/-/reload", handle, "Read the configuration again", outcomes, always=True)
        for method in ("POST", "PUT")
    ]


def _bytes(body: bytearray) -> Handler:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(body=bytes(body), content_type="application/json")

    return handle
