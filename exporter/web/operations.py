"""Operations of the admin listener: one record gives the route and its place in the OpenAPI document.

So a route cannot exist without its description, nor the reverse. Features add theirs by `admin_app(operations=…)`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from exporter.errors import ExporterError
from exporter.lib.times import parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.typedefs import Handler

    Schema = dict[str, Any]

TEXT: Final = "text/plain"
_DATE: Final = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_CLOCK: Final = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?"
_OFFSET: Final = r"([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
_MOMENT: Final = rf"([0-9]{{1,11}}(\.[0-9]{{1,9}})?|{_DATE}[Tt ]{_CLOCK}{_OFFSET})"
MOMENT: Final = {"type": "string", "pattern": f"^{_MOMENT}$", "examples": ["1738056000", "2025-01-28T09:20:00Z"]}
"""The schema of what `moment` takes."""


class BadParameter(ExporterError):
    """A query or path parameter that cannot be used; answered with 400."""

    code = "bad_parameter"


class NotFound(ExporterError):
    """What the path names does not exist; answered with 404."""

    code = "not_found"


@dataclass(frozen=True)
class Query:
    """One query parameter: its name, JSON schema and meaning."""

    name: str
    schema: Schema
    description: str


@dataclass(frozen=True)
class Operation:
    """One method on one path. `path` is an OpenAPI template; its parameters match everything but an unescaped slash.

    `answers` says what a status carries: a msgspec type for JSON, a media type, or None for no body. 400 for a bad
    parameter, 503 while the journal is not loaded and the common errors are added where they can occur.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    answers: Mapping[int, Any]
    query: tuple[Query, ...] = ()
    body: Any = None
    """The msgspec type of a JSON request body."""
    tag: str = "operations"
    description: str = ""
    parameters: Mapping[str, Schema] = field(default_factory=dict)
    """JSON schemas of path parameters; any text that is not empty without one."""
    always: bool = False
    """Whether it is answered before the journal is loaded, too: it says nothing of the fleet, or asks by itself."""

    def route(self) -> web.RouteDef:
        """Return the route; GET answers HEAD, too."""
        pattern = re.sub(r"\{(\w+)\}", r"{\1:[^/]+}", self.path)
        options = {"allow_head": True} if self.method == "GET" else {}
        return web.RouteDef(self.method, pattern, self._checked, options)

    async def _checked(self, request: web.Request) -> web.StreamResponse:
        known = {query.name for query in self.query}
        for name in request.query:
            if known and name not in known:
                raise BadParameter(f"unknown parameter {name!r}: known are {', '.join(sorted(known))}")
            if known and len(request.query.getall(name)) > 1:
                raise BadParameter(f"parameter {name!r} is given more than once")
        return await self.handler(request)


def choice(request: web.Request, name: str, allowed: tuple[str, ...], default: str | None = None) -> str | None:
    """Return a parameter that must be one of `allowed`."""
    value = request.query.get(name, default)
    if value is not None and value not in allowed:
        raise BadParameter(f"{name} must be one of {', '.join(allowed)}")
    return value


def whole(request: web.Request, name: str, *, default: int, least: int, most: int) -> int:
    """Return a parameter that must be a whole number within bounds."""
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 12 and least <= int(text) <= most):
        raise BadParameter(f"{name} must be a whole number from {least} to {most}")
    return int(text)


def moment(request: web.Request, name: str, default: float) -> float:
    """Return a time in Unix seconds, given so or in RFC 3339."""
    text = request.query.get(name)
    if text is None:
        return default
    seconds = math.nan
    if re.fullmatch(_MOMENT, text):
        seconds = float(text) if "-" not in text else _parsed(text)
    if not seconds >= 0:
        raise BadParameter(f"{name} must be a time: Unix seconds, or RFC 3339 such as 2025-01-28T09:20:00Z")
    return seconds


def _parsed(text: str) -> float:
    try:
        return parse_time(text.upper(), None)
    except (ValueError, OverflowError):  # 30 February, or before the year 1
        return math.nan
