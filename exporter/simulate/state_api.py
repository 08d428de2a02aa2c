"""What a simulated gateway itself knows of its sessions, and its state API, which lies now and then as real ones do.

Webhooks can be lost on their way; the state API knows of them all the same. A lie is a state of a moment: no session is
told wrongly twice in a row.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, Final

from aiohttp import web

from exporter.conventions import CONNECTED_EVENT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from exporter.lib.address import Address
    from exporter.simulate.gateways import Translate
    from exporter.simulate.payloads import Payload

_WORDS: Final = {
    "evolution": {True: "open", False: "close", None: "connecting"},
    "waha": {True: "WORKING", False: "SCAN_QR_CODE", None: "STARTING"},
    "fonnte": {True: "connect", False: "disconnect", None: "disconnect"},
}


class GatewaySessions:
    """Translates like `translate` and remembers what was so. `lost` and `lies` are shares from 0 to 1."""

    def __init__(self, gateway: str, translate: Translate, *, lost: float, lies: float, seed: int) -> None:
        self._gateway, self._translate = gateway, translate
        self._lost, self._lies = lost, lies
        self._chance = Random(seed)  # noqa: S311 - a simulation
        self._names: dict[str, str] = {}
        self._up: dict[str, bool] = {}
        self._told_wrongly: set[str] = set()

    def __call__(self, payload: Payload) -> list[Payload]:
        """Return the bodies that arrive."""
        told = self._translate(payload)
        if told:
            self.note(payload)
        return [] if told and self._chance.random() < self._lost else told

    def note(self, payload: Payload) -> None:
        """Know what a body of the platform says."""
        device = payload["device"]
        self._up[device["id"]] = payload["event"] == CONNECTED_EVENT
        self._names[device["id"]] = device["name"]

    async def handle(self, _request: web.BaseRequest) -> web.StreamResponse:
        """Answer with every session, whatever was asked."""
        wrong = {name for name in self._up if self._chance.random() < self._lies} - self._told_wrongly
        self._told_wrongly = wrong
        words = _WORDS[self._gateway]
        said = {name: words[None if name in wrong else up] for name, up in self._up.items()}
        return web.json_response(getattr(self, f"_{self._gateway}")(said))

    def _evolution(self, said: dict[str, str]) -> list[dict[str, object]]:
        return [
            {
                "name": name,
                "connectionStatus": word,
                "profileName": self._names[name],
                "disconnectionReasonCode": 401 if word == "close" else None,
            }
            for name, word in said.items()
        ]

    def _waha(self, said: dict[str, str]) -> list[dict[str, str]]:
        return [{"name": name, "status": word} for name, word in said.items()]

    def _fonnte(self, said: dict[str, str]) -> dict[str, object]:
        data = [{"device": name, "name": self._names[name], "status": word} for name, word in said.items()]
        return {"status": True, "devices": len(data), "data": data}


@asynccontextmanager
async def serving(sessions: GatewaySessions, address: Address | None) -> AsyncIterator[None]:
    """Serve the state API while the context lasts; not at all without an address. OSError."""
    if address is None:
        yield
        return
    runner = web.ServerRunner(web.Server(sessions.handle))
    await runner.setup()
    try:
        await web.TCPSite(runner, address.host or None, address.port).start()
        yield
    finally:
        await runner.cleanup()
