"""Forms of our own pages. Other sites cannot send one: it carries a token that only a page of this process holds."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from exporter.web.operations import BadParameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

_TYPE: Final = "application/x-www-form-urlencoded"
_LIMIT: Final = 64 * 1024
_TIMEOUT: Final = 10.0


async def read_form(request: web.Request) -> dict[str, str]:
    """Return a form's fields; BadParameter for a body that is none."""
    if request.content_type != _TYPE or (request.content_length or 0) > _LIMIT:
        raise BadParameter(f"{_TYPE}, {_LIMIT} bytes")
    try:
        async with asyncio.timeout(_TIMEOUT):
            body = await request.read()
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=20)
    except (ValueError, TimeoutError) as error:
        raise BadParameter(str(error)) from None
    return {name: values[0] for name, values in fields.items()}


class Token:
    """What a form must carry. Another process has another one."""

    def __init__(self) -> None:
        self.value = secrets.token_urlsafe(16)

    def is_in(self, form: Mapping[str, str]) -> bool:
        """Return whether a form came from a page of this process."""
        return hmac.compare_digest(form.get("token", "").encode(), self.value.encode())
