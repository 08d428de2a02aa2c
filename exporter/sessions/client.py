"""Asks a gateway's state API: with a time-out, a bound on the answer, and no redirects. Addresses may hold keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import aiohttp

from exporter import __version__

if TYPE_CHECKING:
    from exporter.gateways.state_api import Call

TIMEOUT: Final = 10.0
LARGEST: Final = 32 * 1024 * 1024
"""Bytes of an answer: ten thousand sessions with all that gateways tell of them."""


class Unreachable(Exception):
    """The gateway did not answer as it should. The message is a bounded word for logs, without address or key."""


def client() -> aiohttp.ClientSession:
    """Return connections for one gateway; whoever asks for them closes them."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=1),
        timeout=aiohttp.ClientTimeout(total=TIMEOUT),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"device-exporter/{__version__}"},
    )


async def ask(session: aiohttp.ClientSession, call: Call) -> bytes:
    """Return the body of the answer. Raises Unreachable."""
    try:
        async with session.request(call.method, call.url, headers=call.headers, allow_redirects=False) as answer:
            if answer.status in (401, 403):
                raise Unreachable("the key is refused")
            if answer.status != 200:
                raise Unreachable(f"status {answer.status}")
            body = await answer.content.read(LARGEST + 1)
            while len(body) <= LARGEST and (more := await answer.content.read(LARGEST + 1 - len(body))):
                body += more
    except TimeoutError:
        raise Unreachable("timeout") from None
    except (aiohttp.ClientError, OSError, ValueError):
        raise Unreachable("no connection") from None
    if len(body) > LARGEST:
        raise Unreachable("the answer is too large")
    return body
