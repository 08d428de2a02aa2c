"""`/devices/{id}`: how one device is and was, and what can be done about it.

An id that is not known gets the same page as one that is not for the reader.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from aiohttp import web

from exporter.config.schema import Match
from exporter.lib.times import zone_of
from exporter.look.bars import bars
from exporter.look.rendering import base
from exporter.maintenance.windows import Window
from exporter.operators.figures import cells, row_of, spans
from exporter.operators.listing import state_of
from exporter.operators.reading import facts_of
from exporter.web.forms import Token, read_form
from exporter.web.operations import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.domain.accounts import Device
    from exporter.look.rendering import Renderer
    from exporter.maintenance.repeated import Span
    from exporter.operators.reading import Facts
    from exporter.operators.sources import Sources

RENEW: Final = 60
"""Seconds."""
BREAK: Final = 1800
"""Seconds of the maintenance that one button plans."""
_MOST_WINDOWS: Final = 10
_DONE: Final = ("planned", "ended")


class DevicePage:
    """The page, and what its buttons do. `author` names who pressed one."""

    def __init__(self, sources: Sources, renderer: Renderer, author: Callable[[web.Request], str]) -> None:
        self._sources = sources
        self._renderer = renderer
        self._author = author
        self._token = Token()

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Answer the page."""
        return await self._page(request)

    async def maintain(self, request: web.Request) -> web.StreamResponse:
        """Plan half an hour of maintenance, beginning now."""
        device, form = self._device(request), await read_form(request)
        if not self._token.is_in(form):
            return await self._page(request, refused="stale")
        now, zone = int(self._sources.recorder.clock()), self._sources.config().alerts.timezone
        match = Match(device_id=device.identity.device_id)
        comment = self._author(request)
        window = Window(match, zone, start_at=now, end_at=now + BREAK, comment=comment)
        await self._sources.maintenance.add(window)
        return _to(f"../{_path_of(device)}?done=planned")

    async def end_maintenance(self, request: web.Request) -> web.StreamResponse:
        """End the maintenance of this device alone that runs; that of more devices is ended where it was planned."""
        device, form = self._device(request), await read_form(request)
        if not self._token.is_in(form):
            return await self._page(request, refused="stale")
        for number in self._own_windows(device, self._sources.recorder.clock()):
            await self._sources.maintenance.end(number)
        return _to(f"../../{_path_of(device)}?done=ended")

    async def forget(self, request: web.Request) -> web.StreamResponse:
        """Take the device out of the monitoring."""
        device, form = self._device(request), await read_form(request)
        if not self._token.is_in(form):
            return await self._page(request, refused="stale")
        await self._sources.recorder.forget(device.identity.device_id)
        return _to("../../devices")

    async def _page(self, request: web.Request, refused: str = "") -> web.StreamResponse:
        device, now = self._device(request), self._sources.recorder.clock()
        device_id = device.identity.device_id
        facts = await self._sources.recorder.read(lambda reader: facts_of(reader, device_id, now))
        if facts is None:
            raise NotFound("no such device")
        config, words = self._sources.config(), self._renderer.words(request)
        zone, policy = zone_of(config.alerts.timezone), config.policies.for_engine(device.identity.engine)
        days = cells(facts.history, facts.blind, now, zone=zone, objective=policy.objective_ratio, words=words)
        running = next((line for line in facts.outages if line.outage.end is None), None)
        return self._renderer.page(
            request,
            "device.html",
            status=403 if refused else 200,
            section="devices",
            renew=None if refused else RENEW,
            here=None if request.method in ("GET", "HEAD") else f"{base(request)}devices/{_path_of(device)}",
            now=now,
            device=device,
            who=device.identity,
            timeline=device.timeline,
            state=state_of(device),
            why=self._sources.why(device, words.language),
            holder=self._sources.holder(device_id),
            ack_url=self._sources.ack_url(device_id),
            last_messages=self._sources.last_messages(device.identity.channel_id)[1:],
            incident=running.incident.number if running is not None and running.incident is not None else None,
            objective=policy.objective_ratio,
            figures=self._figures(facts, now),
            strip=bars(days, words.text("bars_label")),
            bad_days=[day.title for day in days[::-1] if day.down],
            outages=facts.outages,
            outage_count=len(facts.history.outages),
            planned=facts.planned,
            ahead=list(self._ahead(device, now)),
            path=_path_of(device),
            break_for=BREAK,
            ends_maintenance=bool(self._own_windows(device, now)),
            token=self._token.value,
            key=secrets.token_hex(8),
            message=refused or next((name for name in _DONE if name == request.query.get("done")), ""),
            refused=bool(refused),
        )

    def _figures(self, facts: Facts, now: float) -> list[tuple[str, object]]:
        config = self._sources.config()
        zone = zone_of(config.alerts.timezone)
        objective = config.policies.for_engine(facts.history.identity.engine).objective_ratio
        return [(name, row_of(facts.history, facts.blind, start, now, objective)) for name, start in spans(now, zone)]

    def _ahead(self, device: Device, now: float) -> Iterator[tuple[Span, str]]:
        """Yield the next time of each window that the device comes into, and what was said of it."""
        maintenance = self._sources.maintenance
        windows = [(key, window) for key, window in maintenance.listed() if window.holds(device.identity)]
        for key, window in windows[:_MOST_WINDOWS]:
            span = maintenance.schedule.span(key, now)
            if span is not None:
                yield span, window.comment

    def _own_windows(self, device: Device, now: float) -> list[int]:
        """Return the numbers of the running windows that somebody planned for this device alone."""
        match, maintenance = Match(device_id=device.identity.device_id), self._sources.maintenance
        keys = [key for key, window in maintenance.listed() if key.isdecimal() and window.match == match]
        spans = [(key, maintenance.schedule.span(key, now)) for key in keys]
        return [int(key) for key, span in spans if span is not None and span.start <= now]

    def _device(self, request: web.Request) -> Device:
        device = self._sources.recorder.fleet.devices.get(request.match_info["device_id"])
        if device is None:
            raise NotFound("no such device")
        return device


def _path_of(device: Device) -> str:
    return quote(device.identity.device_id, safe="")


def _to(location: str) -> web.Response:
    """Send the browser on, so that reloading does not send the form again."""
    return web.Response(status=303, headers={"Location": location, "Cache-Control": "no-store"})
