"""How a sender proves itself: a header, a part of the path, a signature over the body, or a signed token. Pure.

Every comparison takes the same time whatever is given; an empty secret is nobody's.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Final

import msgspec

from exporter.gateways.gateway import same

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.gateways.mapping import Proof

JWT_LEEWAY: Final = 1800.0
"""Seconds that a token counts beyond its end: it is made once for an event, and retries of that event carry it on."""


class _Head(msgspec.Struct):
    alg: str


class _Claims(msgspec.Struct):
    exp: float


def by_header(headers: Mapping[str, str], name: str, secret: str) -> bool:
    """Return whether a header is the secret, as it is or as a bearer token."""
    given = headers.get(name, "")
    return same(given.removeprefix("Bearer "), secret)


def by_path(path: str, secret: str) -> bool:
    """Return whether the first part of the path is the secret; anything may follow."""
    return same(path.partition("/")[0], secret)


def by_signature(headers: Mapping[str, str], body: bytes, secret: str, proof: Proof) -> bool:
    """Return whether a header is the body's HMAC in hex."""
    digest = hmac.digest(secret.encode(), body, getattr(hashlib, proof.hash)).hex()
    given = headers.get(proof.hmac_header, "")
    return bool(secret) and same(given.removeprefix(proof.prefix).lower(), digest)


def by_token(headers: Mapping[str, str], secret: str, now: float) -> bool:
    """Return whether there is a bearer JWT that the secret signed by HS256, and that ended at most a while ago."""
    head, _, rest = headers.get("Authorization", "").removeprefix("Bearer ").strip().partition(".")
    claims, _, signature = rest.partition(".")
    expected = hmac.digest(secret.encode(), f"{head}.{claims}".encode("utf-8", "replace"), hashlib.sha256)
    try:
        signed = hmac.compare_digest(_decoded(signature), expected) and bool(secret)
        return (
            signed
            and msgspec.json.decode(_decoded(head), type=_Head).alg == "HS256"
            and msgspec.json.decode(_decoded(claims), type=_Claims).exp + JWT_LEEWAY >= now
        )
    except ValueError:  # msgspec's errors, too
        return False


def _decoded(text: str) -> bytes:
    """Return the bytes of base64 in its form for URLs. Raises ValueError."""
    if not text.isascii() or set("=+/") & set(text):
        raise ValueError("no base64url")
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
