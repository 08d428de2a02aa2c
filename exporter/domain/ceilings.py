"""How many devices, engines and groups there may be: a sender could make series without end otherwise. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from exporter.errors import InvalidEvent

if TYPE_CHECKING:
    from exporter.domain.fleet import Fleet
    from exporter.domain.identity import Identity


class Ceilings(msgspec.Struct, frozen=True):
    """What a Prometheus still takes with ease: a device has seven series, a group nine, an engine thirty."""

    max_devices: int = 200_000
    max_engines: int = 100
    max_groups: int = 20_000
    """Pairs of an engine and a business."""

    def check(self, fleet: Fleet, identity: Identity) -> None:
        """Raise InvalidEvent where an event would make one too many; what is there already goes on."""
        device = fleet.devices.get(identity.device_id)
        if device is None and len(fleet.devices) >= self.max_devices:
            raise _too_many("devices", self.max_devices, "device.id")
        if identity.engine not in fleet.histograms and len(fleet.histograms) >= self.max_engines:
            raise _too_many("engines", self.max_engines, "device.channel.engine")
        if (identity.engine, identity.business_id) not in fleet.groups and len(fleet.groups) >= self.max_groups:
            raise _too_many("groups", self.max_groups, "device.bisnis.id")


def _too_many(what: str, most: int, path: str) -> InvalidEvent:
    return InvalidEvent(f"too_many_{what}", f"is new, and there are {most} {what} already (fleet.max_{what})", path)
