"""Connections that cannot be held for nothing: slow or endless heads, stalled readers and floods are closed.

Each connection is a protocol of ours around aiohttp's, which sees the bytes pass by and is told by the handler when a
request begins and ends (`begin`, `finish`). aiohttp bounds a line, a header, the number of headers and the idle time
between requests; this adds, for each listener:
- a head (request line and headers) must arrive whole within `head_timeout` of its first byte, the first one within
  `head_timeout` of the connection, however slowly it drips, and has at most `max_head` bytes;
- all heads that are not whole yet have at most `max_unread` bytes together;
- a client that takes none of its answer for `stall_timeout` is cut off;
- at `max_connections` a new connection takes the place of the one that has waited longest without a request in
  progress, of those that never had a good one first; only if all are busy it is refused with 503;
- a client that closes its side once it has sent its request gets its answer, but for reports (`half_closed`).

The checks are a sweep over the connections every `sweep_interval`, so that a request itself costs little. Bodies have
their own time-out where they are read.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from exporter.web import answers

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from exporter.lib.logs import RateLimited
    from exporter.web.limits import Limits

    Closed = Callable[[str], None]

_HEAD_END = b"\r\n\r\n"


class Connections:
    """The connections of one listener, as a whole. Call `start_sweeping` once it listens.

    `make` makes aiohttp's protocol of one connection; `closed` is told why a connection was closed.
    """

    def __init__(
        self, make: Callable[[], web.RequestHandler], *, limits: Limits, warn: RateLimited, closed: Closed
    ) -> None:
        self.make = make
        self.limits = limits
        self.warn = warn
        self.closed = closed
        self.now = asyncio.get_running_loop().time
        self.open: set[Connection] = set()
        self.unread = 0
        """Bytes of all heads that are not whole yet."""
        self._strangers: dict[Connection, None] = {}
        self._proven: dict[Connection, None] = {}
        self._sweep_handle: asyncio.TimerHandle | None = None

    def admit(self) -> Connection | None:
        """Return the protocol of a new connection; None if all others are busy."""
        if len(self.open) >= self.limits.max_connections and not self.evict():
            return None
        made = Connection(self)
        self.open.add(made)
        self.waits(made)
        return made

    def evict(self) -> bool:
        """Close the connection that has waited longest without a request in progress; False if all are busy."""
        waiting = self._strangers or self._proven
        if not waiting:
            return False
        next(iter(waiting)).abort("evicted")
        return True

    def waits(self, connection: Connection) -> None:
        """Note that no request is in progress on a connection, from now on."""
        (self._proven if connection.proven else self._strangers)[connection] = None

    def is_busy(self, connection: Connection) -> None:
        """Note that a request is in progress on a connection."""
        (self._proven if connection.proven else self._strangers).pop(connection, None)

    def has_read(self, size: int) -> None:
        """Note further bytes of a head that is not whole; beyond the bound those that wait longest must go."""
        self.unread += size
        while self.unread > self.limits.max_unread and self.evict():
            pass

    def forget(self, connection: Connection) -> None:
        """Note that a connection is closed, or as good as."""
        self.open.discard(connection)
        self.is_busy(connection)

    def start_sweeping(self) -> None:
        """Begin the periodic checks; `stop_sweeping` ends them."""
        loop = asyncio.get_running_loop()
        self._sweep_handle = loop.call_later(self.limits.sweep_interval, self._sweep)

    def stop_sweeping(self) -> None:
        """End the periodic checks."""
        if self._sweep_handle is not None:
            self._sweep_handle.cancel()

    def _sweep(self) -> None:
        now = self.now()
        for connection in list(self.open):
            connection.check(now)
        self.warn.flush()
        self.start_sweeping()


class Connection(asyncio.Protocol):
    """One connection, from its acceptance on."""

    __slots__ = (
        *("_ahead", "_all", "_body", "_busy", "_half_closed", "_head_since", "_inner", "_last", "_limits", "_lingers"),
        *("_overdue", "_paused", "_piped", "_size", "_stalled", "_transport", "_whole", "opening", "proven"),
    )

    def __init__(self, connections: Connections) -> None:
        self._all = connections
        self._limits = connections.limits
        self._inner: web.RequestHandler | None = None
        self._transport: asyncio.Transport | None = None
        self._head_since = connections.now()  # since when a head is awaited or incomplete, else 0
        self._overdue = False  # a sweep has found a head awaited or incomplete
        self._size = 0  # bytes of the head that is not whole yet
        self._last = b""  # its last bytes
        self._whole = False  # a head has arrived whole, and its request does not begin yet
        self._ahead = 0  # bytes that came after that head: its body, and what belongs to later requests
        self._busy = False  # a request is in progress
        self._body: Any = None  # its body, an aiohttp.StreamReader
        self._lingers = False  # what comes is the rest of a refused body
        self._piped = False  # among what waits may be whole requests, which came behind another one
        self._half_closed = False
        self._paused = False
        self._stalled: tuple[float, int] | None = None  # since when, with how many bytes unsent
        self.opening: asyncio.Task[Any] | None = None
        """What makes the transport, a TLS handshake included."""
        self.proven = False
        """Whether a request on it was a good one."""

    # -- what the transport tells -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; for TLS once hands are shaken."""
        self._transport = cast("asyncio.Transport", transport)
        self._inner = self._all.make()
        self._inner.connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection."""
        self.forget()
        if self._inner is not None:
            self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Hand on what arrived; see where a head ends."""
        if self._busy or self._whole or self._lingers:
            self._ahead += len(data)
        else:
            data = self._measured(data)
        if data and self._inner is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool:
        """Stay open for the answer if the client has sent a whole request, and closed only its own side."""
        sent = self._whole or self._piped or (self._busy and self._body.is_eof())
        self._half_closed = sent and not _is_encrypted(self._transport)
        return self._half_closed

    def pause_writing(self) -> None:
        """Note that the client reads too slowly."""
        self._paused = True
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Note that the client reads again."""
        self._paused = False
        self._stalled = None
        if self._inner is not None:
            self._inner.resume_writing()

    @property
    def half_closed(self) -> bool:
        """Whether the client will send nothing more: it has gone away, or reads to the end of this answer at most."""
        return self._half_closed

    # -- what the handler tells -------------------------------------------------------------------------------------

    def begin(self, request: web.BaseRequest) -> None:
        """Note that a request is in progress."""
        self._all.is_busy(self)
        self._all.unread -= self._size
        if not self._whole:
            self._ahead = max(0, self._size - _size_of_head(request))
        self._size, self._last, self._whole, self._piped, self._busy = 0, b"", False, False, True
        self._head_since = 0.0
        self._overdue = False
        self._body = request.content
        if self._half_closed and not self._body.is_eof():
            self.abort("")  # the rest will never come

    def finish(self, *, good: bool) -> bool:
        """Note that the request is done, and whether it was a good one; return whether the connection may stay."""
        self._busy = False
        self._lingers = not self._body.is_eof()
        self.proven = self.proven or good
        self._size = max(0, self._ahead - self._body.total_bytes)
        self._ahead = 0
        self._all.waits(self)
        if self._size:
            self._piped = True
            self._head_since = self._all.now()
            self._all.has_read(self._size)
        return bool(self._size) or not self._half_closed

    # -- bounds -----------------------------------------------------------------------------------------------------

    def check(self, now: float) -> None:
        """Close the connection if it takes too long, or too much."""
        if self._paused:
            if self._is_stalled(now):
                self.abort("stalled")
            return
        overdue, self._overdue = self._overdue, bool(self._head_since)
        if not overdue:
            return  # where the loop itself was late, what has arrived gets its turn first
        if now - self._head_since > self._limits.head_timeout:
            self._dismiss(408, "slow_head")
        elif self._size > self._limits.max_head and now - self._head_since > self._limits.sweep_interval:
            self._dismiss(431, "large_head")

    def abort(self, reason: str) -> None:
        """Close at once, for this reason of `closed`, or none."""
        self.forget()
        if reason:
            self._all.closed(reason)
        if self._transport is not None:
            self._transport.abort()
        elif self.opening is not None:
            self.opening.cancel()

    def forget(self) -> None:
        """Count no more."""
        self._all.unread -= self._size
        self._size = 0
        self._head_since = 0.0
        self._all.forget(self)

    def _measured(self, data: bytes) -> bytes:
        """Return what to hand on of a head."""
        if not self._head_since:
            self._head_since = self._all.now()
        if not self._size and data[0] in _HEAD_END:
            data = data.lstrip(_HEAD_END)  # empty lines before a request mean nothing
        start = len(self._last)
        found = (self._last + data if start else data).find(_HEAD_END)
        size = len(data) if found < 0 else found + len(_HEAD_END) - start
        self._whole = found >= 0
        self._ahead = len(data) - size
        if self._size + size > self._limits.max_head and not self._piped:
            self._dismiss(431, "large_head")
            return b""
        self._size += size
        if not self._whole:
            self._last = (self._last + data)[1 - len(_HEAD_END) :]
        self._all.has_read(size)
        return data if self in self._all.open else b""

    def _dismiss(self, status: int, reason: str) -> None:
        """Answer without a request, and close."""
        if self._transport is None:
            self.abort("slow_handshake")
            return
        self.forget()
        self._all.closed(reason)
        self._transport.write(answers.farewell(status))
        self._transport.close()

    def _is_stalled(self, now: float) -> bool:
        if self._transport is None:
            return False
        unsent = self._transport.get_write_buffer_size()
        if self._stalled is None or self._stalled[1] != unsent:
            self._stalled = (now, unsent)
        return now - self._stalled[0] > self._limits.stall_timeout


def of(request: web.BaseRequest) -> Connection | None:
    """Return the connection of a request; None if it is gone already."""
    transport = request.transport
    found = None if transport is None else transport.get_protocol()
    return found if isinstance(found, Connection) else None


def refuse(accepted: socket.socket, *, encrypted: bool) -> None:
    """Answer a connection that cannot be had, and close it; without a word where hands would have to be shaken."""
    with accepted, suppress(OSError):
        if not encrypted:
            accepted.send(answers.farewell(503))
            accepted.shutdown(socket.SHUT_WR)
            accepted.recv(65536)  # what stays unread would make the system take the answer back


def _is_encrypted(transport: asyncio.Transport | None) -> bool:
    return transport is not None and transport.get_extra_info("sslcontext") is not None


def _size_of_head(request: web.BaseRequest) -> int:
    first = len(request.method) + len(request.raw_path) + len("  HTTP/1.1\r\n\r\n")
    return first + sum(len(name) + len(value) + len(": \r\n") for name, value in request.raw_headers)
