"""The answer to a good webhook request, written as one piece.

Building, serializing and writing a `web.Response` costs more than half of what a bare handler does with a webhook.
The acknowledgement is the same for everybody but for its date, so its bytes are made once a second.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from aiohttp import HttpVersion11, web

from exporter.web import answers

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter


class Acknowledgement(web.StreamResponse):
    """200 `OK` on a connection that stays open."""

    def __init__(self, message: bytes) -> None:
        super().__init__()
        self._message = message

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Remember whom to answer; nothing is written yet."""
        self._req = request
        self._keep_alive = True if self._keep_alive is None else self._keep_alive
        return None

    async def write_eof(self, data: bytes = b"") -> None:  # noqa: ARG002 - there is no other body
        """Write the whole answer; ConnectionError if the client is gone."""
        request = self._req
        if self._eof_sent or request is None:
            return
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        transport.write(self._message)
        self._eof_sent = True
        self._req = None
        await request.writer.drain()  # a client that sends on but never reads must wait


class Acknowledger:
    """Makes acknowledgements."""

    def __init__(self) -> None:
        self._second = 0
        self._message = b""

    def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Return 200 `OK`."""
        if request.version != HttpVersion11 or not request.keep_alive:
            return answers.text("OK")
        return Acknowledgement(self.message())

    def message(self) -> bytes:
        """Return the bytes of 200 `OK` on a connection that stays open."""
        now = int(time.time())
        if now != self._second:
            self._second = now
            self._message = answers.message(200, b"OK", {"Content-Type": "text/plain; charset=utf-8"})
        return self._message
