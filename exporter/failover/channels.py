"""Which channels are up, derived from the fleet.

A channel is up if any of its devices is up, and down when it has devices and all of them are down. A channel without
devices is unknown: it is neither down nor does it stand in for another one.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from exporter.domain.accounts import Device
    from exporter.domain.fleet import Change, Fleet


class Status(Enum):
    """What is known of a channel now."""

    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"


class Presence(NamedTuple):
    """A channel's status. `since` is an event time in Unix seconds, 0 for an unknown channel.

    An up channel is as stable as its most stable device: `since` is the time from which on one device has been up
    without a break. A down channel has been down since its last device went down.
    """

    status: Status
    since: int


class Channels:
    """The devices of the watched channels. Lives on the event loop, like the fleet."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._devices: dict[str, set[str]] = {}
        self._channel_of: dict[str, str] = {}

    def watch(self, channels: Iterable[str]) -> None:
        """Watch these channels from now on, and no others. Costs one pass over the fleet."""
        self._devices = {channel: set() for channel in channels}
        self._channel_of = {}
        if self._devices:
            for device in self._fleet.devices.values():
                self._place(device)

    def changed(self, change: Change) -> set[str]:
        """Take in a change; return the watched channels that it concerns. Cheap for devices of other channels."""
        if not self._devices:
            return set()
        device_id, channel = change.device.identity.device_id, change.device.identity.channel_id
        former = self._channel_of.get(device_id)
        if former is None and channel not in self._devices:
            return set()
        if former is not None and (former != channel or change.after is None):
            self._devices[former].discard(device_id)
            del self._channel_of[device_id]
        if change.after is not None:
            self._place(change.device)
        return {found for found in (former, channel) if found in self._devices}

    def devices(self, channel: str) -> list[Device]:
        """Return the devices of a watched channel; none of any other."""
        known = self._fleet.devices
        return [known[device_id] for device_id in self._devices.get(channel, ()) if device_id in known]

    def presence(self, channel: str) -> Presence:
        """Return whether a watched channel is up."""
        devices = self.devices(channel)
        if not devices:
            return Presence(Status.UNKNOWN, 0)
        up = [device.timeline.since for device in devices if device.timeline.up]
        if up:
            return Presence(Status.UP, min(up))
        return Presence(Status.DOWN, max(device.timeline.since for device in devices))

    def planned_until(
        self, channel: str, now: float, planned_until: Callable[[Device, float], float | None]
    ) -> float | None:
        """Return when the first planned window of a channel's devices ends; None unless all of them are in one."""
        ends = [planned_until(device, now) for device in self.devices(channel)]
        known = [end for end in ends if end is not None and end > now]
        return min(known) if known and len(known) == len(ends) else None

    def _place(self, device: Device) -> None:
        members = self._devices.get(device.identity.channel_id)
        if members is not None:
            members.add(device.identity.device_id)
            self._channel_of[device.identity.device_id] = device.identity.channel_id
