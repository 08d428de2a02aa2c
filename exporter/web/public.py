"""The public listener: `POST /webhook` and `GET /-/healthy`, and nothing else.

A request is judged in this order, and goes no further than where it fails: path, method, announced length, secret,
media type, body, event. So the body of a stranger is never parsed, kept or logged. 2xx is sent only after the event
is on disk; 503 asks the sender to try again; 400 says that the same body will fail again.

This is a plain handler for aiohttp's low-level server: two fixed paths need no router.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from aiohttp import hdrs

from exporter.conventions import (
    ACCEPTED,
    IGNORED,
    INVALID,
    OTHER_EVENT,
    OVERLOADED,
    QUARANTINED,
    TOO_LARGE,
    UNAUTHORIZED,
    UNAVAILABLE,
)
from exporter.errors import InvalidEvent, JournalUnavailable, Overloaded
from exporter.gateways.csku import parse as events
from exporter.gateways.csku.redaction import redact
from exporter.web import answers
from exporter.web.body import BodyRefused, read_body

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp import web

    from exporter.gateways.csku.parse import MessageEvent
    from exporter.lib.logs import RateLimited
    from exporter.web.ports import RecorderPort, RequestMetrics, WebhookSettings

    OnMessage = Callable[[MessageEvent, float], None]

WEBHOOK_PATH: Final = "/webhook"
HEALTH_PATH: Final = "/-/healthy"
BODY_TIMEOUT: Final = 10.0
"""Seconds for a whole body to arrive."""


def _ignore_message(_event: MessageEvent, _now: float) -> None:
    """Do nothing with a message event."""


def public_app(
    recorder: RecorderPort,
    settings: Callable[[], WebhookSettings],
    metrics: RequestMetrics,
    warn: RateLimited,
    *,
    on_message: OnMessage = _ignore_message,
    body_timeout: float = BODY_TIMEOUT,
) -> PublicApp:
    """Return the handler of the public listener. `settings` is asked anew for each request."""
    webhook = Webhook(recorder, settings, metrics, warn, on_message=on_message, body_timeout=body_timeout)
    return PublicApp(recorder, webhook)


class PublicApp:
    """Handles requests."""

    def __init__(self, recorder: RecorderPort, webhook: Webhook) -> None:
        self._recorder = recorder
        self._webhook = webhook

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        path = request.raw_path  # costs less than the path without query and escapes
        if path != WEBHOOK_PATH:
            path = request.path
        if path == WEBHOOK_PATH:
            return await self._webhook.answer(request)
        return _health(request, self._recorder) if path == HEALTH_PATH else answers.http_error(404)


def _health(request: web.BaseRequest, recorder: RecorderPort) -> web.Response:
    if request.method not in ("GET", "HEAD"):
        return answers.http_error(405, {"Allow": "GET, HEAD"})
    if recorder.healthy:
        return answers.text("OK")
    return answers.error(503, "unhealthy", "the journal's writer does not run")


class Webhook:
    """Takes one webhook request from its head to its answer."""

    def __init__(
        self,
        recorder: RecorderPort,
        settings: Callable[[], WebhookSettings],
        metrics: RequestMetrics,
        warn: RateLimited,
        *,
        on_message: OnMessage,
        body_timeout: float,
    ) -> None:
        self._recorder = recorder
        self._settings = settings
        self._metrics = metrics
        self._warn = warn
        self._on_message = on_message
        self._body_timeout = body_timeout
        self._secret = ("", b"")  # as configured, and its bytes

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Return the answer; counts the outcome."""
        settings = self._settings()
        if request.method != "POST":
            return answers.http_error(405, {"Allow": "POST"})
        if (request.content_length or 0) > settings.max_body:
            return self._refuse(request, 413, "too_large", _too_large(settings.max_body), TOO_LARGE)
        if not self._authorized(request.headers, settings.secret):
            response = self._refuse(request, 401, "unauthorized", "missing or wrong secret", UNAUTHORIZED)
            response.headers["WWW-Authenticate"] = "Webhook-Secret"
            return response
        try:
            body = await read_body(request, settings.max_body, self._body_timeout)
        except BodyRefused as refused:
            outcome = TOO_LARGE if refused.status == 413 else INVALID
            return self._refuse(request, refused.status, refused.code, str(refused), outcome)
        return await self._take(request, body, settings)

    def _authorized(self, headers: Mapping[str, str], secret: str) -> bool:
        if secret is not self._secret[0]:
            self._secret = (secret, secret.strip().encode())
        expected = self._secret[1]
        given = headers.get(hdrs.AUTHORIZATION, "").encode("utf-8", "surrogateescape").strip()
        # An empty secret must not let everybody in.
        return hmac.compare_digest(given, expected) and bool(expected)

    async def _take(self, request: web.BaseRequest, body: bytes, settings: WebhookSettings) -> web.StreamResponse:
        now = self._recorder.clock()
        try:
            known = self._recorder.identity_of
            event = events.parse(body, now=now, max_future_skew=settings.max_future_skew, known=known)
            label = events.event_label(event)
            if isinstance(event, events.DeviceEvent):
                outcome = await self._recorder.submit(event)
            elif isinstance(event, events.MessageEvent):
                self._on_message(event, now)
                outcome = ACCEPTED
            else:
                outcome = IGNORED if isinstance(event, events.IgnoredEvent) else ACCEPTED
        except InvalidEvent as error:
            return await self._quarantine(request, body, error)
        except (JournalUnavailable, Overloaded) as error:
            outcome = OVERLOADED if isinstance(error, Overloaded) else UNAVAILABLE
            response = self._refuse(request, 503, error.code, "not stored, try again", outcome, label)
            response.headers["Retry-After"] = answers.RETRY_AFTER
            return response
        self._metrics.heard(label, outcome, now)
        return answers.text("OK")

    async def _quarantine(self, request: web.BaseRequest, body: bytes, error: InvalidEvent) -> web.Response:
        label = events.event_label(body)
        response = self._refuse(request, 400, error.code, str(error), INVALID, label)
        payload, digest = redact(body)
        try:
            await self._recorder.quarantine(error.code, str(error), payload, digest)
        except (JournalUnavailable, Overloaded) as failure:
            self._warn.warning("not_quarantined", "a refused body was not kept", reason=failure.code)
        else:
            self._metrics.event(label, QUARANTINED)
        return response

    def _refuse(
        self,
        request: web.BaseRequest,
        status: int,
        code: str,
        message: str,
        outcome: str,
        label: str = OTHER_EVENT,
    ) -> web.Response:
        self._metrics.event(label, outcome)
        self._warn.warning(code, "webhook request refused", status=status, remote=request.remote)
        return answers.error(status, code, message)


def _too_large(limit: int) -> str:
    return f"the body is larger than {limit} bytes"
