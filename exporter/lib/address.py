"""URLs that can be called, and listen addresses as Go programs write them.

These are `host:port`, `:port` for all interfaces, `[::1]:port` for IPv6.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

BACKLOG: Final = 1024


class Address(NamedTuple):
    """Where to listen. An empty host means all interfaces, port 0 any free port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def clashes(self, other: Address) -> bool:
        """Tell whether one machine cannot listen on both."""
        one, two = sorted((self.host.lower(), other.host.lower()))
        if self.port != other.port or self.port == 0:
            return False
        if one in (two, "") or {one, two} in ({"127.0.0.1", "localhost"}, {"::1", "localhost"}):
            return True
        any_ipv4 = one == "0.0.0.0" and ":" not in two  # noqa: S104 - compared, not bound
        return any_ipv4 or ("::" in (one, two) and (":" in one) == (":" in two))


def parse_address(text: str) -> Address:
    """Return the address; ValueError with a clear message if the text is none."""
    host, colon, port_text = text.strip().rpartition(":")
    if not colon:
        raise ValueError(f"listen address {text!r} has no port: write host:port or :port")
    if not (port_text.isascii() and port_text.isdecimal()) or int(port_text) > 65535:
        raise ValueError(f"listen address {text!r}: the port must be a number from 0 to 65535")
    return Address(_host(host, text), int(port_text))


def split_url(text: str) -> tuple[SplitResult, bool]:
    """Return the parts of a URL, and whether it can be called by HTTP or HTTPS."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return urlsplit(""), False
    return parts, usable and text.isprintable() and " " not in text


def _host(host: str, text: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        try:
            return str(ipaddress.IPv6Address(host[1:-1].partition("%")[0])) and host[1:-1]
        except ValueError:
            raise ValueError(f"listen address {text!r}: no IPv6 address within the brackets") from None
    if ":" in host:
        raise ValueError(f"listen address {text!r}: write an IPv6 address in brackets, such as [::1]:9877")
    if any(character.isspace() or character in "/@[]" for character in host):
        raise ValueError(f"listen address {text!r}: not a host name or address")
    return host


def listen(address: Address) -> socket.socket:
    """Return a listening socket; OSError whose message names the address.

    All interfaces means IPv6 and IPv4 by one socket where the machine has both. A host name stands for its first
    address.
    """
    try:
        if not address.host and socket.has_dualstack_ipv6():
            made = socket.create_server(
                ("::", address.port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True
            )
        else:
            host = address.host or "0.0.0.0"  # noqa: S104 - what an empty host stands for
            family, _, _, _, target = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM)[0]
            made = socket.create_server(target[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        raise OSError(error.errno, f"cannot listen on {address}: {error.strerror or error}") from error
    made.setblocking(False)
    return made


def bound(listening: socket.socket) -> Address:
    """Return where a socket listens, with its real port."""
    host, port = listening.getsockname()[:2]
    return Address("" if host in ("::", "0.0.0.0") else host, port)  # noqa: S104 - compared, not bound
