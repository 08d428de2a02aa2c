"""Basic authentication against bcrypt hashes, off the event loop.

A check takes tens of milliseconds by design. So it runs in one of two threads that do nothing else, successes are
remembered under a keyed hash, and guessers cannot make others wait:
- whoever came last is checked first, and beyond `WAITING` checks the one that waited longest is given up;
- refusals are answered at the pace at which their checks take a quarter of the threads' time, so that whoever waits
  for an answer before the next guess leaves most of it to others.
An unknown user costs as much as a known one, so that timing tells no names.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import re
import secrets
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import bcrypt

from exporter.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Mapping

HASH: Final = re.compile(r"\$2[abxy]?\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
THREADS: Final = 2
WAITING: Final = 8
DELAYED: Final = 64
"""Refusals that may wait for their answer; each holds a connection."""
_SHARE: Final = 4
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


class _Check(NamedTuple):
    answer: asyncio.Future[bool]
    password: str
    hashed: str


class Passwords:
    """Checks passwords in threads of its own."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, "passwords")
        self._waiting: list[_Check] = []
        self._running = 0
        self._cost = 0.0  # seconds that the last check took
        self._delayed = 0
        self._next_refusal = 0.0  # when the next one may be answered, by the loop's clock

    async def match(self, password: str, hashed: str) -> bool:
        """Return whether a password belongs to a hash; Overloaded where too many others came after it."""
        check = _Check(asyncio.get_running_loop().create_future(), password, hashed)
        self._waiting.append(check)
        self._next()
        if len(self._waiting) > WAITING:
            oldest = self._waiting.pop(0).answer
            if not oldest.done():
                oldest.set_exception(Overloaded("too many passwords are being checked"))
        return await check.answer

    async def refused(self) -> None:
        """Return when a refusal may be answered."""
        if self._delayed >= DELAYED:
            return
        now = asyncio.get_running_loop().time()
        at = max(now, self._next_refusal)
        self._next_refusal = at + self._cost * _SHARE / THREADS
        self._delayed += 1
        try:
            await asyncio.sleep(at - now)
        finally:
            self._delayed -= 1

    def _next(self) -> None:
        while self._waiting and self._running < THREADS:
            check = self._waiting.pop()
            if check.answer.done():
                continue  # whoever asked is gone
            self._running += 1
            run = asyncio.get_running_loop().run_in_executor(self._threads, self._checked, check)
            run.add_done_callback(partial(self._done, check.answer))

    def _checked(self, check: _Check) -> bool:
        started = time.perf_counter()
        matches = _matches(check.password, check.hashed)
        self._cost = time.perf_counter() - started
        return matches

    def _done(self, answer: asyncio.Future[bool], run: asyncio.Future[bool]) -> None:
        self._running -= 1
        if not answer.done():
            answer.set_result(run.result())
        self._next()


class BasicAuth:
    """Checks users against their hashes (user → bcrypt hash)."""

    def __init__(self, users: Mapping[str, str], passwords: Passwords | None = None) -> None:
        self._users = dict(users)
        # For unknown users: a real hash, so that its cost is that of a real user.
        self._decoy = max(self._users.values(), key=lambda hashed: hashed.split("$")[2], default="")
        self._key = secrets.token_bytes(32)
        self._good: OrderedDict[bytes, None] = OrderedDict()
        self._passwords = passwords or Passwords()

    async def allows(self, header: str) -> bool:
        """Return whether an Authorization header lets its sender in; Overloaded if that cannot be found out now."""
        given = credentials(header)
        if given is None:
            return False
        user, password = given
        hashed = self._users.get(user)
        token = self._token(user, hashed or "", password)
        if token in self._good:
            self._good.move_to_end(token)
            return True
        try:
            matches = await self._passwords.match(password, hashed or self._decoy)
        except Overloaded:
            await self._passwords.refused()
            raise
        if not matches or hashed is None:
            await self._passwords.refused()
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
