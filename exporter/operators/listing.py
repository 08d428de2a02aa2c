"""Finds the devices of one page: those that are down first, the longest first, then by name.

A page costs one pass over the fleet, in slices, so that webhooks are answered in between. Where it goes on is told by
the place of its last device, so that devices that come or go in the meantime neither hide nor double others.
"""

from __future__ import annotations

import asyncio
import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.domain.accounts import Device
    from exporter.domain.fleet import Fleet

State = Literal["up", "down", "planned"]
STATES: Final[tuple[State, ...]] = ("down", "planned", "up")
SLICE: Final = 2000
"""Devices looked at between two turns of the loop."""
MOST_CHOICES: Final = 500

Place = tuple[int, int, str, str]
"""Rank, since when it is down, name, id: places sort as the devices are shown."""


class Wanted(msgspec.Struct, frozen=True):
    """Which devices; empty texts let all through. `search` is looked for in names and ids."""

    state: str = ""
    engine: str = ""
    business_id: str = ""
    gateway: str = ""
    search: str = ""

    def lets_through(self, device: Device) -> bool:
        """Return whether a device is wanted."""
        who = device.identity
        return (
            (not self.state or state_of(device) == self.state)
            and (not self.engine or who.engine == self.engine)
            and (not self.business_id or who.business_id == self.business_id)
            and (not self.gateway or who.gateway == self.gateway)
            and (not self.search or _has(device, self.search.casefold()))
        )


@dataclass
class Found:
    """One page of devices, and what the filters offer."""

    devices: list[Device]
    total: int
    """How many the filters let through."""
    engines: list[str]
    gateways: list[str]
    businesses: list[tuple[str, str]]
    """(id, name), by name; the first ones where there are very many."""


def state_of(device: Device) -> State:
    """Return the state of a device; down inside a planned window is planned."""
    if device.timeline.up:
        return "up"
    return "planned" if device.timeline.in_window else "down"


def place_of(device: Device) -> Place:
    """Return the place of a device among all."""
    rank = STATES.index(state_of(device))
    since = 0 if device.timeline.up else device.timeline.since
    name = device.identity.device_name or device.identity.device_id
    return rank, since, name.casefold(), device.identity.device_id


async def find(fleet: Fleet, wanted: Wanted, limit: int, after: Place | None = None) -> Found:
    """Return the first `limit` devices that are wanted, those behind the place `after`."""
    best: list[tuple[Place, Device]] = []
    total, engines, gateways, businesses = 0, set[str](), set[str](), dict[str, str]()
    devices = list(fleet.devices.values())
    for begin in range(0, len(devices), SLICE):
        some = devices[begin : begin + SLICE]
        for device in some:
            who = device.identity
            engines.add(who.engine)
            gateways.add(who.gateway)
            businesses[who.business_id] = who.business_name or businesses.get(who.business_id, "")
        fitting = [device for device in some if wanted.lets_through(device)]
        total += len(fitting)
        best = _first(limit, best, fitting, after)
        await asyncio.sleep(0)
    return Found([device for _, device in best], total, sorted(engines), sorted(gateways), _named(businesses, wanted))


def _first(
    limit: int, best: list[tuple[Place, Device]], more: Iterable[Device], after: Place | None
) -> list[tuple[Place, Device]]:
    placed = ((place_of(device), device) for device in more)
    behind = (one for one in placed if after is None or one[0] > after)
    return heapq.nsmallest(limit, [*best, *behind], key=lambda one: one[0])


def _named(businesses: dict[str, str], wanted: Wanted) -> list[tuple[str, str]]:
    named = sorted(businesses.items(), key=lambda one: (one[1] or one[0]).casefold())
    shown = [one for one in named if one[0]][:MOST_CHOICES]
    chosen = wanted.business_id
    if chosen and all(id_ != chosen for id_, _ in shown):
        shown.append((chosen, businesses.get(chosen, "")))
    return shown


def _has(device: Device, text: str) -> bool:
    who = device.identity
    return any(
        text in part.casefold() for part in (who.device_name, who.device_id, who.business_name, who.channel_name)
    )
