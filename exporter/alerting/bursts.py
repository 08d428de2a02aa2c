"""What tells a mass outage and a flapping device from single outages. Pure: times are arguments, Unix seconds."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from exporter.fleet import Fleet

MASS_SHARE: Final = 0.3
MASS_DEVICES: Final = 5
MASS_CALM: Final = 60.0
"""How long a mass outage must be over before it ends, so that its last devices do not speak one by one."""
FLAPS: Final = 5
FLAP_WINDOW: Final = 1800.0
FREE_POSTS: Final = 5
"""Alerts of one engine that go out at once; the next ones within PACE wait up to HOLD for a mass outage to show."""
PACE: Final = 2.0
HOLD: Final = 0.7


class EngineCounts:
    """Devices and devices down by engine, followed change by change."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}

    def recount(self, fleet: Fleet) -> None:
        """Start from the fleet's own sums; corrects what renames did to the counts."""
        counts: dict[str, list[int]] = {}
        for group in fleet.groups.values():
            count = counts.setdefault(group.engine, [0, 0])
            count[0] += group.up + group.down
            count[1] += group.down
        self._counts = counts

    def add(self, engine: str, devices: int, down: int) -> None:
        """Count a change."""
        count = self._counts.setdefault(engine, [0, 0])
        count[0] += devices
        count[1] += down

    def of(self, engine: str) -> tuple[int, int]:
        """Return (devices, devices down)."""
        devices, down = self._counts.get(engine, (0, 0))
        return devices, down

    def engines(self) -> list[str]:
        """Return every engine seen."""
        return list(self._counts)

    def is_mass_outage(self, engine: str) -> bool:
        """Whether at least 30 % of the engine's devices, and at least 5, are down."""
        devices, down = self.of(engine)
        return down >= MASS_DEVICES and down >= MASS_SHARE * devices


class Flaps:
    """The last disconnects of each device that had some."""

    def __init__(self) -> None:
        self._times: dict[str, deque[float]] = {}

    def add(self, device_id: str, at: float) -> bool:
        """Note a disconnect (event time); return whether the device has had more than 5 within 30 minutes."""
        times = self._times.setdefault(device_id, deque(maxlen=FLAPS + 1))
        times.append(at)
        return len(times) > FLAPS and times[-1] - times[0] <= FLAP_WINDOW

    def quiet_at(self, device_id: str) -> float:
        """Return the time at which the device has been quiet for 30 minutes."""
        times = self._times.get(device_id)
        return times[-1] + FLAP_WINDOW if times else 0.0

    def drop_quiet(self, now: float) -> None:
        """Forget devices that have been quiet."""
        for device_id in [known for known, times in self._times.items() if times[-1] + FLAP_WINDOW < now]:
            del self._times[device_id]


class Pace:
    """Lets the first posts of an engine go at once and holds the next ones for a moment."""

    def __init__(self) -> None:
        self._posted: dict[str, deque[float]] = {}

    def may_post(self, engine: str, now: float) -> bool:
        """Return whether a post may go now, and count it if so."""
        posted = self._posted.setdefault(engine, deque(maxlen=FREE_POSTS))
        if len(posted) == FREE_POSTS and now - posted[0] < PACE:
            return False
        posted.append(now)
        return True
