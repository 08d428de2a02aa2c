"""How simulated time passes: history at once, the rest at a speed that is a multiple of real time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from exporter.simulate.payloads import Payload
    from exporter.simulate.traffic import Sending


class Pace(msgspec.Struct, frozen=True):
    """Maps simulated Unix seconds to real ones.

    Up to `live_from` they are the same. From then on what takes `speed` seconds takes one: events are nearer to each
    other, and each carries the real time at which it happens, because a receiver refuses times ahead of its clock.
    """

    live_from: float
    speed: float = 1.0

    def real(self, simulated: float) -> float:
        """Return the real time of a simulated one."""
        if simulated <= self.live_from:
            return simulated
        return self.live_from + (simulated - self.live_from) / self.speed

    def simulated(self, real: float) -> float:
        """Return the simulated time of a real one."""
        if real <= self.live_from:
            return real
        return self.live_from + (real - self.live_from) * self.speed

    def payload(self, sending: Sending) -> Payload:
        """Return the body with its time made real."""
        if self.speed == 1.0:
            return sending.payload
        return sending.payload | {"timestamp": int(self.real(sending.payload["timestamp"]))}
