"""What systemd is told where it started us with `Type=notify`; elsewhere nothing happens. See sd_notify(3)."""

from __future__ import annotations

import logging
import os
import socket
from typing import Final

from exporter.lib.logs import fields

log = logging.getLogger(__name__)

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
ALIVE: Final = "WATCHDOG=1"


def tell(state: str) -> None:
    """Send one datagram, without waiting."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
    except OSError as error:
        log.warning("systemd was not told", extra=fields(state=state, error=str(error)))


def watchdog_interval() -> float | None:
    """Return how often to say ALIVE, seconds: a third of what systemd waits. None: it does not watch this process."""
    span, process = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not span.isdecimal() or not int(span) or process not in ("", str(os.getpid())):
        return None
    return int(span) / 3e6
