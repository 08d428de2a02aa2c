"""aiohttp's side of a connection: HTTP, with errors in our JSON shape."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from exporter.lib.logs import fields
from exporter.web import answers

if TYPE_CHECKING:
    from exporter.lib.logs import RateLimited

log = logging.getLogger(__name__)


class HttpConnection(web.RequestHandler):
    """One connection's protocol; what aiohttp answers by itself has the JSON error shape.

    That is malformed HTTP, heads with too large lines, and what a handler lets through.
    """

    __slots__ = ("_warn",)

    def __init__(self, server: web.Server, warn: RateLimited, **arguments: Any) -> None:  # noqa: ANN401 - aiohttp's
        super().__init__(server, loop=asyncio.get_running_loop(), **arguments)
        self._warn = warn

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
            self._warn.warning(answers.code_of(status), "malformed request", status=status, remote=request.remote)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer was begun already")
        response = answers.http_error(status)
        response.force_close()
        return response
