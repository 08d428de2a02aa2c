"""Calls a hook: one POST of JSON, signed. Redirects are not followed, answers are not read.

The body of a call is the same bytes at every attempt; `Idempotency-Key` and `X-Failover-Signature` go with it. The
signature is HMAC-SHA256, in hex after `sha256=`, over the header `X-Failover-Timestamp` (Unix seconds of the attempt),
a full stop and the body. Neither the secret nor the hook's URL, which may hold a token, reaches a log or an error.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import msgspec

from exporter import __version__
from exporter.failover.machine import SWITCH

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.config.schema import Failover
    from exporter.failover.machine import Order

TIMEOUT: Final = 10.0
KEY_HEADER: Final = "Idempotency-Key"
TIMESTAMP_HEADER: Final = "X-Failover-Timestamp"
SIGNATURE_HEADER: Final = "X-Failover-Signature"


class Answer(NamedTuple):
    """What became of one attempt."""

    accepted: bool
    reason: str
    """Why not: a bounded word for logs."""
    perhaps_done: bool
    """Whether the hook may have acted although it did not say so."""


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the value of the signature's header."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def body_of(rule: Failover, order: Order) -> bytes:
    """Return what the hook is told. `at` and `since` are Unix seconds: the decision, and what it follows from."""
    content = {
        "action": order.action,
        "channel": rule.channel,
        "backup": rule.backup,
        "at": int(order.at),
        "reason": "channel_down" if order.action == SWITCH else "channel_up",
        "since": order.since,
        "sequence": order.sequence,
    }
    return msgspec.json.encode(content)


class HookSender:
    """Sends with a client session of its own; `close` it at the end."""

    def __init__(self, clock: Callable[[], float], *, timeout: float = TIMEOUT) -> None:
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._session: aiohttp.ClientSession | None = None

    async def send(self, rule: Failover, order: Order) -> Answer:
        """Make one attempt; never raises for what the hook or the network does."""
        url, body, timestamp = rule.hook.url, body_of(rule, order), str(int(self._clock()))
        if urlsplit(url).scheme not in ("http", "https"):
            return Answer(accepted=False, reason="no http url", perhaps_done=False)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"device-exporter/{__version__}",
            KEY_HEADER: order.key,
            TIMESTAMP_HEADER: timestamp,
            SIGNATURE_HEADER: signature(rule.hook.secret, timestamp, body),
        }
        try:
            async with self._client().post(url, data=body, headers=headers, allow_redirects=False) as answer:
                return _judged(answer.status)
        except TimeoutError:
            return Answer(accepted=False, reason="timeout", perhaps_done=True)
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL):
            return Answer(accepted=False, reason="no connection", perhaps_done=False)
        except (aiohttp.ClientError, OSError):
            return Answer(accepted=False, reason="connection lost", perhaps_done=True)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            # calls are rare: a kept connection would mostly be found dead
            connector = aiohttp.TCPConnector(force_close=True)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


def _judged(status: int) -> Answer:
    """Return what a status means: a hook that refuses or redirects did nothing, one that fails may have."""
    return Answer(accepted=200 <= status < 300, reason=f"status {status}", perhaps_done=status >= 500)
