"""The exposition, held to prometheus_client's own output of the same fleet after every step of random histories."""

import asyncio
import gzip
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics_exposition
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from bench.reference import FleetCollector
from exporter.conventions import DEVICE_DOWN_SINCE, DEVICE_DOWNTIME, DEVICE_UP
from exporter.domain.fleet import Fleet
from exporter.domain.identity import Identity
from exporter.domain.timeline import Kind, fold
from exporter.lib.pace import Pace
from exporter.metrics.exposition import Exposition

START = 1_738_056_000
DEVICE_FAMILIES = 6

hostile = st.sampled_from(["", "a", 'quo"te', "back\\slash", "new\nline", "é ☕", "%s", "a}", 'a",b="c', "\\n"])
steps = st.one_of(
    st.tuples(st.just("event"), st.integers(0, 6), st.booleans(), st.integers(-300, 5), st.integers(0, 2), hostile),
    st.tuples(st.just("forget"), st.integers(0, 6)),
    st.tuples(st.just("wait"), st.integers(1, 2_000_000)),
    st.tuples(st.just("finish"), st.lists(st.integers(0, 100_000), max_size=3), st.integers(0, 2)),
)


class World:
    """A fleet fed as the recorder feeds it: any order of events, exposed at the latest scrape."""

    def __init__(self):
        self.fleet = Fleet()
        self.events = defaultdict(set)
        self.now_ms = (START + 1000) * 1000
        self.exposed_at = 0.0
        self.forgotten = set()

    @property
    def now(self):
        return self.now_ms / 1000

    def take(self, step):
        getattr(self, step[0])(*step[1:])

    def event(self, number, up, offset, business, name):
        timestamp = int(self.now) + offset
        device_id = f'device "{number}"'
        self.events[number].add((timestamp, Kind.CONNECTED if up else Kind.DISCONNECTED))
        timeline = fold(self.events[number])
        if timeline is None:
            return
        engine = "wa" if business else 'te"legram'
        identity = Identity(device_id, name, engine, f"channel_{name}", name, f"biz_{business}", name, "u", "")
        self.fleet.put(identity, timestamp, timeline, received_at=self.now, exposed_at=self.exposed_at)

    def forget(self, number):
        device = self.fleet.devices.get(f'device "{number}"')
        if device is not None:
            self.events[number].add((device.timeline.newest, Kind.FORGOTTEN))
            self.fleet.forget(device, received_at=self.now, exposed_at=self.exposed_at)
            self.forgotten.add(device.identity.device_id)

    def wait(self, milliseconds):
        self.now_ms += milliseconds

    def finish(self, durations, engine):
        self.fleet.group(f'en"gine {engine}', "biz")
        self.fleet.histograms[f'en"gine {engine}'].change(durations)

    def expected(self, *, openmetrics):
        registry = CollectorRegistry()
        registry.register(FleetCollector(self.fleet, self.now))
        return (openmetrics_exposition.generate_latest if openmetrics else generate_latest)(registry)


def families(body):
    """Return the header lines of a body in order, and under each its sample lines, sorted: their order is free."""
    found = []
    for line in body.decode().split("\n"):
        if line.startswith("#") or not found:
            found.append((line, []))
        else:
            found[-1][1].append(line)
    return [(header, sorted(lines)) for header, lines in found]


async def body(exposition, now, *, openmetrics=False, compress=False):
    parts = await exposition.render(now, openmetrics=openmetrics, gzip=compress)
    return gzip.decompress(b"".join(parts)) if compress else b"".join(parts)


@given(st.lists(steps, max_size=25), st.integers(1, 4))
def test_every_scrape_equals_prometheus_clients_of_the_same_fleet(history, chunk_size):
    async def run():
        world = World()
        exposition = Exposition(world.fleet, CollectorRegistry(), chunk_size=chunk_size)
        for step in history:
            world.take(step)
            for openmetrics in (False, True):
                plain = await body(exposition, world.now, openmetrics=openmetrics)
                gunzipped = await body(exposition, world.now, openmetrics=openmetrics, compress=True)
                world.exposed_at = world.now
                assert families(plain) == families(world.expected(openmetrics=openmetrics))
                assert gunzipped == plain
        list(parse_text((await body(exposition, world.now)).decode()))
        list(parse_openmetrics((await body(exposition, world.now, openmetrics=True)).decode()))

    asyncio.run(run())


@given(st.lists(steps, max_size=12), st.lists(st.lists(steps, max_size=2), max_size=40), st.integers(1, 4))
def test_changes_in_the_middle_of_a_scrape_never_duplicate_tear_or_lower_a_series(before, during, chunk_size):
    async def run():
        world = World()
        for step in before:
            world.take(step)
        waiting = iter(during)

        async def turn():
            for step in next(waiting, ()):
                world.exposed_at += 0.001  # as the recorder stamps each change while an exposition is rendered
                world.take(step)

        exposition = Exposition(world.fleet, CollectorRegistry(), chunk_size=chunk_size, pace=Pace(0.0, turn=turn))
        latest, forgotten = {}, set()
        for _ in range(4):
            world.wait(1000)
            world.exposed_at = world.now
            text = (await body(exposition, world.now, compress=True)).decode()
            world.exposed_at += 0.001
            check_whole(text)
            latest = check_monotone(text, latest, world.forgotten | forgotten)
            forgotten, world.forgotten = world.forgotten, set()  # this scrape may show it as it was before
        list(map(world.take, (step for steps_left in waiting for step in steps_left)))
        assert families(await body(exposition, world.now)) == families(world.expected(openmetrics=False))

    asyncio.run(run())


def check_whole(text):
    """Each series once; each device in all families, under one set of labels."""
    series, seen = Counter(), defaultdict(set)
    for metric in parse_text(text):
        for sample in metric.samples:
            series[sample.name, tuple(sorted(sample.labels.items()))] += 1
            if metric.name.startswith("device_"):
                labels = tuple(sample.labels[name] for name in ("device_id", "engine", "channel_id", "business_id"))
                seen[labels].add(sample.name)
    assert not [key for key, count in series.items() if count > 1]
    assert {len(names - {DEVICE_DOWN_SINCE}) for names in seen.values()} <= {DEVICE_FAMILIES}
    assert len({labels[0] for labels in seen}) == len(seen)


def check_monotone(text, latest, forgotten):
    """A counter never decreases from one scrape to the next, unless its device came back as a new one; return them."""
    found = {}
    for metric in parse_text(text):
        for sample in metric.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            if metric.type == "counter" and sample.labels.get("device_id") not in forgotten:
                assert sample.value >= latest.get(key, 0), key
            found[key] = sample.value
    return found


@given(st.integers(1, 40), st.data())
@settings(deadline=None, max_examples=30)
def test_a_scrape_cut_off_at_any_point_loses_no_change(turns, data):
    async def run():
        world = World()
        left = turns

        async def turn():
            nonlocal left
            left -= 1
            if not left:
                raise asyncio.CancelledError

        exposition = Exposition(world.fleet, CollectorRegistry(), chunk_size=2, pace=Pace(0.0, turn=turn))
        for step in data.draw(st.lists(steps, min_size=5, max_size=20)):
            world.take(step)
        try:
            await exposition.render(world.now, openmetrics=False, gzip=True)
        except asyncio.CancelledError:
            world.take(("event", 0, False, -1, 0, "a"))
        left = 0
        assert families(await body(exposition, world.now)) == families(world.expected(openmetrics=False))

    asyncio.run(run())


@pytest.mark.parametrize("name", [DEVICE_UP, DEVICE_DOWNTIME])
def test_the_oracle_of_whole_devices_sees_a_missing_line(name):
    world = World()
    world.take(("event", 1, True, 0, 0, "a"))
    text = world.expected(openmetrics=False).decode()
    check_whole(text)

    torn = "\n".join(line for line in text.split("\n") if not line.startswith(name + "{"))
    with pytest.raises(AssertionError):
        check_whole(torn)
