"""
Scrape of a large fleet against prometheus_client.generate_latest + gzip of the same families.

    python -m bench.bench_exposition [--devices 100000] [--growth] [--quick]

Prints times, ratios, the longest stretch without a turn of the event loop, and memory. Times are this process' own
processor time: both sides do nothing but compute, one after the other, and other programs must not count.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import gzip
import random
import statistics
import sys
import time
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from bench.reference import FleetCollector
from exporter.exposition import Exposition
from exporter.exposition.pace import Pace
from exporter.exposition.table import ROWS
from exporter.fleet import Fleet
from exporter.identity import Identity
from exporter.timeline import Timeline, advance

START = 1_738_056_000
ENGINES = ("wa", "wa", "wa", "telegram", "slack", "instagram")


class Watch(Pace):
    """A pace that remembers the longest stretch, in seconds of our own processor time: other programs do not count."""

    def __init__(self) -> None:
        super().__init__()
        self.longest = 0.0
        self.turns = 0
        self._since = 0.0

    def start(self) -> None:
        super().start()
        self._since = time.thread_time()

    async def rest(self) -> None:
        self.stop()
        self.turns += 1
        await super().rest()

    def stop(self) -> None:
        self.longest = max(self.longest, time.thread_time() - self._since)


class World:
    """A fleet with a share of its devices down, whose devices flip at random."""

    def __init__(self, devices: int, down: float) -> None:
        self.random = random.Random(1)
        self.now = float(START + 86_400)
        self.fleet = Fleet()
        for number in range(devices):
            up = self.random.random() >= down
            since = START + self.random.randrange(86_000)
            timeline = Timeline(START, since, up, since, self.random.randrange(1, 20), self.random.randrange(9000))
            self.put(self.identity(number, devices), timeline)

    def identity(self, number: int, devices: int) -> Identity:
        business = number % max(1, devices // 30)
        return Identity(
            device_id=f"device_{self.random.getrandbits(48):012x}",
            device_name=f"Front desk {number}",
            engine=ENGINES[business % len(ENGINES)],
            channel_id=f"channel_{number}",
            channel_name="WhatsApp Business",
            business_id=f"biz_{business}",
            business_name=f"Toko Makmur {business}",
            user_id=f"merchant_{business}",
            user_name="Ibu Sari",
        )

    def put(self, identity: Identity, timeline: Timeline) -> None:
        self.fleet.put(identity, timeline.newest, timeline, received_at=self.now, exposed_at=self.now)

    def flip(self, share: float) -> None:
        """Let a share of the devices change state: as many come back as go down."""
        self.now += 15
        devices, half = self.fleet.devices, max(1, int(len(self.fleet.devices) * share / 2))
        chosen = self.random.sample(list(self.fleet.down.values()), min(half, len(self.fleet.down)))
        chosen += [devices[key] for key in self.random.sample(list(devices), half)]
        for device in dict.fromkeys(chosen):
            self.put(device.identity, advance(device.timeline, int(self.now), up=not device.timeline.up))


async def scrape(exposition: Exposition, watch: Watch, now: float, *, compress: bool = True) -> tuple[float, int]:
    """Return seconds and bytes of one scrape, the body joined."""
    started = time.process_time()
    parts = await exposition.render(now, openmetrics=False, gzip=compress)
    watch.stop()
    size = len(b"".join(parts))
    return time.process_time() - started, size


def reference(world: World) -> tuple[float, float, int]:
    """Return seconds of generate_latest alone, with gzip, and the compressed size."""
    registry = CollectorRegistry()
    registry.register(FleetCollector(world.fleet, world.now))
    gc.collect()
    started = time.process_time()
    text = generate_latest(registry)
    plain = time.process_time() - started
    size = len(gzip.compress(text))
    return plain, time.process_time() - started, size


async def steady(world: World, exposition: Exposition, watch: Watch, rounds: int, *, compress: bool = True) -> float:
    """Return the median seconds of a scrape after 0.1 % of the devices changed."""
    times = []
    for _ in range(rounds):
        world.flip(0.001)
        times.append((await scrape(exposition, watch, world.now, compress=compress))[0])
    return statistics.median(times)


def rss() -> float:
    """Return the resident memory of this process in MiB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


async def measure(devices: int, chunk: int, rounds: int, *, against: bool) -> None:
    before = rss()
    world = World(devices, 0.01)
    gc.collect()
    gc.freeze()  # as the server does after its start: collections then do not walk the fleet
    built = rss()
    watch = Watch()
    exposition = Exposition(world.fleet, CollectorRegistry(), chunk_size=chunk, pace=watch)
    first, size = await scrape(exposition, watch, world.now)
    gc.freeze()
    first_longest, watch.longest = watch.longest, 0.0
    gzipped = await steady(world, exposition, watch, rounds)
    steady_longest, watch.longest = watch.longest, 0.0
    after = rss()
    plain = await steady(world, exposition, watch, max(3, rounds // 4), compress=False)
    print(f"{devices} devices, {len(world.fleet.groups)} groups, {chunk} lines a chunk, gzip body {size / 1e6:.1f} MB")
    print(f"  first scrape, gzip   {first * 1e3:9.1f} ms   longest stretch {first_longest * 1e3:.1f} ms")
    print(f"  steady state, gzip   {gzipped * 1e3:9.1f} ms   longest stretch {steady_longest * 1e3:.1f} ms")
    print(f"  steady state, plain  {plain * 1e3:9.1f} ms   longest stretch {watch.longest * 1e3:.1f} ms")
    print(f"  memory: fleet {built - before:.0f} MiB, exposition {after - built:.0f} MiB, process {after:.0f} MiB")
    if against:
        slow_plain, slow, slow_size = reference(world)
        print(
            f"  prometheus_client    {slow * 1e3:9.1f} ms   {slow_plain * 1e3:.1f} ms plain, {slow_size / 1e6:.1f} MB"
        )
        print(f"  ratio: first {slow / first:.1f} x, steady {slow / gzipped:.0f} x, plain {slow_plain / plain:.0f} x")


async def mass_outage(devices: int, chunk: int) -> None:
    """Every device goes down at once: the worst scrape."""
    world = World(devices, 0.0)
    watch = Watch()
    exposition = Exposition(world.fleet, CollectorRegistry(), chunk_size=chunk, pace=watch)
    await scrape(exposition, watch, world.now)
    world.flip(2.0)
    watch.longest = 0.0
    first = (await scrape(exposition, watch, world.now))[0]
    world.now += 15
    next_one = (await scrape(exposition, watch, world.now))[0]
    print(
        f"mass outage of {devices}: {first * 1e3:.0f} ms, each scrape while all are down {next_one * 1e3:.0f} ms, "
        f"longest stretch {watch.longest * 1e3:.1f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=100_000)
    parser.add_argument("--chunk", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--growth", action="store_true", help="also 10,000 and 1,000,000 devices")
    parser.add_argument("--no-reference", action="store_true")
    parser.add_argument("--quick", action="store_true", help="a smoke run of 2,000 devices")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.devices, arguments.rounds = 2000, 4
    print(f"Python {sys.version.split()[0]}")
    sizes = [10_000, arguments.devices, 1_000_000] if arguments.growth else [arguments.devices]
    for devices in sizes:
        against = not arguments.no_reference and devices <= arguments.devices
        asyncio.run(measure(devices, arguments.chunk, arguments.rounds, against=against))
        gc.unfreeze()
    asyncio.run(mass_outage(arguments.devices, arguments.chunk))


if __name__ == "__main__":
    main()
