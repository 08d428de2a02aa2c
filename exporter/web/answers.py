"""The answers that all listeners give: plain text, JSON, and the one error shape `{"error": …, "code": …}`."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVER: Final = "device-exporter"
RETRY_AFTER: Final = "30"
"""Seconds, as the platform waits between its tries."""

HEADERS: Final = {"Server": SERVER, "X-Content-Type-Options": "nosniff"}

_HTTP_CODES: Final = {
    400: ("bad_request", "malformed request"),
    401: ("unauthorized", "authentication needed"),
    403: ("forbidden", "not allowed"),
    404: ("not_found", "no such page"),
    405: ("method_not_allowed", "method not allowed here"),
    408: ("timeout", "the request took too long to arrive"),
    413: ("too_large", "the body is too large"),
    414: ("uri_too_long", "the URL is too long"),
    417: ("expectation_failed", "unknown Expect header"),
    431: ("headers_too_large", "the request's head is too large"),
    500: ("internal", "internal error"),
    503: ("unavailable", "not available now"),
    504: ("timeout", "the answer took too long"),
    505: ("http_version", "only HTTP/1.0 and HTTP/1.1 are spoken here"),
}

_encode = msgspec.json.Encoder().encode


def error_body(message: str, code: str) -> bytes:
    """Return the JSON of an error."""
    return _encode({"error": message, "code": code})


def error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return an error's answer."""
    response = web.Response(status=status, body=error_body(message, code), content_type="application/json")
    response.headers.update(HEADERS)
    if headers:
        response.headers.update(headers)
    return response


def farewell(status: int) -> bytes:
    """Return the bytes of a whole answer to no request, after which the connection is closed."""
    body = error_body(*words(status))
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in HEADERS.items()]
    lines.append("Content-Type: application/json; charset=utf-8")
    if status == 503:
        lines.append(f"Retry-After: {RETRY_AFTER}")
    return "\r\n".join((*lines, "", "")).encode("ascii") + body


def http_error(status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return the answer to an error of HTTP itself, in fixed words: what the client sent is not repeated."""
    message, code = words(status)
    return error(status, code, message, headers)


def words(status: int) -> tuple[str, str]:
    """Return the message and the stable code of an error of HTTP itself."""
    code, message = _HTTP_CODES.get(status, ("http", "the request failed"))
    return message, code


def code_of(status: int) -> str:
    """Return the stable code of an error of HTTP itself."""
    return words(status)[1]


def text(body: str, status: int = 200) -> web.Response:
    """Return a plain text answer."""
    return web.Response(status=status, text=body, headers=HEADERS)


def json(value: object, status: int = 200) -> web.Response:
    """Return any value that msgspec can encode."""
    return encoded(_encode(value), status)


def encoded(body: bytes, status: int = 200) -> web.Response:
    """Return what is JSON already."""
    return web.Response(status=status, body=body, content_type="application/json", headers=HEADERS)
