"""A gateway with its state API, as the gateways' own sources and documents describe it; tests move its sessions."""

from __future__ import annotations

import base64
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

KEY = "kunci-gateway"
WORDS = {
    "evolution": {"up": "open", "hard": "close", "soft": "connecting"},
    "waha": {"up": "WORKING", "hard": "SCAN_QR_CODE", "soft": "STARTING"},
    "fonnte": {"up": "connect", "hard": "disconnect"},
    "gowa": {"up": "logged_in", "hard": "disconnected", "soft": "connecting"},
    "green-api": {"up": "authorized", "hard": "notAuthorized", "soft": "starting"},
    "z-api": {"up": True, "hard": False},
    "wppconnect": {"up": "CONNECTED", "hard": "CLOSED", "soft": "INITIALIZING"},
}


class FakeGateway:
    """`sessions` are its sessions by name, with `up`, `hard` or `soft`."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.sessions: dict[str, str] = {}
        self.down_at: dict[str, str] = {}
        """When a session of Evolution went down, as its database writes it."""
        self.messages: dict[str, int] = {}
        """How many messages went through a session, where the gateway tells something of them."""
        self.webhooks: dict[str, str] = {}
        self.status = 200
        self.answer: bytes | None = None
        """What it answers whatever it is asked."""
        self.requests: list[str] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer as the gateway does."""
        self.requests.append(request.path_qs)
        if self.status != 200:
            return web.Response(status=self.status, headers={"Location": "/elsewhere"})
        if self.answer is not None:
            return web.Response(body=self.answer)
        made: Callable[[web.Request], Any] = getattr(self, f"_{self.kind.replace('-', '_')}")
        found = made(request)
        if isinstance(found, web.Response):
            return found
        return web.json_response(found) if found is not None else web.Response(status=404)

    def word(self, session: str) -> Any:
        return WORDS[self.kind][self.sessions[session]]

    def _evolution(self, request: web.Request) -> Any:
        if request.path == "/metrics":
            states = ("open", "connecting", "close")
            lines = [
                f'evolution_instance_state{{instance="{name}",integration="WHATSAPP-BAILEYS",state="{state}"}} '
                f"{int(state == self.word(name))}"
                for name in self.sessions
                for state in states
            ]
            return web.Response(text="# TYPE evolution_instance_state gauge\n" + "\n".join(lines) + "\n")
        if request.headers.get("apikey") != KEY:
            return web.Response(status=401)
        if request.path.startswith("/webhook/find/"):
            url = self.webhooks.get(request.path.rsplit("/", 1)[1])
            return web.Response(text="null") if url is None else {"enabled": True, "url": url}
        if request.path != "/instance/fetchInstances":
            return None
        return [
            {
                "id": f"id-{name}",
                "name": name,
                "connectionStatus": self.word(name),
                "profileName": None,
                "token": "CANARY-TOKEN",
                "disconnectionReasonCode": 401 if state == "hard" else None,
                "disconnectionAt": self.down_at.get(name),
                "_count": {"Message": self.messages.get(name, 12)},
            }
            for name, state in self.sessions.items()
        ]

    def _waha(self, request: web.Request) -> Any:
        if request.headers.get("X-Api-Key") != KEY:
            return web.Response(status=401)
        if request.path.startswith("/api/sessions/"):
            name = request.path.rsplit("/", 1)[1]
            return {
                "name": name,
                "config": {"webhooks": [{"url": self.webhooks[name]}] if name in self.webhooks else []},
            }
        if request.path_qs != "/api/sessions?all=true":
            return None
        return [
            {
                "name": name,
                "status": self.word(name),
                "me": None,
                "engine": "NOWEB",
                "timestamps": {"activity": self.messages.get(name)},
            }
            for name in self.sessions
        ]

    def _fonnte(self, request: web.Request) -> Any:
        if request.method != "POST" or request.path != "/get-devices":
            return None
        if request.headers.get("Authorization") != KEY:
            return {"status": False, "reason": "invalid token"}
        data = [
            {"device": name, "name": f"Toko {name}", "status": self.word(name), "token": "CANARY-TOKEN"}
            for name in self.sessions
        ]
        return {"status": True, "connected": 1, "devices": len(data), "data": data}

    def _gowa(self, request: web.Request) -> Any:
        if request.headers.get("Authorization") != f"Basic {base64.b64encode(KEY.encode()).decode()}":
            return web.Response(status=401)
        if request.path != "/devices":
            return None
        results = [{"id": name, "display_name": "", "state": self.word(name), "jid": ""} for name in self.sessions]
        return {"code": "SUCCESS", "message": "ok", "status": 200, "results": results}

    def _green_api(self, request: web.Request) -> Any:
        name = request.path.split("/")[1].removeprefix("waInstance")
        if request.path != f"/waInstance{name}/getStateInstance/{KEY}" or name not in self.sessions:
            return web.Response(status=401)
        return {"stateInstance": self.word(name)}

    def _z_api(self, request: web.Request) -> Any:
        name = request.path.split("/")[2]
        if request.path != f"/instances/{name}/token/{KEY}/status" or name not in self.sessions:
            return web.Response(status=400)
        return {"connected": self.word(name), "error": "", "smartphoneConnected": True}

    def _wppconnect(self, request: web.Request) -> Any:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.Response(status=401)
        return {"status": self.word(request.path.split("/")[2]), "qrcode": "CANARY-QR"}


@asynccontextmanager
async def serving(gateway: FakeGateway) -> AsyncIterator[str]:
    """Serve on loopback; gives the base URL."""
    runner = web.ServerRunner(web.Server(gateway.handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert runner.addresses
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
