"""The same fleet behind another gateway: the platform's events as the states that the gateway would tell. Pure.

A loss of the line is a flood of "connecting", which a short outage never leaves; a logout is told at once. Messages are
no gateway's business here.
"""

from __future__ import annotations

import hmac
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from exporter.conventions import CONNECTED_EVENT, DISCONNECTED_EVENT
from exporter.lib.times import rfc3339

if TYPE_CHECKING:
    from exporter.simulate.payloads import Payload

FLOOD: Final = 3
"""How often "connecting" is told, a second apart."""
LOGOUTS: Final = 4
"""One outage of so many is a logout, the others are losses of the line."""

SIGNED: Final = frozenset({"waha"})
"""Gateways that sign what they send: the exporter takes such a body for a replay once it is a day old."""

Translate = Callable[["Payload"], "list[Payload]"]
Body = Callable[["Payload", str, int], "Payload"]
"""A body of the platform, `up`, `hard` or `soft`, and when (Unix seconds): the gateway's body."""


def body_of(gateway: str) -> Body:
    """Return what makes a gateway's body of one of the platform's, in a state of one's choice."""
    return _STATES[gateway]


def translator(gateway: str) -> Translate:
    """Return what makes a gateway's bodies of one of the platform's; none where it would say nothing."""
    state = body_of(gateway)

    def translate(payload: Payload) -> list[Payload]:
        event, at = payload["event"], payload["timestamp"]
        if event == CONNECTED_EVENT:
            return [state(payload, "up", at)]
        if event != DISCONNECTED_EVENT:
            return []
        chance = zlib.crc32(f"{payload['device']['id']} {at}".encode())
        if chance % LOGOUTS == 0 or gateway == "fonnte":  # which knows nothing in between
            return [state(payload, "hard", at)]
        return [state(payload, "soft", at + second) for second in range(FLOOD)]

    return translate


def headers(gateway: str, body: bytes, secret: str) -> dict[str, str]:
    """Return the headers by which a gateway proves itself."""
    if gateway == "waha":
        return {"X-Webhook-Hmac": hmac.digest(secret.encode(), body, "sha512").hex()}
    return {"Authorization": secret} if gateway == "evolution" else {}


def path(gateway: str, secret: str) -> str:
    """Return what follows the gateway's path."""
    return f"/{secret}" if gateway == "fonnte" else ""


def _evolution(payload: Payload, state: str, at: int) -> Payload:
    word, code = {"up": ("open", 200), "hard": ("close", 401), "soft": ("connecting", 200)}[state]
    device = payload["device"]
    data = {"instance": device["id"], "state": word, "statusReason": code}
    if state == "up":
        data["profileName"] = device["name"]
    time = rfc3339(at, timespec="milliseconds")
    return {"event": "connection.update", "instance": device["id"], "data": data, "date_time": time, "apikey": "none"}


def _waha(payload: Payload, state: str, at: int) -> Payload:
    word = {"up": "WORKING", "hard": "SCAN_QR_CODE", "soft": "STARTING"}[state]
    device = payload["device"]
    business = {"business.id": device["bisnis"]["id"], "business.name": device["bisnis"]["name"]}
    return {
        "event": "session.status",
        "session": device["id"],
        "timestamp": at * 1000,
        "metadata": business,
        "me": {"id": "6281200000001@c.us", "pushName": device["name"]} if state == "up" else None,
        "payload": {"name": device["id"], "status": word, "statuses": [{"status": word, "timestamp": at * 1000}]},
    }


def _fonnte(payload: Payload, state: str, at: int) -> Payload:
    return {"device": payload["device"]["id"], "status": "connect" if state == "up" else "disconnect", "timestamp": at}


_STATES: Final[dict[str, Body]] = {"evolution": _evolution, "waha": _waha, "fonnte": _fonnte}
GATEWAYS: Final = tuple(_STATES)
