"""Starts and stops the listeners.

A stop first stops accepting, then lets requests that arrived whole finish for up to `drain` seconds, then closes what
is left. A sender whose request was cut off got no 2xx and tries again.

The listening socket outlives a change of its TLS settings: new connections get the new ones, open ones go on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from aiohttp import HttpVersion10, HttpVersion11, hdrs, web

from exporter.errors import ConfigError
from exporter.lib.address import Address, bound, listen
from exporter.lib.logs import fields
from exporter.web import answers
from exporter.web.accepting import Acceptor
from exporter.web.connections import Connections, of
from exporter.web.limits import Limits
from exporter.web.protocol import HttpConnection

if TYPE_CHECKING:
    import socket

    from exporter.lib.logs import RateLimited
    from exporter.web.ports import RequestMetrics
    from exporter.web.webconfig import WebConfigFile

Handler = Callable[[Any], Awaitable[web.StreamResponse]]

log = logging.getLogger(__name__)

FOLLOW_INTERVAL = 1.0
"""Seconds between two looks at the web configuration file."""
_SPOKEN: Final = (HttpVersion11, HttpVersion10)


@dataclass(frozen=True)
class Listening:
    """What one listener serves: an application, or a plain handler of requests."""

    name: str
    address: Address
    serves: web.Application | Handler
    limits: Limits = field(default_factory=Limits)
    web_config: WebConfigFile | None = None
    """TLS settings, loaded already; the listener follows their changes."""


class Listener:
    """One listening socket and its server. `start` once, then `stop` once."""

    def __init__(self, what: Listening, metrics: RequestMetrics, warn: RateLimited) -> None:
        self.name = what.name
        self._what = what
        self._metrics = metrics
        self._warn = warn
        self._tls = what.web_config.tls if what.web_config is not None else None
        self._following: asyncio.Task[None] | None = None
        self._socket: socket.socket | None = None
        self._bound: Address | None = None
        self._connections: Connections | None = None
        self._acceptor: Acceptor | None = None
        self._runner: web.BaseRunner | None = None

    @property
    def address(self) -> Address:
        """Where it listens, with the real port once it has started."""
        return self._bound or self._what.address

    @property
    def url(self) -> str:
        """The root URL for a client on this machine."""
        host, port = self.address
        return f"{'https' if self._tls else 'http'}://{Address(host or '127.0.0.1', port)}"

    async def start(self, drain: float) -> None:
        """Listen; OSError whose message names the address."""
        self._socket = listen(self._what.address)
        self._bound = bound(self._socket)
        try:
            self._runner = await self._run(drain)
        except BaseException:
            self._socket.close()
            raise
        self._connections = self._guard(self._runner)
        self._acceptor = Acceptor(self._socket, self._connections, lambda: self._tls)
        self._connections.start_sweeping()
        self._acceptor.start()
        if self._what.web_config is not None:
            self._following = asyncio.create_task(self._follow(self._what.web_config))
        log.info("listening", extra=fields(listener=self.name, address=str(self.address), tls=self._tls is not None))

    async def reload(self) -> None:
        """Read the web configuration file again; ConfigError keeps what was in force."""
        web_config = self._what.web_config
        if web_config is None:
            return
        await asyncio.to_thread(web_config.load)
        self._tls = web_config.tls

    async def _follow(self, web_config: WebConfigFile) -> None:
        while True:
            await asyncio.sleep(FOLLOW_INTERVAL)
            if not web_config.changed():
                continue
            try:
                await self.reload()
            except ConfigError as error:
                log.error("the web configuration cannot be used, the former one stays", extra=fields(error=str(error)))  # noqa: TRY400 - no traceback for a typing error
            else:
                log.info("the web configuration was read again", extra=fields(listener=self.name))

    async def stop(self) -> None:
        """Stop accepting, drain, close."""
        if self._following is not None:
            self._following.cancel()
        if self._acceptor is not None:
            self._acceptor.stop()
        if self._connections is not None:
            self._connections.stop_sweeping()
        if self._socket is not None:
            self._socket.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _run(self, drain: float) -> web.BaseRunner:
        serves = self._what.serves
        runner: web.BaseRunner
        if isinstance(serves, web.Application):
            runner = web.AppRunner(serves, shutdown_timeout=drain)
        else:
            runner = web.ServerRunner(web.Server(serves), shutdown_timeout=drain)
        await runner.setup()
        return runner

    def _guard(self, runner: web.BaseRunner) -> Connections:
        server, what = runner.server, self._what
        if server is None:
            raise RuntimeError("the runner is not set up")
        server.request_handler = answered(server.request_handler, self.name, self._metrics)
        arguments = what.limits.connection_arguments()
        return Connections(
            lambda: HttpConnection(server, self._warn, **arguments),
            limits=what.limits,
            warn=self._warn,
            closed=lambda reason: self._metrics.connection(self.name, reason),
        )


def answered(handler: Handler, listener: str, metrics: RequestMetrics) -> Handler:
    """Wrap a handler in what every request goes through: its connection, errors in the JSON shape, the duration.

    Exceptions other than HTTP errors pass through, counted as 500.
    """

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        started = time.perf_counter()
        connection, status = of(request), 500
        if connection is not None:
            connection.begin(request)
        stays = True
        try:
            response = _unusable(request) or await handler(request)
            status = response.status
        except web.HTTPException as error:
            status = error.status
            if status < 400:
                raise
            kept = {name: error.headers[name] for name in ("Allow", "WWW-Authenticate") if name in error.headers}
            response = answers.http_error(status, kept)
        finally:
            metrics.request(listener, status, time.perf_counter() - started)
            if connection is not None:
                stays = connection.finish(good=status < 400 and request.method == "POST")
        if not response.prepared and not (stays and request.content.is_eof()):
            response.force_close()  # what is unread of the body would be taken for the next request
        return response

    return handle


def _unusable(request: web.BaseRequest) -> web.Response | None:
    """Return the answer to what no handler should see: another version of HTTP, two proofs of who sends."""
    if request.version not in _SPOKEN:
        response = answers.http_error(505)
    elif len(request.headers.getall(hdrs.AUTHORIZATION, ())) > 1:
        response = answers.http_error(400)
    else:
        return None
    response.force_close()
    return response


class Listeners:
    """All listeners of the process."""

    def __init__(self, listeners: list[Listener], *, drain: float = 10.0) -> None:
        self._listeners = listeners
        self._drain = drain
        self._started: list[Listener] = []

    async def start(self) -> list[Address]:
        """Start all and return where they listen; if one cannot start, none does and OSError says which."""
        for listener in self._listeners:
            try:
                await listener.start(self._drain)
            except BaseException:
                await self.stop()
                raise
            self._started.append(listener)
        return [listener.address for listener in self._started]

    async def reload(self) -> None:
        """Read the web configuration files again; ConfigError keeps what was in force."""
        for listener in self._started:
            await listener.reload()

    async def stop(self) -> None:
        """Stop all in the order of their start."""
        while self._started:
            await self._started.pop(0).stop()
