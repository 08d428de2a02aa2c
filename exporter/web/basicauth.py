"""Basic authentication against bcrypt hashes, off the event loop.

A check takes tens of milliseconds by design, so it runs in a thread, one at a time, and successes are remembered under
a keyed hash. An unknown user costs as much as a known one, so that timing tells no names.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import bcrypt

if TYPE_CHECKING:
    from collections.abc import Mapping

HASH: Final = re.compile(r"\$2[abxy]?\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
_REMEMBERED: Final = 100
_LONGEST: Final = 72  # bytes of a password that bcrypt looks at


def credentials(header: str) -> tuple[str, str] | None:
    """Return user and password of an Authorization header, None if it has no readable ones."""
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon else None


class BasicAuth:
    """Checks users against their hashes (user → bcrypt hash)."""

    def __init__(self, users: Mapping[str, str]) -> None:
        self._users = dict(users)
        # For unknown users: a real hash, so that its cost is that of a real user.
        self._decoy = max(self._users.values(), key=lambda hashed: hashed.split("$")[2], default="")
        self._key = secrets.token_bytes(32)
        self._good: OrderedDict[bytes, None] = OrderedDict()
        self._one_at_a_time = asyncio.Semaphore(1)

    async def allows(self, header: str) -> bool:
        """Return whether an Authorization header lets its sender in."""
        given = credentials(header)
        if given is None:
            return False
        user, password = given
        hashed = self._users.get(user)
        token = self._token(user, hashed or "", password)
        if token in self._good:
            self._good.move_to_end(token)
            return True
        async with self._one_at_a_time:
            matches = await asyncio.to_thread(_matches, password, hashed or self._decoy)
        if not matches or hashed is None:
            return False
        self._good[token] = None
        if len(self._good) > _REMEMBERED:
            self._good.popitem(last=False)
        return True

    def _token(self, *parts: str) -> bytes:
        # The lengths keep ("a", "bc") and ("ab", "c") apart.
        text = "".join(f"{len(part)}:{part}" for part in parts)
        return hmac.digest(self._key, text.encode(), hashlib.sha256)


def _matches(password: str, hashed: str) -> bool:
    try:
        return bcrypt.checkpw(password.encode()[:_LONGEST], hashed.encode())
    except ValueError:
        return False
