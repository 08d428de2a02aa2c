"""`/`: what is down, then the fleet, then where to go from here."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from exporter import __version__
from exporter.errors import JournalUnavailable
from exporter.incidents.view import View
from exporter.operators.listing import place_of, state_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiohttp import web

    from exporter.domain.accounts import Device, Group
    from exporter.lib.words import Language
    from exporter.look.rendering import Renderer
    from exporter.operators.sources import Sources, Why

MOST: Final = 30
"""Devices that are listed; the others are one link away."""
RENEW: Final = 30
"""Seconds."""
_LINKS: Final = (
    ("link_availability", "api/v1/availability?by=engine"),
    ("link_api", "api/v1/openapi.json"),
    ("link_metrics", "metrics"),
    ("link_health", "-/healthy"),
    ("link_ready", "-/ready"),
)


@dataclass(frozen=True)
class Line:
    """One device that is down."""

    device: Device
    state: str
    why: Why
    holder: str
    incident: int | None


class Sums(msgspec.Struct):
    """The devices of one engine."""

    engine: str
    devices: int = 0
    down: int = 0
    planned: int = 0
    """Inside a planned window, connected or not."""

    def add(self, group: Group) -> None:
        """Count a group in."""
        self.devices += group.up + group.down
        self.down += group.down - group.paused_down
        self.planned += group.paused


class Overview:
    """The page."""

    def __init__(self, sources: Sources, renderer: Renderer) -> None:
        self._sources = sources
        self._renderer = renderer

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Answer the page."""
        recorder, words = self._sources.recorder, self._renderer.words(request)
        fleet = recorder.fleet
        first = heapq.nsmallest(MOST, fleet.down.values(), key=place_of)
        numbers = await self._numbers([device.identity.device_id for device in first])
        sums = _by_engine(fleet.groups.values())
        return self._renderer.page(
            request,
            "overview.html",
            section="overview",
            renew=RENEW,
            now=recorder.clock(),
            version=__version__,
            trouble="" if recorder.healthy else "trouble_unhealthy",
            down=sum(one.down for one in sums),
            planned=len(fleet.planned),
            devices=len(fleet.devices),
            lines=[self._line(device, words.language, numbers) for device in first],
            more=len(fleet.down) - len(first),
            sums=sums,
            links=_LINKS,
        )

    def _line(self, device: Device, language: Language, numbers: dict[str, int]) -> Line:
        device_id = device.identity.device_id
        why = self._sources.why(device, language)
        return Line(device, state_of(device), why, self._sources.holder(device_id), numbers.get(device_id))

    async def _numbers(self, device_ids: list[str]) -> dict[str, int]:
        if not device_ids:
            return {}
        try:
            return await self._sources.recorder.read(lambda reader: View(reader).open_numbers(device_ids))
        except JournalUnavailable:
            return {}  # what is down is known all the same


def _by_engine(groups: Iterable[Group]) -> list[Sums]:
    found: dict[str, Sums] = {}
    for group in groups:
        found.setdefault(group.engine, Sums(group.engine)).add(group)
    return sorted((one for one in found.values() if one.devices), key=lambda one: (-one.down, -one.devices, one.engine))
