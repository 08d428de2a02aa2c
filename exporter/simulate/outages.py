"""When simulated devices go down and come back, with day and night in western Indonesia (WIB, UTC+7).

Pure: everything follows from the seed, the device and the start. Times are Unix seconds. Mass outages depend on
the seed and the calendar day alone, so that a second run over the same days has the same ones.
"""

from __future__ import annotations

import heapq
import math
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from exporter.simulate.chance import dice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from random import Random

    from exporter.simulate.fleet import SimulatedDevice

Span = tuple[float, float]
"""(start, end) of an outage"""

DAY = 86_400
WIB = 7 * 3_600
BUSY_HOURS = (
    *(0.4, 0.4, 1.3, 1.5, 0.7, 0.5),  # providers do their maintenance between two and four at night
    *(0.7, 1.0, 1.3, 1.6, 1.6, 1.5),
    *(1.2, 1.5, 1.6, 1.5, 1.4, 1.2),
    *(1.0, 1.1, 1.1, 0.9, 0.7, 0.5),
)
"""How likely an outage is in each hour of the day, about 1 on average."""
NIGHT_HOURS = frozenset({22, 23, 0, 1, 2, 3, 4, 5})
"""When nobody is there to mend a device."""


class MassOutage(msgspec.Struct, frozen=True):
    """An engine's provider fails: a fraction of its devices goes down within `onset` seconds."""

    engine: str
    start: float
    duration: float
    fraction: float
    onset: float


def hour_of(at: float) -> int:
    """Return the hour of the day in WIB."""
    return int((at + WIB) % DAY) // 3_600


@lru_cache(maxsize=4096)
def mass_outages(engine: str, day: int, *, per_month: float, seed: int) -> tuple[MassOutage, ...]:
    """Return an engine's mass outages of a day, counted in days since the epoch: none or one."""
    rng = dice(seed, "mass", engine, day)
    if rng.random() >= per_month / 30:
        return ()
    start = day * DAY + rng.uniform(0, DAY)
    duration = min(4 * 3_600.0, rng.lognormvariate(math.log(1_500), 0.7))
    return (MassOutage(engine, start, duration, rng.uniform(0.45, 0.95), rng.uniform(20, 120)),)


def device_outages(
    device: SimulatedDevice,
    *,
    seed: int,
    start: float,
    severity: float,
    mass_per_month: float,
    incidents: Sequence[MassOutage] = (),
) -> Iterator[Span]:
    """Yield a device's outages from `start` on, in order and apart, without end.

    `severity` multiplies how often it fails by itself; `incidents` come on top of the mass outages of the seed. One
    that runs already at the start is kept, so the first outage may begin before it.
    """
    own = _own(device, dice(seed, device.identity.device_id), start, severity)
    mass = _mass(device, seed, start, mass_per_month)
    given = [span for incident in incidents for span in _share_in(device, incident, seed) if span[1] > start]
    return _apart(heapq.merge(own, mass, sorted(given)))


def _own(device: SimulatedDevice, rng: Random, start: float, severity: float) -> Iterator[Span]:
    peak = max(BUSY_HOURS)
    rate = device.outages_per_day * severity * peak / DAY
    at = start
    while rate > 0:
        at += rng.expovariate(rate)
        if rng.random() * peak > BUSY_HOURS[hour_of(at)]:
            continue
        if rng.random() < device.temper.flapping:
            for span in _burst(rng, at):
                yield span
                at = span[1]
        else:
            yield at, at + _duration(device, rng, at)


def _burst(rng: Random, at: float) -> Iterator[Span]:
    for _ in range(rng.randint(4, 10)):
        length = rng.uniform(2, 40)
        yield at, at + length
        at += length + rng.uniform(10, 150)


def _duration(device: SimulatedDevice, rng: Random, at: float) -> float:
    """Return how long: a blip, a short one that ends by itself, or one that somebody has to mend."""
    kind = rng.random()
    if kind < device.temper.long:
        night = 3.0 if hour_of(at) in NIGHT_HOURS else 1.0
        return min(3.0 * DAY, rng.lognormvariate(math.log(2_100), 0.8) * device.temper.slow * night)
    if kind < 0.5:
        return min(3_600.0, rng.lognormvariate(math.log(200), 0.7))
    return rng.uniform(1, 50)


def _mass(device: SimulatedDevice, seed: int, start: float, per_month: float) -> Iterator[Span]:
    day = int(start // DAY)
    while per_month > 0:
        for outage in mass_outages(device.identity.engine, day, per_month=per_month, seed=seed):
            if outage.start >= start:
                yield from _share_in(device, outage, seed)
        day += 1


def _share_in(device: SimulatedDevice, outage: MassOutage, seed: int) -> Iterable[Span]:
    """Return the device's part in a mass outage, if it has one; devices come back one after the other."""
    rng = dice(seed, device.identity.device_id, outage.start)
    if device.identity.engine != outage.engine or rng.random() >= outage.fraction:
        return []
    down = outage.start + rng.uniform(0, outage.onset)
    back = outage.start + outage.duration + rng.expovariate(1 / 90)
    return [(down, max(back, down + 1))]


def _apart(spans: Iterable[Span]) -> Iterator[Span]:
    """Yield spans in order with at least a second between them, joining those that meet."""
    current: Span | None = None
    for start, end in spans:
        if current is None:
            current = (start, end)
        elif start <= current[1] + 1:
            current = (current[0], max(current[1], end))
        else:
            yield current
            current = (start, end)
    if current is not None:
        yield current
