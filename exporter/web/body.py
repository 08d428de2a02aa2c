"""A request's body, read with bounds: media type, size and time.

The usual body is small and arrives with its head; then nothing is awaited and no timer is set.
"""

from __future__ import annotations

import asyncio
from email.message import Message
from typing import TYPE_CHECKING, Final

from exporter.gateways.gateway import JSON

if TYPE_CHECKING:
    from collections.abc import Collection

    from aiohttp import StreamReader, web

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class BodyRefused(Exception):
    """The body cannot be had. `status` and `code` are those of the answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


async def read_body(
    request: web.BaseRequest,
    limit: int,
    timeout: float,  # noqa: ASYNC109 - set up only when needed
    media_types: Collection[str] = JSON,
) -> bytes:
    """Return the whole body of a request of at most `limit` bytes that arrives within `timeout` seconds.

    Raises BodyRefused with 415 (another media type, not in UTF-8, or compressed), 417, 413, 408 or 400 (broken off or
    malformed).
    """
    _check_type(request, media_types)
    content = request.content
    if content.exception() is None and content.is_eof():
        body = content.read_nowait(-1)
    else:
        try:
            async with asyncio.timeout(timeout):
                await _invite(request)
                body = await _read(content, limit)
        except TimeoutError:
            raise BodyRefused(408, "timeout", "the body took too long to arrive") from None
        except BodyRefused:
            raise
        except Exception:
            raise BodyRefused(400, "bad_request", "the body is broken off or malformed") from None
    if len(body) > limit:
        raise BodyRefused(413, "too_large", f"the body is larger than {limit} bytes")
    return body


def _check_type(request: web.BaseRequest, media_types: Collection[str]) -> None:
    header = request.headers.get("Content-Type", "")
    if header not in media_types and not _is_one_of(header, media_types):
        wanted = " or ".join(sorted(media_types))
        raise BodyRefused(415, "unsupported_media_type", f"the body must be {wanted} in UTF-8")
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise BodyRefused(415, "unsupported_encoding", "the body must not be compressed")


def _is_one_of(header: str, media_types: Collection[str]) -> bool:
    message = Message()
    message["Content-Type"] = header
    charset = message.get_content_charset("utf-8")
    return message.get_content_type() in media_types and charset in ("utf-8", "utf8")


async def _invite(request: web.BaseRequest) -> None:
    expect = request.headers.get("Expect")
    if expect is None:
        return
    if expect.strip().lower() != "100-continue":
        raise BodyRefused(417, "expectation_failed", "unknown Expect header")
    if request.transport is not None and not request.content.total_bytes:
        request.transport.write(_CONTINUE)


async def _read(content: StreamReader, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while size <= limit:
        part = await content.readany()
        if not part:
            break
        parts.append(part)
        size += len(part)
    return b"".join(parts)
