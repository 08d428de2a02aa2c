"""What every request of every listener goes through: errors in the JSON shape, the duration, a clean connection."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from aiohttp import web

from exporter.web import answers

if TYPE_CHECKING:
    from exporter.web.connections import Handler
    from exporter.web.ports import RequestMetrics


def answered(handler: Handler, listener: str, metrics: RequestMetrics) -> Handler:
    """Wrap a handler; exceptions other than HTTP errors pass through, counted as 500."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        started = time.perf_counter()
        status = 500
        try:
            response = await handler(request)
            status = response.status
        except web.HTTPException as error:
            status = error.status
            if status < 400:
                raise
            kept = {name: error.headers[name] for name in ("Allow", "WWW-Authenticate") if name in error.headers}
            response = answers.http_error(status, kept)
        finally:
            metrics.request(listener, status, time.perf_counter() - started)
        if not request.content.is_eof() and not response.prepared:
            response.force_close()  # what is unread of the body would be taken for the next request
        return response

    return handle
