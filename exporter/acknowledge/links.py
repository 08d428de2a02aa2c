"""Links by which somebody says that they have an outage: short, and nobody can guess or change one.

A token is 80 bits of HMAC-SHA256 over the outage. It says nothing by itself: which outage it stands for is kept here,
for what runs and for a day after its end, and derived again from the journal at a start.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.alerting.alert import Key

PATH: Final = "/a/"
KEPT_FOR: Final = 86_400.0
"""Seconds for which a link shows how an outage ended."""
_BYTES: Final = 10


class Scope(NamedTuple):
    """One outage."""

    key: Key
    """Of the alert that speaks for it."""
    anchor: int
    """See `exporter.alerting.taken.anchor_of`."""


class Links:
    """`secret` has a line for each key: the first signs, all of them are taken."""

    def __init__(self, secret: Callable[[], str]) -> None:
        self._secret = secret
        self._scopes: dict[str, Scope] = {}
        self._seen: dict[Scope, float] = {}

    def learn(self, scope: Scope, now: float) -> str:
        """Let links to an outage be known from now on; return its token, or nothing without a key."""
        tokens = [token_of(scope, key) for key in self._secret().split()]
        for token in tokens:
            self._scopes[token] = scope
        self._seen[scope] = now
        return tokens[0] if tokens else ""

    def find(self, token: str) -> Scope | None:
        """Return the outage of a token; None where it is none of ours, or of an outage that ended long ago."""
        return self._scopes.get(token)

    def forget_old(self, runs: Callable[[Scope], bool], now: float) -> None:
        """Forget what has not run for a day."""
        for scope, seen in list(self._seen.items()):
            if runs(scope):
                self._seen[scope] = now
            elif now - seen > KEPT_FOR:
                del self._seen[scope]
        self._scopes = {token: scope for token, scope in self._scopes.items() if scope in self._seen}


def token_of(scope: Scope, key: str) -> str:
    """Return the token of an outage, 16 letters and digits."""
    (alert, subject), anchor = scope
    message = "\0".join(("acknowledge", alert, subject, str(anchor)))
    digest = hmac.new(key.encode(), message.encode(), hashlib.sha256).digest()
    return base64.b32encode(digest[:_BYTES]).decode().lower()
