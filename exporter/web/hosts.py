"""Names under which the admin listener may be asked: a guard against DNS names that are rebound to this machine.

A web site may let its own name point at our address; a browser then takes our pages for that site's and hands them to
it. Such a name has a dot and is not ours. So all of these are let through: addresses, names without a dot (`localhost`,
a service of Compose), names below `localhost`, this machine's own, the one in `web.listen_address`, that of
`web.external_url`, and those of `web.allowed_hosts`, of which `.example.com` stands for all names below it.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from exporter.lib.address import parse_address
from exporter.web import answers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from aiohttp.typedefs import Handler, Middleware

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]/@\s]*)(?::[0-9]*)?")


class WebSettings(Protocol):
    """The part of the configuration's section `web` that names us."""

    @property
    def listen_address(self) -> str:
        """Where the admin listener listens."""

    @property
    def external_url(self) -> str | None:
        """Where a proxy shows us."""

    @property
    def allowed_hosts(self) -> Sequence[str]:
        """Further names; one that begins with a dot stands for all below it."""


def allowed_hosts_only(settings: Callable[[], WebSettings]) -> Middleware:
    """Return the middleware; `settings` is asked anew for each request."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        # A program may leave the header out; a browser never does.
        given = request.headers.get(hdrs.HOST)
        if given is not None and not is_allowed(given, settings()):
            return answers.error(403, "host_not_allowed", "this listener has no such name; see web.allowed_hosts")
        return await handler(request)

    return check


def is_allowed(host: str, settings: WebSettings) -> bool:
    """Return whether a Host header names us."""
    found = _HOST.fullmatch(host.strip())
    if found is None:
        return False
    name = found[1].lower().removesuffix(".")
    if "." not in name or name.endswith(".localhost") or _is_address(name):
        return True
    return any(name == ours or (ours.startswith(".") and name.endswith(ours)) for ours in _ours(settings))


def _ours(settings: WebSettings) -> Iterator[str]:
    yield from (name.lower() for name in settings.allowed_hosts)
    yield parse_address(settings.listen_address).host.lower()
    yield (urlsplit(settings.external_url or "").hostname or "").lower()
    yield socket.gethostname().lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
