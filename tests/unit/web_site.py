"""A whole site on loopback for the web tests: real listeners, real sockets, a fake recorder behind them."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from prometheus_client import CollectorRegistry

from exporter.domain.fleet import Fleet
from exporter.domain.identity import Identity
from exporter.domain.records import History
from exporter.domain.timeline import Outage, Timeline, advance
from exporter.errors import JournalUnavailable
from exporter.gateways.csku.gateway import Csku
from exporter.lib.address import Address
from exporter.lib.logs import RateLimited
from exporter.metrics.exposition import Exposition
from exporter.metrics.own import SelfMetrics
from exporter.web import answers
from exporter.web.admin import admin_app
from exporter.web.api_types import STATUS_PATH, AlertmanagerState, Availability, BlindSpan, Status
from exporter.web.instruments import WebInstruments
from exporter.web.limits import Limits
from exporter.web.listeners import Listener, Listeners, Listening
from exporter.web.operations import Operation
from exporter.web.public import WEBHOOK_PATH, Door, public_app
from tests.bodies import DEVICE_EVENT, MESSAGE_EVENT
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import web

    from exporter.gateways.events import DeviceEvent, MessageEvent

ANY_PORT = Address("127.0.0.1", 0)
SECRET = "Rahasia-42"
NOW = 1_738_060_000.0
EVENT, MESSAGE = DEVICE_EVENT, MESSAGE_EVENT


class FakeRecorder:
    """Answers as it is told and remembers what it was given."""

    def __init__(self) -> None:
        self.fleet = Fleet()
        self.ready = True
        self.healthy = True
        self.trouble = "the disk does not answer"
        self.outcome = "accepted"
        self.failure: Exception | None = None
        self.submitted: list[DeviceEvent] = []
        self.quarantined: list[tuple[str, str, bytes | None, str]] = []
        self.known_outages: dict[str, list[Outage]] = {}
        self.known_reasons: dict[int, str] = {}
        self.hold: asyncio.Event | None = None
        self.clock_is_behind = False

    def clock(self) -> float:
        return NOW

    async def submit(self, event: DeviceEvent) -> str:
        if self.hold is not None:
            await self.hold.wait()
        if self.failure is not None:
            raise self.failure
        self.submitted.append(event)
        return self.outcome

    def identity_of(self, device_id: str) -> Identity | None:
        device = self.fleet.devices.get(device_id)
        return None if device is None else device.identity

    async def forget(self, device_id: str) -> bool:
        if self.failure is not None:
            raise self.failure
        device = self.fleet.devices.get(device_id)
        if device is None:
            return False
        self.fleet.forget(device, received_at=NOW, exposed_at=0)
        return True

    async def quarantine(self, code: str, message: str, payload: bytes | None, digest: str) -> None:
        if isinstance(self.failure, JournalUnavailable):
            raise self.failure
        self.quarantined.append((code, message, payload, digest))

    @asynccontextmanager
    async def exposing(self) -> AsyncIterator[float]:
        yield NOW

    async def give_way(self) -> None:
        await asyncio.sleep(0)

    async def history(self, device_id: str) -> History | None:
        outages = self.known_outages.get(device_id)
        if outages is None:
            return None
        identity = Identity(device_id, "", "wa", "", "", "", "", "", "")
        return History(identity, outages, [], reasons=self.known_reasons)

    def put(self, device_id: str, *events: tuple[int, bool], engine: str = "wa", business: str = "biz_9") -> None:
        """Add a device with events (timestamp, up) in order."""
        timeline: Timeline | None = None
        for timestamp, up in events:
            timeline = advance(timeline, timestamp, up=up)
        assert timeline is not None
        identity = Identity(device_id, f"name of {device_id}", engine, f"channel_{engine}", "", business, "", "", "")
        self.fleet.put(identity, timeline.newest, timeline, received_at=NOW, exposed_at=0)


@dataclass
class Settings:
    secret: str = SECRET
    max_body: int = 64 * 1024
    max_future_skew: float = 300.0


@dataclass
class WebNames:
    listen_address: str = "127.0.0.1:9877"
    external_url: str | None = None
    allowed_hosts: tuple[str, ...] = ()


@dataclass
class Site:
    """What a test can reach."""

    recorder: FakeRecorder = field(default_factory=FakeRecorder)
    settings: Settings = field(default_factory=Settings)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    messages: list[tuple[MessageEvent, float]] = field(default_factory=list)
    doors: dict[str, Door] = field(default_factory=dict)
    public: Address = ANY_PORT
    admin: Address = ANY_PORT
    listeners: Listeners | None = None

    def counted(self, outcome: str, event: str = "other") -> float:
        value = self.registry.get_sample_value("device_exporter_events_total", {"event": event, "outcome": outcome})
        assert value is not None
        return value

    def closed(self, reason: str, listener: str = "public") -> float:
        labels = {"listener": listener, "reason": reason}
        value = self.registry.get_sample_value("device_exporter_connections_closed_total", labels)
        assert value is not None
        return value

    def all_counted(self) -> dict[tuple[str, str], float]:
        """Return every count of an event that is not 0."""
        samples = [sample for metric in self.registry.collect() for sample in metric.samples]
        return {
            (sample.labels["event"], sample.labels["outcome"]): sample.value
            for sample in samples
            if sample.name == "device_exporter_events_total" and sample.value
        }


@asynccontextmanager
async def running(
    *,
    limits: Limits | None = None,
    body_timeout: float = 10.0,
    admin: dict[str, Any] | None = None,
    drain: float = 2.0,
    doors: dict[str, Door] | None = None,
) -> AsyncIterator[Site]:
    """Start both listeners on loopback; `admin` are further arguments of `admin_app`, `doors` further gateways."""
    site = Site(doors=doors or {})
    every = {WEBHOOK_PATH: Door(Csku(), lambda: site.settings)} | site.doors
    event_types = frozenset().union(*(door.gateway.event_types for door in every.values()))
    instruments = WebInstruments(SelfMetrics(site.registry), event_types)
    warn = RateLimited(logging.getLogger("exporter.web"), per_minute=1000)
    public = public_app(
        site.recorder,
        every,
        instruments,
        warn,
        on_message=lambda event, now: site.messages.append((event, now)),
        body_timeout=body_timeout,
    )
    arguments: dict[str, Any] = {"reload": _nothing, "account": _no_rows, "settings": WebNames, **(admin or {})}
    app = admin_app(site.recorder, Exposition(site.recorder.fleet, site.registry), instruments, **arguments)
    bounds = limits or Limits()
    site.listeners = Listeners(
        [
            Listener(Listening("public", ANY_PORT, public, bounds), instruments, warn),
            Listener(Listening("admin", ANY_PORT, app, bounds, arguments.get("web_config")), instruments, warn),
        ],
        drain=drain,
    )
    site.public, site.admin = await site.listeners.start()
    try:
        yield site
    finally:
        await site.listeners.stop()


async def _nothing() -> None:
    """Reload nothing."""


async def _no_rows(by: str, start: float, end: float) -> bytes:
    return msgspec.json.encode(Availability(start, end, by, []))


@dataclass
class Answer:
    """A parsed HTTP answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The code of an error; checks its shape."""
        decoded = json.loads(self.body)
        assert sorted(decoded) == ["code", "error"], decoded
        assert self.headers["content-type"].startswith("application/json")
        return str(decoded["code"])


def post(
    body: bytes, *, secret: str | bytes | None = SECRET, content_type: str | None = "application/json", **headers: str
) -> bytes:
    """Return the bytes of a POST to /webhook; keywords are further headers, `_` written for `-`."""
    lines = [b"POST /webhook HTTP/1.1", b"Host: exporter"]
    if secret is not None:
        lines.append(b"Authorization: " + (secret.encode() if isinstance(secret, str) else secret))
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}".encode())
    headers.setdefault("Content_Length", str(len(body)))
    lines += [f"{name.replace('_', '-')}: {value}".encode() for name, value in headers.items() if value]
    return b"\r\n".join([*lines, b"", body])


async def read_answer(reader: asyncio.StreamReader, method: str = "POST") -> Answer:
    """Read one answer to a request of this method."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")[:-2]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(0 if method == "HEAD" else int(headers.get("content-length", "0")))
    return Answer(int(first.split(" ")[1]), headers, body)


@asynccontextmanager
async def connected(address: Address) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a connection for a test."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def exchange(address: Address, *pieces: bytes, method: str = "POST") -> Answer:
    """Send pieces and return the one answer."""
    async with connected(address) as (reader, writer):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return await asyncio.wait_for(read_answer(reader, method), patient(10))


def state(**other: Any) -> Operation:
    """Return the operation that tells the exporter's state."""
    usual: dict[str, Any] = {
        "version": "1.2.3",
        "ready": True,
        "timezone": "Asia/Jakarta",
        "language": "id",
        "devices": 3,
        "down": 1,
        "in_maintenance": 0,
        "last_event": NOW,
        "last_blind": BlindSpan(NOW - 7200, NOW - 7000),
        "direct_alerts": True,
        "alertmanagers": [AlertmanagerState("http://alertmanager:9093", NOW, failing=False)],
        "unknown_names": [],
        "targets": ["sms"],
    }

    async def handle(_: web.Request) -> web.StreamResponse:
        return answers.json(Status(**{**usual, **other}))

    return Operation("GET", STATUS_PATH, handle, "State", {200: Status})
