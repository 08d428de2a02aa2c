"""
Ports for programs that must be told theirs. One that can take any and says which is given port 0 instead.

The numbers lie below those that the system hands out by itself, so no connection takes one by chance, and each is
reserved for this process until it ends: tests and benchmarks that run side by side never get the same one.
"""

from __future__ import annotations

import itertools
import os
import socket
from typing import Final

LOOPBACK: Final = "127.0.0.1"
_NUMBERS: Final = range(20_000, 26_000)
_RESERVATIONS: Final = 6_000
"""A number is reserved by a socket that listens so far above it; the kernel gives it back when the process ends."""

_candidates = itertools.cycle([*_NUMBERS[os.getpid() * 97 % len(_NUMBERS) :], *_NUMBERS])
_reserved: list[socket.socket] = []


def free_port() -> int:
    """Return a port that nothing listens on and that no other caller gets, in whatever process."""
    for port in itertools.islice(_candidates, len(_NUMBERS)):
        try:
            reservation = socket.create_server((LOOPBACK, port + _RESERVATIONS))
        except OSError:
            continue
        if _is_free(port):
            _reserved.append(reservation)
            return port
        reservation.close()
    raise OSError("every port is taken")


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                return False
    return True
