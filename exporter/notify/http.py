"""`POST /api/v1/notify/{target}` of the admin listener: Alertmanager's webhook in, a status that it understands out.

200: every URL has the text. 400: not Alertmanager's body. 401: wrong bearer token. 404: unknown target. 502: at least
one service refused or did not answer in time. 503: not possible now. Alertmanager retries 5xx and nothing else.
"""

from __future__ import annotations

import asyncio
import hmac
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from exporter.notify.relay import UnknownTarget
from exporter.notify.sending import Result, TargetUnavailable
from exporter.notify.webhook import LARGEST_BODY, InvalidNotification, Notification, parse
from exporter.web import answers
from exporter.web.body import BodyRefused, read_body
from exporter.web.openapi import Error
from exporter.web.operations import Operation

if TYPE_CHECKING:
    from aiohttp import web
    from aiohttp.typedefs import Handler

    from exporter.config.schema import Notify
    from exporter.notify.relay import Receipt, Relay

TEMPLATE: Final = "/api/v1/notify/{target}"
_BODY_TIMEOUT: Final = 10.0


class Sent(msgspec.Struct, frozen=True):
    """Every URL of the target has the text."""

    results: dict[str, int]
    """How many URLs by result: `sent` now, or `duplicate` where they had it already."""


def operations(relay: Relay) -> list[Operation]:
    """Return the operations for the admin listener; they carry their own authentication."""
    refused = dict.fromkeys((400, 401, 404, 408, 413, 415, 502, 503), Error)
    outcomes = {200: Sent, **refused}
    summary = "Send Alertmanager's notification as one short text"
    handler = _handler(relay)
    # always: what Prometheus tells of an exporter that cannot load its journal must reach people, twice rather than not
    return [Operation("POST", TEMPLATE, handler, summary, outcomes, body=Notification, tag="notify", always=True)]


def _handler(relay: Relay) -> Handler:
    async def notify(request: web.Request) -> web.StreamResponse:
        refusal = await _refuse(request, relay.notify)
        if refusal is not None:
            return refusal
        try:
            notification = parse(await read_body(request, LARGEST_BODY, _BODY_TIMEOUT))
            receipt = await relay.deliver(request.match_info["target"], notification)
        except BodyRefused as error:
            return answers.error(error.status, error.code, str(error))
        except InvalidNotification as error:
            return answers.error(400, error.code, str(error))
        except UnknownTarget as error:
            return answers.error(404, error.code, str(error))
        except TargetUnavailable as error:
            return answers.error(503, error.code, "the URLs of this target cannot be read; see the exporter's log")
        return _answer(receipt)

    return notify


async def _refuse(request: web.Request, settings: Notify) -> web.Response | None:
    """Return the refusal of a request without the right bearer token, else None. It never runs open."""
    token = await asyncio.to_thread(_token, settings)
    if not token:
        return answers.error(503, "no_token", "notify.token_file is not configured, empty or unreadable")
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    right = hmac.compare_digest(given.strip().encode(errors="surrogateescape"), token)
    if scheme.lower() == "bearer" and right:
        return None
    return answers.error(401, "unauthorized", "a bearer token is needed", {"WWW-Authenticate": "Bearer"})


def _token(settings: Notify) -> bytes:
    """Read the token anew, so that a rotated one counts at once."""
    if settings.token_file is None:
        return settings.token.encode()
    try:
        return Path(settings.token_file).read_bytes().strip()
    except OSError:
        return b""


def _answer(receipt: Receipt) -> web.Response:
    counts = {result.value: receipt.results.count(result) for result in Result if result in receipt.results}
    if receipt.complete:
        return answers.json(Sent(counts))
    failed = ", ".join(f"{count} {result}" for result, count in counts.items())
    busy = Result.UNAVAILABLE in receipt.results
    status, code = (503, "busy") if busy else (502, "send_failed")
    return answers.error(status, code, f"not every URL has the text: {failed}")
