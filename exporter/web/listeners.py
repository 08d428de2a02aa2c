"""Starts and stops the listeners.

A stop first stops accepting, then lets requests that arrived whole finish for up to `drain` seconds, then closes what
is left. A sender whose request was cut off got no 2xx and tries again.

The listening socket outlives a change of its TLS settings: new connections get the new ones, open ones go on.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web

from exporter.errors import ConfigError
from exporter.lib.address import Address, bound, listen
from exporter.lib.logs import fields
from exporter.web.connections import GuardedServer, Limits
from exporter.web.envelope import answered
from exporter.web.express import ExpressServer

if TYPE_CHECKING:
    import socket
    import ssl

    from exporter.lib.logs import RateLimited
    from exporter.web.connections import Handler, RequestFactory
    from exporter.web.express import Express
    from exporter.web.ports import RequestMetrics
    from exporter.web.webconfig import WebConfigFile

log = logging.getLogger(__name__)

FOLLOW_INTERVAL = 1.0
"""Seconds between two looks at the web configuration file."""


@dataclass(frozen=True)
class Listening:
    """What one listener serves: an application, or a plain handler of requests."""

    name: str
    address: Address
    serves: web.Application | Handler
    limits: Limits = field(default_factory=Limits)
    web_config: WebConfigFile | None = None
    """TLS settings, loaded already; the listener follows their changes."""
    express: Express | None = None
    """Who is asked first about usual requests."""


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
        self._server: GuardedServer | None = None
        self._runner: web.BaseRunner | None = None
        self._site: web.SockSite | None = None

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
            await self.serve(self._tls)
        except BaseException:
            self._socket.close()
            raise
        if self._what.web_config is not None:
            self._following = asyncio.create_task(self._follow(self._what.web_config))
        log.info("listening", extra=fields(listener=self.name, address=str(self.address), tls=self._tls is not None))

    async def serve(self, tls: ssl.SSLContext | None) -> None:
        """Accept connections with these TLS settings from now on."""
        if self._runner is None or self._socket is None:
            raise RuntimeError("the listener is not started")
        former, self._tls = self._site, tls
        self._site = web.SockSite(self._runner, self._socket.dup(), ssl_context=tls)
        await self._site.start()
        if former is not None:
            await former.stop()

    async def reload(self) -> None:
        """Read the web configuration file again; ConfigError keeps what was in force."""
        web_config = self._what.web_config
        if web_config is None:
            return
        await asyncio.to_thread(web_config.load)
        if web_config.tls is not self._tls:
            await self.serve(web_config.tls)

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
        if self._server is not None:
            self._server.stop_sweeping()
        if self._socket is not None:
            self._socket.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _run(self, drain: float) -> web.BaseRunner:
        serves = self._what.serves
        if isinstance(serves, web.Application):
            runner: web.BaseRunner = _GuardedRunner(self, serves, shutdown_timeout=drain)
        else:
            runner = web.ServerRunner(self.guard(serves, None), shutdown_timeout=drain)
        await runner.setup()
        return runner

    def guard(self, handler: Handler, factory: RequestFactory | None) -> GuardedServer:
        """Return the server of guarded connections for this handler."""
        express = self._what.express
        self._server = (GuardedServer if express is None else partial(ExpressServer, express))(
            answered(handler, self.name, self._metrics),
            factory=factory,
            limits=self._what.limits,
            warn=self._warn,
            closed=lambda reason: self._metrics.connection(self.name, reason),
        )
        self._server.start_sweeping()
        return self._server


class _GuardedRunner(web.AppRunner):
    """Runs an application on guarded connections."""

    __slots__ = ("_listener",)

    def __init__(self, listener: Listener, app: web.Application, *, shutdown_timeout: float) -> None:
        super().__init__(app, shutdown_timeout=shutdown_timeout)
        self._listener = listener

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return self._listener.guard(made.request_handler, made.request_factory)


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
