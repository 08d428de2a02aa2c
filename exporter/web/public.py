"""The public listener: webhooks, `GET /-/healthy` and `GET /-/ready`, and nothing else.

A request is judged in this order, and goes no further than where it fails: path, method, proof of the sender, announced
length, media type, body, event; the length comes first where the proof is a signature of the body. So the body of a
stranger is never parsed, kept or logged. 2xx is sent only after every event is on disk; 503 asks the sender to try
again, as everybody is until the journal is loaded; a body that cannot be understood is quarantined, and answered as its
gateway says. So is one from the future, but where this machine's clock has gone back it may come again. What a sender's
requests look like is its gateway's business: here are paths and answers.

This is a plain handler for aiohttp's low-level server: fixed paths need no router.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

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
from exporter.errors import ClockBehind, ExporterError, InvalidEvent, JournalUnavailable, Overloaded
from exporter.gateways.events import DeviceEvent, IgnoredEvent, MessageEvent, SessionEvent, label_of
from exporter.gateways.every_sender import IN_FUTURE
from exporter.web import answers
from exporter.web.body import BodyRefused, read_body

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from aiohttp import web

    from exporter.gateways.events import Seen
    from exporter.gateways.gateway import Gateway
    from exporter.lib.logs import RateLimited
    from exporter.web.ports import RecorderPort, RequestMetrics, WebhookSettings

    OnMessage = Callable[[MessageEvent, float], None]
    OnState = Callable[[SessionEvent], Awaitable[str]]
    """Returns the outcome once it is durable; raises as `RecorderPort.submit` does."""

WEBHOOK_PATH: Final = "/webhook"
"""The built-in gateway's; others are below it, by name."""
HEALTH_PATH: Final = "/-/healthy"
READY_PATH: Final = "/-/ready"
"""For a load balancer: whether events are welcome here, or had better go to another exporter."""
REPLAYED: Final = 86_400.0
"""Seconds; what is signed and older is no repetition of a sender any more."""
BODY_TIMEOUT: Final = 10.0
"""Seconds for a whole body to arrive."""


class Door(NamedTuple):
    """A gateway, and its settings, which are asked anew for each request."""

    gateway: Gateway
    settings: Callable[[], WebhookSettings]


def _ignore_message(_event: MessageEvent, _now: float) -> None:
    """Do nothing with a message event."""


async def _ignore_state(_event: SessionEvent) -> str:
    """Do nothing with a session's state."""
    return IGNORED


def public_app(
    recorder: RecorderPort,
    doors: Mapping[str, Door],
    metrics: RequestMetrics,
    warn: RateLimited,
    *,
    on_message: OnMessage = _ignore_message,
    on_state: OnState = _ignore_state,
    body_timeout: float = BODY_TIMEOUT,
    ready: Callable[[], bool] | None = None,
) -> PublicApp:
    """Return the handler of the public listener. `doors` are by path: `/webhook`, `/webhook/<name>`."""

    def webhook(door: Door) -> Webhook:
        return Webhook(
            door, recorder, metrics, warn, on_message=on_message, on_state=on_state, body_timeout=body_timeout
        )

    return PublicApp(recorder, webhook, doors, ready or (lambda: recorder.ready))


class PublicApp:
    """Handles requests."""

    def __init__(
        self,
        recorder: RecorderPort,
        webhook: Callable[[Door], Webhook],
        doors: Mapping[str, Door],
        ready: Callable[[], bool],
    ) -> None:
        self._states = {HEALTH_PATH: lambda: recorder.healthy, READY_PATH: ready}
        self._webhook = webhook
        self.open(doors)

    def open(self, doors: Mapping[str, Door]) -> None:
        """Take requests at these doors from now on, and at no others; those under way end where they began."""
        self._webhooks = {path: self._webhook(door) for path, door in doors.items()}

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        webhook, rest = self._webhooks.get(request.raw_path), ""  # costs less than the path without query and escapes
        if webhook is None:
            webhook, rest = self._below(request.path)
        if webhook is not None:
            return await webhook.answer(request, rest)
        state = self._states.get(request.path)
        return answers.http_error(404) if state is None else _state(request, state())

    def _below(self, path: str) -> tuple[Webhook | None, str]:
        """Return whose path it is, and what follows; anything may follow a named gateway's."""
        if not path.startswith(WEBHOOK_PATH + "/"):
            return self._webhooks.get(path), ""
        name, _, rest = path.removeprefix(WEBHOOK_PATH + "/").partition("/")
        return self._webhooks.get(f"{WEBHOOK_PATH}/{name}"), rest


def _state(request: web.BaseRequest, good: bool) -> web.Response:
    if request.method not in ("GET", "HEAD"):
        return answers.http_error(405, {"Allow": "GET, HEAD"})
    if good:
        return answers.text("OK")
    return answers.error(503, "unhealthy", "the journal cannot be used")


class Webhook:
    """Takes one gateway's requests from their head to their answer."""

    def __init__(
        self,
        door: Door,
        recorder: RecorderPort,
        metrics: RequestMetrics,
        warn: RateLimited,
        *,
        on_message: OnMessage,
        on_state: OnState,
        body_timeout: float,
    ) -> None:
        self._gateway, self._settings = door
        self._recorder = recorder
        self._metrics = metrics
        self._warn = warn
        self._on_message, self._on_state = on_message, on_state
        self._body_timeout = body_timeout

    async def answer(self, request: web.BaseRequest, rest: str) -> web.StreamResponse:
        """Return the answer; counts the outcome. `rest` is what follows the gateway's path."""
        settings, gateway = self._settings(), self._gateway
        if request.method != "POST":
            return answers.http_error(405, {"Allow": "POST"})
        if not gateway.signs_body and not gateway.proves(rest, request.headers, b"", settings.secret):
            return self._unknown(request)
        if (request.content_length or 0) > settings.max_body:
            return self._refuse(request, 413, "too_large", _too_large(settings.max_body), TOO_LARGE)
        try:
            body = await read_body(request, settings.max_body, self._body_timeout, gateway.media_types)
        except BodyRefused as refused:
            outcome = TOO_LARGE if refused.status == 413 else INVALID
            return self._refuse(request, refused.status, refused.code, str(refused), outcome)
        if gateway.signs_body and not gateway.proves(rest, request.headers, body, settings.secret):
            return self._unknown(request)
        return await self._take(request, body, rest, settings)

    async def _take(
        self, request: web.BaseRequest, body: bytes, rest: str, settings: WebhookSettings
    ) -> web.StreamResponse:
        if not self._recorder.ready:  # nor is it known what is new: a state of an unknown session is none
            self._metrics.event(self._gateway.type_of(body), UNAVAILABLE)
            return self._unavailable(request, JournalUnavailable("the journal is not loaded"))
        now = self._recorder.clock()
        latest = now + settings.max_future_skew
        try:
            seen = self._gateway.read(body, now=now, latest=latest, known=self._recorder.identity_of, path=rest)
            if self._gateway.signs_body and seen and all(_is_replayed(one, now) for one in seen):
                return self._unknown(request)
            if len(seen) == 1:
                await self._record(seen[0], now)
            else:
                await self._record_all(seen or [IgnoredEvent()], now)
        except InvalidEvent as error:
            return await self._quarantine(request, body, error)
        except (JournalUnavailable, Overloaded) as error:
            return self._unavailable(request, error)
        return answers.text("OK")

    async def _record(self, one: Seen, now: float) -> None:
        label = label_of(one)
        try:
            if isinstance(one, DeviceEvent):
                outcome = await self._recorder.submit(one)
            elif isinstance(one, SessionEvent):
                outcome = await self._on_state(one)
            elif isinstance(one, MessageEvent):
                self._on_message(one, now)
                outcome = ACCEPTED
            else:
                outcome = IGNORED if isinstance(one, IgnoredEvent) else ACCEPTED
        except (JournalUnavailable, Overloaded) as error:
            self._metrics.event(label, OVERLOADED if isinstance(error, Overloaded) else UNAVAILABLE)
            raise
        self._metrics.heard(label, outcome, now)

    async def _record_all(self, seen: Sequence[Seen], now: float) -> None:
        """Record the events of one body in their order, in as few commits as may be.

        Where one is not stored the sender must repeat all of them; what is stored then changes nothing.
        """
        done = await asyncio.gather(*(self._record(one, now) for one in seen), return_exceptions=True)
        errors = [error for error in done if error is not None]
        for error in sorted(errors, key=lambda error: isinstance(error, InvalidEvent)):
            raise error  # what can be mended by a repetition comes first

    async def _quarantine(self, request: web.BaseRequest, body: bytes, error: InvalidEvent) -> web.Response:
        gateway = self._gateway
        label = gateway.type_of(body)
        may_be_true = error.code == IN_FUTURE and self._recorder.clock_is_behind
        if may_be_true:
            self._metrics.event(label, INVALID)
            response = self._unavailable(request, ClockBehind())
        else:
            response = self._refuse(request, 400, error.code, str(error), INVALID, label)
        payload, digest = gateway.redact(body)
        try:
            await self._recorder.quarantine(error.code, str(error), payload, digest)
        except (JournalUnavailable, Overloaded) as failure:
            told = {"gateway": gateway.name, "reason": failure.code}
            self._warn.warning("not_quarantined", "a refused body was not kept", **told)
            return response if gateway.refuses_invalid else self._unavailable(request, failure)
        self._metrics.event(label, QUARANTINED)
        return response if may_be_true or gateway.refuses_invalid else answers.json({"quarantined": error.code})

    def _unknown(self, request: web.BaseRequest) -> web.Response:
        response = self._refuse(request, 401, "unauthorized", "missing or wrong secret", UNAUTHORIZED)
        response.headers["WWW-Authenticate"] = "Webhook-Secret"
        return response

    def _unavailable(self, request: web.BaseRequest, error: ExporterError) -> web.Response:
        self._log_refusal(request, 503, error.code)
        return answers.error(503, error.code, "not stored, try again", {"Retry-After": answers.RETRY_AFTER})

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
        self._log_refusal(request, status, code)
        return answers.error(status, code, message)

    def _log_refusal(self, request: web.BaseRequest, status: int, code: str) -> None:
        told = {"status": status, "gateway": self._gateway.name, "remote": request.remote}
        self._warn.warning(code, "webhook request refused", **told)


def _is_replayed(one: Seen, now: float) -> bool:
    """Whether a signed body tells of a time that no sender still retries: somebody kept it and sends it again."""
    return isinstance(one, SessionEvent) and one.at_ms / 1000 < now - REPLAYED


def _too_large(limit: int) -> str:
    return f"the body is larger than {limit} bytes"
