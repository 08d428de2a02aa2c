"""`GET /metrics`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from aiohttp import web

from exporter.lib.pace import Pace
from exporter.metrics.exposition.negotiate import negotiate
from exporter.web import answers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from exporter.web.ports import ExpositionPort, RecorderPort, RequestMetrics


def scrape_handler(
    recorder: RecorderPort, exposition: ExpositionPort, metrics: RequestMetrics
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return the handler that renders all metrics in the format that the scraper asks for."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if not recorder.ready:  # half a fleet would look like one that lost devices, or began anew
            return answers.error(503, "not_ready", "the journal is being loaded", {"Retry-After": answers.RETRY_AFTER})
        started = time.perf_counter()
        chosen = negotiate(request.headers.get("Accept"), request.headers.get("Accept-Encoding"))
        async with recorder.exposing() as now:
            rendered = await exposition.render(
                now,
                openmetrics=chosen.openmetrics,
                gzip=chosen.gzip,
                names=frozenset(request.query.getall("name[]", ())),
            )
        metrics.scrape(time.perf_counter() - started)
        parts = [rendered] if isinstance(rendered, bytes) else rendered
        response = web.StreamResponse(headers={**answers.HEADERS, "Vary": "Accept, Accept-Encoding"})
        response.headers["Content-Type"] = chosen.content_type
        if chosen.gzip:
            response.headers["Content-Encoding"] = "gzip"
        response.content_length = sum(map(len, parts))
        await response.prepare(request)
        if request.method != "HEAD":
            await _write(response, parts, Pace(turn=recorder.give_way))
        await response.write_eof()
        return response

    return handle


async def _write(response: web.StreamResponse, parts: list[bytes], pace: Pace) -> None:
    """Write a body of megabytes in stretches of a millisecond: a scraper that reads fast would never make us wait."""
    pace.start()
    for part in parts:
        await response.write(part)
        if pace.spent():
            await pace.rest()
