"""Which devices a simulated fleet has, and how each of them tends to fail. Pure: the same seed, the same fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from exporter.domain.identity import Identity
from exporter.simulate.chance import dice
from exporter.simulate.names import BUSINESSES, CITIES, DESKS, ENGINES, ROLES

if TYPE_CHECKING:
    from random import Random


class Temper(msgspec.Struct, frozen=True):
    """How a kind of device fails."""

    share: float
    """Of the fleet, as a weight."""
    outages_per_day: float
    long: float
    """Share of its outages that somebody has to mend."""
    flapping: float
    """Chance that an outage comes as a burst of short ones."""
    slow: float
    """Factor on the time until somebody mends it."""


TEMPERS = {
    "steady": Temper(share=30, outages_per_day=0.03, long=0.1, flapping=0.0, slow=1.0),
    "ordinary": Temper(share=52, outages_per_day=0.25, long=0.15, flapping=0.03, slow=1.0),
    "shaky": Temper(share=13, outages_per_day=0.9, long=0.12, flapping=0.12, slow=1.0),
    "flapping": Temper(share=3, outages_per_day=1.5, long=0.05, flapping=0.45, slow=1.0),
    "neglected": Temper(share=2, outages_per_day=0.12, long=0.7, flapping=0.0, slow=12.0),
}

ENGINE_FACTOR = {"wa": 1.2, "telegram": 0.8, "slack": 0.4, "intercom": 0.4}
"""How often an engine's devices fail, compared with the average: a WhatsApp device is a telephone on a desk."""


class SimulatedDevice(msgspec.Struct, frozen=True):
    """One device of the fleet."""

    identity: Identity
    temper: Temper
    outages_per_day: float


def make_fleet(devices: int, seed: int) -> list[SimulatedDevice]:
    """Return a fleet: large and small businesses, channels with one to three devices each."""
    rng = dice(seed, "fleet")
    businesses = BUSINESSES[: max(2, min(len(BUSINESSES), devices // 8))]
    sizes = [1 / (rank + 1.5) for rank in range(len(businesses))]
    engines = list(ENGINES)
    shares = [share for _, share in ENGINES.values()]
    tempers = list(TEMPERS.values())
    fleet: list[SimulatedDevice] = []
    channels = 0
    while len(fleet) < devices:
        channels += 1
        business = rng.choices(range(len(businesses)), sizes)[0]
        engine = engines[channels % len(engines)] if channels <= len(engines) else rng.choices(engines, shares)[0]
        channel = _channel(rng, channels, engine, business, businesses[business])
        for _ in range(min(rng.choices((1, 2, 3), (60, 28, 12))[0], devices - len(fleet))):
            temper = rng.choices(tempers, [kind.share for kind in tempers])[0]
            identity = _device(rng, channel, len(fleet) + 1)
            fleet.append(SimulatedDevice(identity, temper, temper.outages_per_day * ENGINE_FACTOR.get(engine, 1.0)))
    return fleet


def _channel(rng: Random, number: int, engine: str, business: int, business_name: str) -> Identity:
    """Return an identity without device: the channel's part of it."""
    role = rng.randrange(len(ROLES))
    return Identity(
        device_id="",
        device_name="",
        engine=engine,
        channel_id=f"channel_{number}",
        channel_name=f"{ENGINES[engine][0]} {rng.choice(CITIES)}",
        business_id=f"biz_{business + 1}",
        business_name=business_name,
        user_id=f"merchant_{business * len(ROLES) + role + 1}",
        user_name=ROLES[role],
    )


def _device(rng: Random, channel: Identity, number: int) -> Identity:
    name = f"{channel.channel_name} - {rng.choice(DESKS)} {number}"
    return msgspec.structs.replace(channel, device_id=f"device_{number:04d}", device_name=name)
