"""The express lane: the usual webhook request is answered in the turn of the loop in which it arrives or is durable.

aiohttp makes a request object, a writer and a task of every request; that costs as much as reading, judging, storing
and answering an event together. Here a request that arrives whole on a connection with nothing else to do is handed to
`Express` as it was parsed. What that does not take, with nothing consumed, goes the general way: `public.Webhook`
judges every request that is unusual in any respect, and gives every answer but two.

While a request is under way the connection's own task must sleep on, so that later requests wait their turn: its
waiter is put aside, and given back with the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import HttpVersion11
from aiohttp.http_parser import RawRequestMessage

from exporter.web.connections import GuardedConnection, GuardedServer

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from exporter.web.connections import Handler


class Client(Protocol):
    """Who waits for the answer to a request."""

    @property
    def remote(self) -> str:
        """Its address, "" if that is unknown."""

    def answer(self, message: bytes) -> None:
        """Send the whole answer, head and body; once for each request."""


class Express(Protocol):
    """Takes a whole request: plain HTTP/1.1 with a body of announced length, on a connection that stays open."""

    path: str

    def take(self, headers: Mapping[str, str], body: bytes, client: Client) -> bool:
        """Answer the client, now or later; or return False: not ours. Must not raise."""


class ExpressServer(GuardedServer):
    """Makes connections with an express lane."""

    def __init__(self, express: Express, handler: Handler, **arguments: Any) -> None:  # noqa: ANN401
        super().__init__(handler, **arguments)
        self._express = express
        self._answered: list[tuple[ExpressConnection, bytes]] = []

    def __call__(self) -> GuardedConnection:
        """Return the protocol of one new connection."""
        return ExpressConnection(self, self._express, loop=self._loop, **self._kwargs)

    def answer(self, connection: ExpressConnection, message: bytes) -> None:
        """Answer together with all others of this turn of the loop.

        Sending to a peer that sleeps costs three times as much as to one that is still busy with the answer before.
        """
        if not self._answered:
            self._loop.call_soon(self._send)
        self._answered.append((connection, message))

    def _send(self) -> None:
        answered, self._answered = self._answered, []
        for connection, message in answered:
            connection.send(message)


class ExpressConnection(GuardedConnection):
    """One connection with an express lane."""

    __slots__ = ("_aside", "_express", "_server")

    def __init__(
        self,
        manager: ExpressServer,
        express: Express,
        *,
        loop: asyncio.AbstractEventLoop,
        **arguments: Any,  # noqa: ANN401 - aiohttp's
    ) -> None:
        super().__init__(manager, loop=loop, **arguments)
        self._server = manager
        self._express = express
        self._aside: asyncio.Future[None] | None = None

    def data_received(self, data: bytes) -> None:
        """Parse what arrived; take the request if it is a usual one."""
        waiter, count = self._waiter, self._request_count
        if waiter is None or waiter.done() or self.writing_paused:
            super().data_received(data)
            return
        self._aside, self._waiter = waiter, None
        super().data_received(data)
        if self._request_count == count + 1 and self._took():
            return
        self._awake()
        if self._request_count == count and not self.head_since:
            self.head_since = self._loop.time()

    def _took(self) -> bool:
        message, payload = self._messages[0]
        if (
            not isinstance(message, RawRequestMessage)
            or message.path != self._express.path
            or message.method != "POST"
            or message.version != HttpVersion11
            or message.should_close
            or message.chunked
            or message.upgrade
            or message.compression
            or not payload.total_bytes
            or not payload.is_eof()
            or payload.exception() is not None
            or self._reading_paused  # by the body's size; whoever reads it goes on
        ):
            return False
        body = b"".join(payload._buffer)  # noqa: SLF001 - a look only: it stays there for the general way
        self._request_in_progress = self._express.take(message.headers, body, self)
        return self._request_in_progress

    @property
    def remote(self) -> str:
        """The client's address, "" if that is unknown."""
        return str(self.peername[0]) if self.peername else ""

    def answer(self, message: bytes) -> None:
        """Send the whole answer together with those of other connections."""
        self._server.answer(self, message)

    def send(self, message: bytes) -> None:
        """Answer the request, and be ready for the next one, as aiohttp's own task does after each."""
        self._messages.popleft()
        if self._parser is not None:
            self._parser.message_consumed()
        if self._manager is not None:
            self._manager.requests_count += 1
        self._request_in_progress = False
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(message)
        if self._handler_waiter is not None and not self._handler_waiter.done():
            self._handler_waiter.set_result(None)
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._keepalive_handle is None and not self._force_close:
            self._keepalive_handle = self._loop.call_at(self._next_keepalive_close_time, self._process_keepalive)
        self._awake()

    def _awake(self) -> None:
        """Let the connection's task go on with what waits, or end."""
        self._waiter, self._aside = self._aside, None
        if self._close or self._force_close:
            self.force_close()
        elif self._messages and self._waiter is not None:
            self._waiter.set_result(None)
