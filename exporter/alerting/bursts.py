"""What tells a mass outage and a flapping device from single outages. Pure: times are arguments, Unix seconds."""

from __future__ import annotations

from bisect import insort
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exporter.conventions import ALERT_DEVICE_DOWN

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.alerting.alert import Alert
    from exporter.domain.fleet import Fleet
    from exporter.domain.timeline import Timeline

MASS_SHARE: Final = 0.3
MASS_DEVICES: Final = 5
MASS_CALM: Final = 60.0
"""How long a mass outage must be over before it ends, so that its last devices do not speak one by one."""
FLAPS: Final = 5
FLAP_WINDOW: Final = 1800.0
FREE_DEVICES: Final = 5
"""Devices of one engine that alert at once; when more go down within BURST seconds, the next ones wait."""
BURST: Final = 2.0
HOLD: Final = 0.7
"""They wait until nobody joined them for so long, or a mass outage shows,"""
LONGEST_HOLD: Final = 10.0
"""but no longer than this."""


@dataclass(slots=True)
class _Count:
    """Devices of one engine. `planned` are inside a planned window, `excused` went down inside of it."""

    devices: int = 0
    down: int = 0
    planned: int = 0
    planned_down: int = 0
    excused: int = 0

    def add(self, timeline: Timeline | None, sign: int) -> None:
        if timeline is None:
            return
        down = sign * (not timeline.up)
        self.devices += sign
        self.down += down
        if timeline.planned is not None and timeline.planned.since is not None:
            self.planned += sign
            self.planned_down += down
            self.excused += down * (timeline.planned.waited < 0)


class EngineCounts:
    """Devices and devices down by engine, followed change by change.

    Planned windows hide what goes down inside of them. What was down before goes on being part of a mass outage of all
    devices, but not of one among the few that are outside.
    """

    def __init__(self) -> None:
        self._counts: dict[str, _Count] = {}

    def recount(self, fleet: Fleet) -> None:
        """Start from the fleet's own sums; corrects what devices that moved to another engine did to the counts."""
        counts: dict[str, _Count] = {}
        for group in fleet.groups.values():
            count = counts.setdefault(group.engine, _Count())
            count.devices += group.up + group.down
            count.down += group.down
            count.planned += group.paused
            count.planned_down += group.paused_down
            count.excused += group.paused_down - group.paused_while_down
        self._counts = counts

    def change(self, engine: str, before: Timeline | None, after: Timeline | None) -> None:
        """Count a change of a device."""
        count = self._counts.setdefault(engine, _Count())
        count.add(before, -1)
        count.add(after, 1)

    def of(self, engine: str) -> tuple[int, int]:
        """Return (devices, devices down) that a mass outage is judged by."""
        count = self._counts.get(engine, _Count())
        outside = count.devices - count.planned, count.down - count.planned_down
        return outside if _is_mass(*outside) else (count.devices, count.down - count.excused)

    def engines(self) -> list[str]:
        """Return every engine that has devices, or had some at the last recount."""
        return list(self._counts)

    def is_mass_outage(self, engine: str) -> bool:
        """Whether at least 30 % of the engine's devices, and at least 5, are down."""
        return _is_mass(*self.of(engine))


def _is_mass(devices: int, down: int) -> bool:
    return down >= MASS_DEVICES and down >= MASS_SHARE * devices


class Flaps:
    """The last disconnects of each device that had some."""

    def __init__(self) -> None:
        self._times: dict[str, list[float]] = {}

    def add(self, device_id: str, at: float) -> bool:
        """Note a disconnect (event time, in any order); return whether there were more than 5 within 30 minutes."""
        times = self._times.setdefault(device_id, [])
        insort(times, at)
        del times[: -(FLAPS + 1)]
        return len(times) > FLAPS and times[-1] - times[0] <= FLAP_WINDOW

    def quiet_at(self, device_id: str) -> float:
        """Return the time at which the device has been, or will have been, quiet for 30 minutes."""
        times = self._times.get(device_id)
        return times[-1] + FLAP_WINDOW if times else 0.0

    def forget(self, device_id: str) -> None:
        """Drop a device."""
        self._times.pop(device_id, None)

    def drop_quiet(self, now: float) -> None:
        """Drop the devices that have been quiet."""
        for device_id in [known for known, times in self._times.items() if times[-1] + FLAP_WINDOW <= now]:
            del self._times[device_id]


@dataclass(slots=True)
class _Held:
    alerts: list[Alert]
    since: float
    newest: float

    @property
    def until(self) -> float:
        return min(self.newest + HOLD, self.since + LONGEST_HOLD)


class Bursts:
    """Lets the first devices of an engine alert at once and holds the next ones until it shows what it is."""

    def __init__(self) -> None:
        self._times: dict[str, deque[float]] = {}
        self._held: dict[str, _Held] = {}

    def admit(self, engine: str, alert: Alert, now: float) -> bool:
        """Return whether the alert may be posted now; otherwise it is kept for `release`."""
        held = self._held.get(engine)
        if held is not None:
            held.alerts.append(alert)
            held.newest = now
            return False
        if alert.name != ALERT_DEVICE_DOWN or self._is_free(engine, now):
            return True
        self._held[engine] = _Held([alert], now, now)
        return False

    def release(self, now: float, is_mass_outage: Callable[[str], bool]) -> list[Alert]:
        """Return what need not wait any longer; what was over before it was posted never will be."""
        ready = [engine for engine, held in self._held.items() if held.until <= now or is_mass_outage(engine)]
        return [alert for engine in ready for alert in self._held.pop(engine).alerts if alert.ends_at is None]

    def next_release(self) -> float | None:
        """Return when `release` has something next."""
        return min((held.until for held in self._held.values()), default=None)

    def held(self) -> set[Alert]:
        """Return what waits."""
        return {alert for held in self._held.values() for alert in held.alerts}

    def tidy(self, now: float) -> None:
        """Drop engines where nothing happened lately."""
        self._times = {engine: times for engine, times in self._times.items() if times[-1] + BURST > now}

    def _is_free(self, engine: str, now: float) -> bool:
        times = self._times.setdefault(engine, deque(maxlen=FREE_DEVICES))
        if len(times) == FREE_DEVICES and now - times[0] < BURST:
            return False
        times.append(now)
        return True
