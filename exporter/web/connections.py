"""Connections that cannot be held for nothing: slow heads, stalled readers and floods are closed.

aiohttp closes a connection that idles between requests (`keepalive_timeout`). This adds, for each listener:
- a head (request line and headers) must arrive whole within `head_timeout` of its first byte, the first one within
  `head_timeout` of the connection, however slowly it drips;
- a client that takes none of its answer for `stall_timeout` is cut off;
- at `max_connections` a new connection takes the place of the one that has waited longest without a request in
  progress; only if all are busy it is refused with 503;
- what aiohttp answers by itself (malformed HTTP, heads that are too large, crashes) has the JSON error shape.

The checks are a sweep over the connections every `sweep_interval`, so that a request itself costs one comparison.
Bodies have their own time-out where they are read.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from exporter.lib.logs import fields
from exporter.web import answers

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from exporter.lib.logs import RateLimited

    Handler = Callable[[Any], Awaitable[web.StreamResponse]]
    RequestFactory = Callable[..., web.BaseRequest]
    Closed = Callable[[str], None]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """Bounds of one listener; times in seconds, sizes in bytes."""

    max_connections: int = 1000
    head_timeout: float = 10.0
    stall_timeout: float = 30.0
    idle_timeout: float = 180.0
    """Longer than the proxies' own, so that they never send into a connection that is being closed."""
    max_line: int = 8190
    max_field: int = 8190
    max_headers: int = 100
    linger: float = 2.0
    """How long an unread body is discarded after an early answer, so that the client gets to read the answer."""
    sweep_interval: float = 1.0

    def connection_arguments(self) -> dict[str, Any]:
        """Return these limits as aiohttp's arguments."""
        return {
            "keepalive_timeout": self.idle_timeout,
            "max_line_size": self.max_line,
            "max_field_size": self.max_field,
            "max_headers": self.max_headers,
            "lingering_time": self.linger,
            "auto_decompress": False,
            "access_log": None,
        }


class GuardedServer(web.Server):
    """Makes guarded connections, counts them and sweeps over them. Call `start_sweeping` once it listens.

    `factory` makes a request from what was parsed (an application's own, or None for plain ones); `closed` is told why
    a connection was closed.
    """

    def __init__(
        self, handler: Handler, *, factory: RequestFactory | None, limits: Limits, warn: RateLimited, closed: Closed
    ) -> None:
        super().__init__(handler, request_factory=factory, **limits.connection_arguments())
        self.limits = limits
        self.warn = warn
        self.closed = closed
        self.guarded: dict[GuardedConnection, None] = {}
        """Open connections, the oldest first."""
        self._sweep_handle: asyncio.TimerHandle | None = None

    def __call__(self) -> GuardedConnection:
        """Return the protocol of one new connection."""
        return GuardedConnection(self, loop=self._loop, **self._kwargs)

    def make_room(self) -> bool:
        """Return whether one more connection may be had, after closing one that waits if need be."""
        if len(self.guarded) < self.limits.max_connections:
            return True
        waiting = [connection for connection in self.guarded if connection.waits]
        if not waiting:
            return False
        oldest = min(waiting, key=lambda connection: connection.head_since or float("inf"))
        del self.guarded[oldest]
        oldest.force_close()
        self.closed("evicted")
        return True

    def start_sweeping(self) -> None:
        """Begin the periodic checks; `stop_sweeping` ends them."""
        self._sweep_handle = self._loop.call_later(self.limits.sweep_interval, self._sweep)

    def stop_sweeping(self) -> None:
        """End the periodic checks."""
        if self._sweep_handle is not None:
            self._sweep_handle.cancel()

    def _sweep(self) -> None:
        now = self._loop.time()
        for connection in list(self.guarded):
            reason = connection.check(now, self.limits)
            if reason:
                self.closed(reason)
        self.warn.flush()
        self.start_sweeping()


class GuardedConnection(web.RequestHandler):
    """One connection. `head_since` is the loop's time since when a head is awaited or incomplete, else 0."""

    __slots__ = ("_guard", "_stalled", "head_since")

    def __init__(self, manager: GuardedServer, *, loop: asyncio.AbstractEventLoop, **arguments: Any) -> None:  # noqa: ANN401 - aiohttp's
        super().__init__(manager, loop=loop, **arguments)
        self._guard = manager
        self._stalled: tuple[float, int] | None = None  # since when, with how many bytes unsent
        self.head_since = loop.time()

    @property
    def waits(self) -> bool:
        """Whether no request is in progress."""
        return self._waiter is not None and not self._waiter.done()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or refuse it when all others are busy."""
        if self._guard.make_room():
            self._guard.guarded[self] = None
            super().connection_made(transport)
            return
        self._guard.closed("refused")
        self._force_close = True
        self._manager = None
        _farewell(cast("asyncio.Transport", transport), 503)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection."""
        self._guard.guarded.pop(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived; note when a head begins and when it is whole."""
        before = self._request_count
        super().data_received(data)
        if self._request_count != before:
            self.head_since = 0.0
        elif not self.head_since and self.waits:
            self.head_since = self._loop.time()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Go on reading where it was paused; aiohttp asks for it with every body."""
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)

    def check(self, now: float, limits: Limits) -> str:
        """Close the connection if it has taken too long, and return why."""
        if self.transport is None:
            return ""
        if self.head_since and now - self.head_since > limits.head_timeout and self.waits:
            _farewell(self.transport, 408)
            self.force_close()
            return "slow_head"
        if self._is_stalled(now, self.transport, limits):
            self.transport.abort()
            return "stalled"
        return ""

    def _is_stalled(self, now: float, transport: asyncio.Transport, limits: Limits) -> bool:
        if not self.writing_paused:
            self._stalled = None
            return False
        unsent = transport.get_write_buffer_size()
        if self._stalled is None or self._stalled[1] != unsent:
            self._stalled = (now, unsent)
        return now - self._stalled[0] > limits.stall_timeout

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it repeats what the client sent
    ) -> web.StreamResponse:
        """Answer what aiohttp could not hand to a handler, or what a handler let through."""
        if isinstance(exc, LineTooLong):
            status = 431
        if isinstance(exc, ConnectionError) and (self.transport is None or self.transport.is_closing()):
            log.debug("the client went away", extra=fields(method=request.method))
        elif status >= 500:
            log.error("a request failed", exc_info=exc, extra=fields(method=request.method, status=status))
        else:
            self._guard.warn.warning(answers.code_of(status), "malformed request", status=status, remote=request.remote)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer was begun already")
        response = answers.http_error(status)
        response.force_close()
        return response


def _farewell(transport: asyncio.Transport, status: int) -> None:
    """Answer without a request, and close."""
    body = answers.error_body(*answers.words(status))
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Content-Type: application/json; charset=utf-8",
        f"Content-Length: {len(body)}",
        f"Server: {answers.SERVER}",
        "Connection: close",
    ]
    if status == 503:
        lines.append(f"Retry-After: {answers.RETRY_AFTER}")
    transport.write("\r\n".join((*lines, "", "")).encode() + body)
    transport.close()
