"""A fleet on explicit times with its alerts, and an Alertmanager that does as it is told: for the tests of alerting."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web

from exporter.alerting.fleet_alerts import FleetAlerts
from exporter.domain.fleet import Change, Fleet
from exporter.domain.identity import BUILT_IN_GATEWAY, Identity
from exporter.domain.policy import Policies, Policy
from exporter.domain.timeline import Kind, fold

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from exporter.alerting.alert import Alert
    from exporter.alerting.taken import Taken

NOW = 1_790_000_000

POLICIES = Policies(
    {
        "default": Policy(alert_after=900.0),
        "wa": Policy(alert_after=0.0, severity="critical", escalate_after=0.0),
        "telegram": Policy(alert_after=300.0, severity="critical", escalate_after=1800.0),
        "slack": Policy(alert_after=900.0, severity="warning"),
    }
)


def identity(
    device_id: str = "d1",
    *,
    engine: str = "wa",
    name: str = "Front desk",
    business: str = "b1",
    gateway: str = BUILT_IN_GATEWAY,
) -> Identity:
    return Identity(
        *(device_id, name, engine, "c1", "WhatsApp Business", business, "Toko Makmur", "m1", "Ibu Sari"), gateway
    )


class Story:
    """Tells the alerts what happens, second by second after NOW, and keeps what it wants posted."""

    def __init__(self, policies: Policies = POLICIES, **given: Callable[..., Any]) -> None:
        self.fleet = Fleet()
        self.policies = policies
        self._given = given
        self.alerts = FleetAlerts(self.fleet, lambda: self.policies, **given)
        self.events: dict[str, list[tuple[int, Kind]]] = {}

    def down(self, at: float, device_id: str = "d1", *, event_at: float | None = None, **given: str) -> list[str]:
        return self.event(at, Kind.DISCONNECTED, device_id, event_at, **given)

    def up(self, at: float, device_id: str = "d1", *, event_at: float | None = None, **given: str) -> list[str]:
        return self.event(at, Kind.CONNECTED, device_id, event_at, **given)

    def event(
        self, at: float, kind: Kind, device_id: str = "d1", event_at: float | None = None, **given: str
    ) -> list[str]:
        """Let an event arrive at `at`; return what is to be posted then."""
        self.change(at, kind, device_id, event_at, **given)
        return self.at(at)

    def change(self, at: float, kind: Kind, device_id: str = "d1", event_at: float | None = None, **given: str) -> None:
        events = self.events.setdefault(device_id, [])
        known = self.fleet.devices.get(device_id)
        before = known.timeline if known else None
        events.append((int(NOW + (at if event_at is None else event_at)), kind))
        after = fold(events)
        assert after is not None
        given.setdefault("engine", known.identity.engine if known else "wa")
        given.setdefault("business", known.identity.business_id if known else f"b-{device_id}")
        given.setdefault("gateway", known.identity.gateway if known else BUILT_IN_GATEWAY)
        former = known.identity if known else None
        device = self.fleet.put(identity(device_id, **given), after.newest, after, received_at=NOW + at, exposed_at=0.0)
        self.alerts.change(Change(device, before, after, NOW + at, True, former), NOW + at)

    def planned(
        self, at: float, device_id: str = "d1", *, end: bool = False, event_at: float | None = None
    ) -> list[str]:
        """Let a planned window begin or end."""
        return self.event(at, Kind.PLANNED_END if end else Kind.PLANNED, device_id, event_at)

    def forget(self, at: float, device_id: str = "d1") -> list[str]:
        device = self.fleet.devices[device_id]
        before = device.timeline
        self.fleet.forget(device, received_at=NOW + at, exposed_at=0.0)
        self.alerts.change(Change(device, before, None, NOW + at, True), NOW + at)
        return self.at(at)

    def fleet_of(self, count: int, engine: str = "wa", **given: str) -> list[str]:
        """Let so many devices connect long before the story, each of its own business unless `business` is given."""
        of = given.get("gateway", "") + given.get("business", "")
        ids = [f"{of}{engine}{number}" for number in range(count)]
        for device_id in ids:
            self.change(-10_000, Kind.CONNECTED, device_id, engine=engine, **given)
        return ids

    def at(self, at: float) -> list[str]:
        """Return what is due then as texts such as "DeviceDown d1" or "-DeviceDown d1" for its end."""
        return [told(alert) for alert in self.alerts.advance(NOW + at)]

    def tidy(self, at: float) -> list[str]:
        self.alerts.tidy(NOW + at)
        return self.at(at)

    def firing(self) -> list[str]:
        return sorted(told(alert) for alert in self.alerts.firing.values())

    def standing(self) -> list[str]:
        return sorted(told(alert) for alert in self.alerts.standing())

    def alert(self, name: str = "DeviceDown", subject: str = "d1") -> Alert:
        return self.alerts.firing[name, subject]

    def ended(self, name: str = "DeviceDown", subject: str = "d1") -> Alert:
        [alert] = [alert for alert in self.alerts.ended.all() if alert.key == (name, subject)]
        return alert

    def restart(
        self, at: float, *, resolved_within: float = 3600.0, taken: tuple[Iterable[Taken], Iterable[Taken]] = ((), ())
    ) -> list[str]:
        """Begin again with the fleet, the disconnects in the journal, and who has what and had it for too long."""
        self.alerts = FleetAlerts(self.fleet, lambda: self.policies, **self._given)
        disconnects = sorted(
            (timestamp, device_id)
            for device_id, events in self.events.items()
            for timestamp, kind in events
            if kind is Kind.DISCONNECTED and NOW + at - 5400 <= timestamp
        )
        self.alerts.taken.load(*taken, NOW + at)
        self.alerts.load(NOW + at, [(device_id, time) for time, device_id in disconnects], resolved_within)
        return self.at(at)


def told(alert: Alert) -> str:
    return f"{'' if alert.ends_at is None else '-'}{alert.name} {alert.key[1]}"


@dataclass
class FakeAlertmanager:
    """Keeps what is posted. `answers` are the next statuses, then 200; it refuses batches with a `refused` device."""

    url: str = ""
    posts: list[list[dict[str, Any]]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    standing: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0
    ask_status: int = 200
    refused: str = ""
    headers: list[dict[str, str]] = field(default_factory=list)
    silences: dict[str, dict[str, Any]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    """What came, in order: alerts as `told` names them, `silence` and `-silence`."""
    away: bool = False
    runs: int = 1
    """How often it has started."""
    clock: Callable[[], float] = time.time

    def lose_everything(self) -> None:
        """Start again with nothing of what it knew."""
        self.runs += 1
        self.silences.clear()
        self.log.append("lost")

    async def status(self, _request: web.Request) -> web.Response:
        if self.away:
            return web.Response(status=503)
        return web.json_response({"uptime": f"run {self.runs}", "config": {"original": "receivers: []"}})

    async def list_silences(self, _request: web.Request) -> web.Response:
        if self.away:
            return web.Response(status=503)
        return web.json_response([{**one, "status": {"state": "active"}} for one in self.silences.values()])

    async def silence(self, request: web.Request) -> web.Response:
        if self.away:
            return web.Response(status=503)
        body = await request.json()
        number = body.pop("id", None)
        if number is not None and number not in self.silences:
            return web.Response(status=404)
        number = number or f"s{len(self.log)}"
        self.silences[number] = {**body, "id": number}
        self.log.append("silence")
        return web.json_response({"silenceID": number})

    async def end_silence(self, request: web.Request) -> web.Response:
        if self.away:
            return web.Response(status=503)
        self.log.append("-silence")
        found = self.silences.pop(request.match_info["id"], None)
        return web.Response(status=200 if found is not None else 404)

    async def post(self, request: web.Request) -> web.Response:
        status = 503 if self.away else self.answers.pop(0) if self.answers else 200
        if status != 200:
            return web.Response(status=status)
        body = await request.json()
        self.headers.append(dict(request.headers))
        if any(alert["labels"].get("device_id") == self.refused for alert in body if self.refused):
            return web.Response(status=400)
        self.posts.append(body)
        for alert in body:
            ended = datetime.fromisoformat(alert["endsAt"]).timestamp() <= self.clock()
            labels = alert["labels"]
            self.log.append(f"{'-' if ended else ''}{labels['alertname']} {labels.get('device_id', '')}".strip())
        return web.Response()

    async def ask(self, _request: web.Request) -> web.Response:
        self.asked += 1
        return web.json_response(self.standing, status=self.ask_status)

    def told(self) -> list[str]:
        """Return what was taken, in order, as "DeviceDown d1"."""
        labels = [alert["labels"] for post in self.posts for alert in post]
        return [f"{one['alertname']} {one.get('device_id', '')}".strip() for one in labels]

    @asynccontextmanager
    async def running(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[FakeAlertmanager]:
        app = web.Application(client_max_size=2**24)
        app.router.add_post("/api/v2/alerts", self.post)
        app.router.add_get("/api/v2/alerts", self.ask)
        app.router.add_get("/api/v2/status", self.status)
        app.router.add_get("/api/v2/silences", self.list_silences)
        app.router.add_post("/api/v2/silences", self.silence)
        app.router.add_delete("/api/v2/silence/{id}", self.end_silence)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, host, port)
        await site.start()
        self.url = f"http://{host}:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()
