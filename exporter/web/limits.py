"""The bounds of a listener, see `connections`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Limits:
    """Bounds of one listener; times in seconds, sizes in bytes."""

    max_connections: int = 1000
    head_timeout: float = 10.0
    """Also for a TLS handshake."""
    stall_timeout: float = 30.0
    idle_timeout: float = 180.0
    """Longer than the proxies' own, so that they never send into a connection that is being closed."""
    max_line: int = 8190
    max_field: int = 8190
    max_headers: int = 100
    max_head: int = 32 << 10
    max_unread: int = 8 << 20
    linger: float = 2.0
    """How long an unread body is discarded after an early answer, so that the client gets to read the answer."""
    sweep_interval: float = 1.0

    def connection_arguments(self) -> dict[str, Any]:
        """Return these limits as aiohttp's arguments."""
        return {
            "keepalive_timeout": self.idle_timeout,
            "max_line_size": self.max_line,
            "max_field_size": self.max_field,
            "max_headers": self.max_headers,
            "lingering_time": self.linger,
            "auto_decompress": False,
            "access_log": None,
        }
