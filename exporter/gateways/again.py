"""A body from the quarantine once more: what was kept of it in its old places, and a proof of the sender. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import msgspec

from exporter.gateways.pointer import compile_pointer

if TYPE_CHECKING:
    from collections.abc import Mapping as AnyMapping

    from exporter.gateways.mapping import Auth, Proof

LIFE = 60
"""Seconds that a token is good for."""


def rebuilt(kept: AnyMapping[str, str]) -> bytes:
    """Return a body that has what was kept, by pointers, and nothing else."""
    root: dict[str, Any] = {}
    for place in sorted(place for place in kept if place.startswith("/")):
        *steps, last = compile_pointer(place)
        below = root
        for step in steps:
            below = below.setdefault(step, {})
        below[last] = kept[place]
    return msgspec.json.encode(root)


def proven(auth: Auth, proof: Proof, secret: str, body: bytes, now: float) -> tuple[str, dict[str, str]]:
    """Return what follows the gateway's path, and the headers, by which the sender of a body proves itself."""
    match auth:
        case "path":
            return f"/{secret}", {}
        case "hmac":
            digest = hmac.digest(secret.encode(), body, getattr(hashlib, proof.hash)).hex()
            return "", {proof.hmac_header: f"{proof.prefix}{digest}"}
        case "jwt":
            return "", {"Authorization": f"Bearer {_token(secret, now)}"}
    return "", {proof.header: secret}


def _token(secret: str, now: float) -> str:
    head, claims = _encoded(b'{"alg":"HS256","typ":"JWT"}'), _encoded(b'{"exp":%d}' % (now + LIFE))
    return f"{head}.{claims}.{_encoded(hmac.digest(secret.encode(), f'{head}.{claims}'.encode(), hashlib.sha256))}"


def _encoded(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode().rstrip("=")
