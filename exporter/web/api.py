"""`/api/v1/…`: devices, their outages, and availability. The corrected truth, not the monotone counters.

A page of devices costs one pass over their ids, in slices, so that webhooks are answered in between.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import heapq
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from exporter.gateways.reasons import UNKNOWN
from exporter.report.availability import KEYS
from exporter.web import answers, connections
from exporter.web.api_types import Availability, DevicesPage, DeviceState, Outages, OutageSpan
from exporter.web.openapi import Error
from exporter.web.operations import MOMENT, BadParameter, NotFound, Operation, Query, choice, moment, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from exporter.domain.accounts import Device
    from exporter.domain.timeline import Outage
    from exporter.web.ports import RecorderPort

    Account = Callable[[str, float, float], Coroutine[Any, Any, bytes]]
    """(by, start, end) → an `Availability` as JSON."""

SLICE: Final = 5000
"""Devices looked at between two turns of the loop."""
MOST: Final = 1000
USUAL: Final = 100
WINDOW: Final = 30 * 86400.0
LOOK: Final = 0.5
"""Seconds between two looks whether who waits for a long answer is still there."""


_START: Final = Query("start", MOMENT, "Begin of the window: Unix seconds or RFC 3339.")
_END: Final = Query("end", MOMENT, "End of the window, not part of it; by default now.")
_TEXT_FILTERS: Final = ("engine", "business_id", "channel_id")
_CURSOR: Final = "^([A-Za-z0-9_-]{4})*([A-Za-z0-9_-]{2,3})?$"
_PAGE_QUERY: Final = (
    Query("limit", {"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL}, "Devices on a page."),
    Query(
        "cursor",
        {"type": "string", "pattern": _CURSOR},
        "`next` of the page before.",
    ),
    Query("state", {"type": "string", "enum": ["up", "down"]}, "Only devices in this state."),
    *(Query(name, {"type": "string"}, f"Only devices with this {name}.") for name in _TEXT_FILTERS),
)
_BY_QUERY: Final = (
    Query("by", {"type": "string", "enum": list(KEYS), "default": "engine"}, "What makes a row."),
    _START,
    _END,
)


class Api:
    """The handlers."""

    def __init__(self, recorder: RecorderPort, account: Account, reason_of: Callable[[Device], str]) -> None:
        self._recorder = recorder
        self._account = account
        self._reason_of = reason_of

    def operations(self) -> list[Operation]:
        """Return the operations to register."""
        devices = "/api/v1/devices"
        device = f"{devices}/{{device_id}}"
        unknown = {404: Error}
        busy = {503: Error}
        return [
            Operation("GET", devices, self.devices, "List devices", {200: DevicesPage}, _PAGE_QUERY, tag="devices"),
            Operation("GET", device, self.device, "One device", {200: DeviceState, **unknown}, tag="devices"),
            Operation(
                "DELETE",
                device,
                self.forget,
                "Forget a device",
                {204: None, 403: Error, **unknown, **busy},
                tag="devices",
                description="Takes it out of the metrics. Its history and the fleet's totals stay.",
            ),
            Operation(
                "GET",
                f"{device}/outages",
                self.outages,
                "Outages of a device",
                {200: Outages, **unknown, **busy},
                (_START, _END),
                tag="devices",
            ),
            Operation(
                "GET",
                "/api/v1/availability",
                self.availability,
                "Availability by engine, business, channel, device or group",
                {200: Availability, **busy},
                _BY_QUERY,
                tag="reports",
            ),
        ]

    async def devices(self, request: web.Request) -> web.StreamResponse:
        """Answer one page of devices."""
        limit = whole(request, "limit", default=USUAL, least=1, most=MOST)
        after = _cursor(request.query.get("cursor"))
        state = choice(request, "state", ("up", "down"))
        wanted = {name: request.query[name] for name in _TEXT_FILTERS if name in request.query}
        found = await self._page(after, limit + 1, state, wanted)
        now, page = self._recorder.clock(), found[:limit]
        following = _cursor_of(page[-1].identity.device_id) if len(found) > limit else None
        return answers.json(DevicesPage([self._state_of(device, now) for device in page], following))

    async def _page(self, after: str, limit: int, state: str | None, wanted: dict[str, str]) -> list[Device]:
        fleet = self._recorder.fleet
        source = fleet.down if state == "down" else fleet.devices
        ids, best = list(source), list[str]()
        for begin in range(0, len(ids), SLICE):
            some = (
                device_id
                for device_id in ids[begin : begin + SLICE]
                if device_id > after and _matches(source.get(device_id), state, wanted)
            )
            best = heapq.nsmallest(limit, [*best, *some])
            await asyncio.sleep(0)
        return [fleet.devices[device_id] for device_id in best if device_id in fleet.devices]

    async def device(self, request: web.Request) -> web.StreamResponse:
        """Answer one device."""
        device = self._recorder.fleet.devices.get(request.match_info["device_id"])
        if device is None:
            raise NotFound("no such device")
        return answers.json(self._state_of(device, self._recorder.clock()))

    async def forget(self, request: web.Request) -> web.StreamResponse:
        """Forget one device."""
        if not await self._recorder.forget(request.match_info["device_id"]):
            raise NotFound("no such device")
        return web.Response(status=204)

    async def outages(self, request: web.Request) -> web.StreamResponse:
        """Answer a device's outages that overlap the window."""
        now = self._recorder.clock()
        start, end = moment(request, "start", 0.0), moment(request, "end", float("inf"))
        if start >= end:
            raise BadParameter("start must be before end")
        device_id = request.match_info["device_id"]
        found = await self._recorder.history(device_id)
        if found is None:
            raise NotFound("no such device")
        spans = [_span(outage, now, found.reasons) for outage in found.outages if _overlaps(outage, start, end)]
        return answers.json(Outages(device_id, spans))

    async def availability(self, request: web.Request) -> web.StreamResponse:
        """Answer the availability of a window, by default the last 30 days."""
        now = self._recorder.clock()
        by = choice(request, "by", tuple(KEYS), "engine") or "engine"
        end = min(now, moment(request, "end", now))
        start = moment(request, "start", max(0.0, end - WINDOW))
        if start >= end:
            raise BadParameter("start must be before end, and not in the future")
        return answers.encoded(await _while_there(request, self._account(by, start, end)))

    def _state_of(self, device: Device, now: float) -> DeviceState:
        identity, timeline = device.identity, device.timeline
        return DeviceState(
            device_id=identity.device_id,
            device_name=identity.device_name,
            engine=identity.engine,
            gateway=identity.gateway,
            channel_id=identity.channel_id,
            channel_name=identity.channel_name,
            business_id=identity.business_id,
            business_name=identity.business_name,
            state="up" if timeline.up else "down",
            reason=None if timeline.up else self._reason_of(device),
            since=timeline.since,
            first_seen=timeline.first_seen,
            disconnects=timeline.outages,
            downtime_seconds=timeline.downtime(now),
        )


def _matches(device: Device | None, state: str | None, wanted: dict[str, str]) -> bool:
    if device is None or (state == "up" and not device.timeline.up):
        return False
    identity = device.identity
    return all(getattr(identity, name) == value for name, value in wanted.items())


async def _while_there(request: web.Request, work: Coroutine[Any, Any, bytes]) -> bytes:
    """Return what `work` returns; cancel it and raise ConnectionResetError where the client goes away meanwhile.

    A client that closes its side counts as gone, as for Go's net/http and nginx: nobody could tell the two apart before
    the answer is written. aiohttp could cancel handlers itself, but only all of them, and one that changes something
    must come to its end.
    """
    task = asyncio.create_task(work)
    try:
        while not task.done():
            if _has_left(request):
                raise ConnectionResetError("the client went away")
            await asyncio.wait((task,), timeout=LOOK)
        return await task
    finally:
        task.cancel()


def _has_left(request: web.Request) -> bool:
    connection = connections.of(request)
    if connection is not None and connection.half_closed:
        connection.abort("")
    return connection is None or connection.half_closed


def _overlaps(outage: Outage, start: float, end: float) -> bool:
    # An outage without length overlaps where it lies.
    return outage.start < end and (outage.end is None or outage.end > start or outage.start >= start)


def _span(outage: Outage, now: float, reasons: dict[int, str]) -> OutageSpan:
    until = now if outage.end is None else outage.end
    lasted = max(0.0, until - outage.start)
    return OutageSpan(outage.start, outage.end, lasted, reasons.get(outage.start, UNKNOWN))


def _cursor_of(device_id: str) -> str:
    return base64.urlsafe_b64encode(device_id.encode()).decode().rstrip("=")


def _cursor(text: str | None) -> str:
    if not text:
        return ""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise BadParameter("cursor is not one that a page gave as `next`") from None
