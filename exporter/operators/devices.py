"""`/devices`: all devices, those that are down first, with filters and a search; as a CSV file, too."""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from exporter.lib.pace import Pace
from exporter.lib.safe_text import csv_line
from exporter.lib.times import rfc3339
from exporter.operators.listing import STATES, Place, Wanted, find, place_of, state_of
from exporter.web.operations import BadParameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.domain.accounts import Device
    from exporter.look.rendering import Renderer
    from exporter.operators.sources import Sources

ON_A_PAGE: Final = 50
RENEW: Final = 60
"""Seconds."""
LONGEST_SEARCH: Final = 200
IN_A_FILE: Final = 100_000
_FIELDS: Final = {
    "state": "state",
    "engine": "engine",
    "business_id": "business_id",
    "gateway": "gateway",
    "q": "search",
}
_COLUMNS: Final = ("device_id", "device_name", "business_id", "business_name", "engine", "gateway")


class Devices:
    """The pages."""

    def __init__(self, sources: Sources, renderer: Renderer) -> None:
        self._sources = sources
        self._renderer = renderer
        self._turn = asyncio.Lock()
        """One file is written at a time, in stretches between which webhooks are served."""

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Answer one page."""
        given = {name: request.query[name] for name in _FIELDS if request.query.get(name)}
        after = _place(request.query.get("cursor", ""))
        wanted = _wanted(given)
        found = await find(self._sources.recorder.fleet, wanted, ON_A_PAGE + 1, after)
        shown = found.devices[:ON_A_PAGE]
        following = {**given, "cursor": _cursor(place_of(shown[-1]))} if len(found.devices) > ON_A_PAGE else None
        language = self._renderer.words(request).language
        return self._renderer.page(
            request,
            "devices.html",
            section="devices",
            renew=RENEW,
            now=self._sources.recorder.clock(),
            found=found,
            lines=[(device, state_of(device), self._sources.why(device, language)) for device in shown],
            wanted=wanted,
            states=STATES,
            filtered=bool(given),
            first_url=f"devices?{urlencode(given)}" if after is not None else None,
            next_url=f"devices?{urlencode(following)}" if following else None,
            file_url=f"devices.csv?{urlencode(given)}" if given else "devices.csv",
        )

    async def file(self, request: web.Request) -> web.StreamResponse:
        """Answer all devices that the filters let through as a CSV file."""
        wanted = _wanted({name: request.query[name] for name in _FIELDS if request.query.get(name)})
        found = await find(self._sources.recorder.fleet, wanted, IN_A_FILE)
        async with self._turn:
            text = await self._text(found.devices)
        headers = {"Content-Disposition": 'attachment; filename="devices.csv"', "Cache-Control": "no-store"}
        return web.Response(text=text, content_type="text/csv", charset="utf-8", headers=headers)

    async def _text(self, devices: Sequence[Device]) -> str:
        lines, pace = [csv_line([*_COLUMNS, "state", "since", "reason"])], Pace(turn=self._sources.recorder.give_way)
        pace.start()
        for device in devices:
            lines.append(self._row(device))
            if pace.spent():
                await pace.rest()
        return "".join(lines)

    def _row(self, device: Device) -> str:
        who = [getattr(device.identity, name) for name in _COLUMNS]
        reason = self._sources.why(device, "en").reason
        return csv_line([*who, state_of(device), rfc3339(device.timeline.since), reason])


def _wanted(given: dict[str, str]) -> Wanted:
    if given.get("state", STATES[0]) not in STATES:
        raise BadParameter(f"state: {', '.join(STATES)}")
    if len(given.get("q", "")) > LONGEST_SEARCH:
        raise BadParameter(f"q: {LONGEST_SEARCH}")
    return Wanted(**{_FIELDS[name]: value.strip() for name, value in given.items()})


def _cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def _place(text: str) -> Place | None:
    if not text:
        return None
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        place: Place = msgspec.json.decode(raw, type=Place)
    except (binascii.Error, ValueError):
        raise BadParameter("cursor") from None
    return place
