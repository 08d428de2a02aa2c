"""Takes connections from a listening socket, one by one, and never more than the listener may have.

The event loop's own servers accept whatever comes, count nothing before a TLS handshake is over, and say nothing when
descriptors run out. Here each connection counts from its acceptance on, and what the system refuses is logged and
counted.
"""

from __future__ import annotations

import asyncio
import errno
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from exporter.web.connections import refuse

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

    from exporter.web.connections import Connection, Connections

AT_ONCE: Final = 16
"""Connections taken in one turn of the loop: an evicted one gives its descriptor back only in the next."""
PAUSE: Final = 0.5
"""Seconds without accepting, after the system refused."""
_HARMLESS: Final = frozenset((errno.EAGAIN, errno.ECONNABORTED, errno.EINTR, errno.EPROTO))


class Acceptor:
    """Accepts for one listener. `tls` is asked anew for each connection."""

    def __init__(
        self, listening: socket.socket, connections: Connections, tls: Callable[[], ssl.SSLContext | None]
    ) -> None:
        self._socket = listening
        self._connections = connections
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[Any]] = set()
        self._pause: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Accept from now on."""
        self._pause = None
        self._loop.add_reader(self._socket, self._accept)

    def stop(self) -> None:
        """Accept no more, and give up handshakes. The socket stays open."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._socket)
        for opening in self._opening:
            opening.cancel()

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                accepted, _ = self._socket.accept()
            except OSError as error:
                if error.errno not in _HARMLESS:
                    self._failed(error)
                return
            accepted.setblocking(False)
            self._open(accepted)

    def _open(self, accepted: socket.socket) -> None:
        tls = self._tls()
        connection = self._connections.admit()
        if connection is None:
            self._connections.closed("refused")
            refuse(accepted, encrypted=tls is not None)
            return
        timeout = None if tls is None else self._connections.limits.head_timeout
        opening = connection.opening = self._loop.create_task(
            self._loop.connect_accepted_socket(lambda: connection, accepted, ssl=tls, ssl_handshake_timeout=timeout)
        )
        self._opening.add(opening)
        opening.add_done_callback(partial(self._opened, connection, accepted))

    def _opened(self, connection: Connection, accepted: socket.socket, opening: asyncio.Task[Any]) -> None:
        self._opening.discard(opening)
        connection.opening = None
        failed = not opening.cancelled() and opening.exception() is not None
        if failed and connection in self._connections.open:
            self._connections.closed("handshake")
        if failed or opening.cancelled():
            connection.forget()
            accepted.close()  # where it was given up before it began, nobody else does

    def _failed(self, error: OSError) -> None:
        """Give the system a moment; a connection that only waits makes room."""
        self._connections.closed("accept_error")
        self._connections.warn.warning("accept_error", "a connection could not be accepted", error=error.strerror)
        self._connections.evict()
        self._loop.remove_reader(self._socket)
        self._pause = self._loop.call_later(PAUSE, self.start)
