"""
Scrape of a large fleet against prometheus_client.generate_latest + gzip of the same families.

    python -m bench.bench_exposition [--devices 100000] [--quick]

Prints times, ratios, the longest stretch without a turn of the event loop, and memory, then how both grow with the
fleet. Times are this process' own processor time: both sides do nothing but compute, one after the other, and other
programs must not count.
"""

from __future__ import annotations

import asyncio
import gc
import gzip
import random
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest

from bench.reference import FleetCollector
from bench.rows import Row, at_least, at_most, number, parser, report
from exporter.domain.fleet import Fleet
from exporter.domain.identity import Identity
from exporter.domain.timeline import Timeline, advance
from exporter.lib.pace import Pace
from exporter.metrics.exposition import Exposition
from exporter.metrics.exposition.table import ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTES = {
    "3": "processor time of one thread, not wall time; 1 % of the devices down, 0.1 % changed between two scrapes",
    "6c": "memory of the fleet and of its exposition, without the interpreter",
}
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
        for index in range(devices):
            up = self.random.random() >= down
            since = START + self.random.randrange(86_000)
            timeline = Timeline(START, since, up, since, self.random.randrange(1, 20), self.random.randrange(9000))
            self.put(self.identity(index, devices), timeline)

    def identity(self, index: int, devices: int) -> Identity:
        business = index % max(1, devices // 30)
        return Identity(
            device_id=f"device_{self.random.getrandbits(48):012x}",
            device_name=f"Front desk {index}",
            engine=ENGINES[business % len(ENGINES)],
            channel_id=f"channel_{index}",
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


def reference(world: World) -> tuple[float, float]:
    """Return seconds of generate_latest alone, and with gzip."""
    registry = CollectorRegistry()
    registry.register(FleetCollector(world.fleet, world.now))
    gc.collect()
    started = time.process_time()
    text = generate_latest(registry)
    plain = time.process_time() - started
    gzip.compress(text)
    return plain, time.process_time() - started


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


class Figures(NamedTuple):
    """What was measured of one fleet: seconds of processor time, MiB."""

    first: float
    steady: float
    plain: float
    longest: float
    memory: float
    reference: float
    """generate_latest and gzip."""
    reference_plain: float


async def measure(devices: int, chunk: int, rounds: int, *, against: bool) -> Figures:
    empty = rss()
    world = World(devices, 0.01)
    gc.collect()
    gc.freeze()  # as the server does: collections then do not walk the fleet
    built = rss()
    gc.disable()
    watch = Watch()
    exposition = Exposition(world.fleet, CollectorRegistry(), chunk_size=chunk, pace=watch)
    first, size = await scrape(exposition, watch, world.now)
    gc.freeze()
    gc.enable()
    first_longest, watch.longest = watch.longest, 0.0
    gzipped = await steady(world, exposition, watch, rounds)
    after = rss()
    plain = await steady(world, exposition, watch, max(3, rounds // 4), compress=False)
    size_text = f"{devices:,} devices, {len(world.fleet.groups):,} groups, gzip body {size / 1e6:.1f} MB"
    memory = f"fleet {built - empty:.0f} MiB, exposition {after - built:.0f} MiB"
    print(f"    {size_text}: first scrape {first * 1e3:.0f} ms; {memory}", flush=True)
    slow_plain, slow = reference(world) if against else (0.0, 0.0)
    return Figures(first, gzipped, plain, max(first_longest, watch.longest), after - empty, slow, slow_plain)


async def mass_outage(devices: int, chunk: int) -> Row:
    """Every device goes down at once: the worst scrape."""
    world = World(devices, 0.0)
    watch = Watch()
    exposition = Exposition(world.fleet, CollectorRegistry(), chunk_size=chunk, pace=watch)
    await scrape(exposition, watch, world.now)
    world.flip(2.0)
    watch.longest = 0.0
    first = (await scrape(exposition, watch, world.now))[0]
    world.now += 15
    following = (await scrape(exposition, watch, world.now))[0]
    longest = f"longest stretch {watch.longest * 1e3:.1f} ms"
    note = f"each further one, while all are down, takes {following * 1e3:.0f} ms; {longest}"
    return Row("3d", f"scrape after all {devices:,} devices went down", f"{first * 1e3:.0f} ms", note=note)


def compared(devices: int, found: Figures) -> Iterator[Row]:
    for key, what, ours, other, bound in (
        ("3", "steady scrape, gzip", found.steady, found.reference, 100),
        ("3b", "first scrape, gzip", found.first, found.reference, 5),
        ("3c", "steady scrape, plain", found.plain, found.reference_plain, 20),
    ):
        theirs = f"generate_latest: {number(other * 1e3)} ms"
        fields = at_least(other / ours, bound, " x")
        yield Row(
            key, f"{what}, {devices:,} devices", f"{number(ours * 1e3)} ms", theirs, note=NOTES.get(key, ""), **fields
        )
    longest = found.longest * 1e3
    yield Row("4b", "longest stretch of a scrape", f"{number(longest)} ms", **at_most(longest, 10, " ms"))


def growth(sizes: dict[int, Figures]) -> Iterator[Row]:
    for letter, (devices, found) in zip("cde", sizes.items(), strict=True):
        ours = f"{number(found.steady * 1e3)} ms, {found.memory:.0f} MiB"
        each = f"{number(found.steady / devices * 1e9)} ns and {number(found.memory * 1024 / devices)} KiB a device"
        what = f"steady scrape and memory, {devices:,} devices"
        yield Row(f"6{letter}", what, ours, figure=each, note=NOTES.get(f"6{letter}", ""))


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--devices", type=int, default=100_000)
    arguments.add_argument("--chunk", type=int, default=ROWS)
    arguments.add_argument("--rounds", type=int, default=20)
    chosen = arguments.parse_args()
    devices, rounds = (1000, 4) if chosen.quick else (chosen.devices, chosen.rounds)
    sizes: dict[int, Figures] = {}
    for size in (devices // 10, devices, devices * 10):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:  # its memory is its own
            sizes[size] = pool.submit(alone, size, chosen.chunk, rounds, against=size == devices).result()
    outage = asyncio.run(mass_outage(devices, chosen.chunk))
    report([*compared(devices, sizes[devices]), outage, *growth(sizes)], chosen.rows)


def alone(devices: int, chunk: int, rounds: int, *, against: bool) -> Figures:
    return asyncio.run(measure(devices, chunk, rounds, against=against))


if __name__ == "__main__":
    main()
