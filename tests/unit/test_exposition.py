"""Whole scrapes: golden bodies, gauges, the registry, slices, and what a change costs."""

import asyncio
import gzip
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from exporter.conventions import DEVICE_AFFECTED_CONVERSATIONS, DEVICE_ALERT_DELIVERED, DEVICE_MAINTENANCE, HELP
from exporter.domain.fleet import Fleet
from exporter.domain.identity import Identity
from exporter.domain.timeline import Kind, advance, fold
from exporter.lib.pace import Pace
from exporter.metrics.exposition import Exposition
from tests.tools import require

GOLDEN = Path(__file__).parent / "golden"
START = 1_738_056_000
NOW = START + 600.25


def identity(number, **changed):
    fields = {
        "device_id": f"device_{number}",
        "device_name": f"Front desk {number}",
        "engine": "wa" if number % 2 else "telegram",
        "channel_id": f"channel_{number}",
        "channel_name": "WhatsApp Business",
        "business_id": f"biz_{number % 3}",
        "business_name": "Toko Makmur",
        "user_id": "merchant_2",
        "user_name": "Ibu Sari",
    }
    return Identity(**(fields | changed))


def put(fleet, who, *changes, exposed_at=0.0):
    """Give a device its changes, (timestamp, up), in order."""
    known = fleet.devices.get(who.device_id)
    timeline = known.timeline if known else None
    for timestamp, up in changes:
        timeline = advance(timeline, timestamp, up=up)
    return fleet.put(who, timeline.newest, timeline, received_at=timeline.newest, exposed_at=exposed_at)


def small_fleet():
    fleet = Fleet()
    put(fleet, identity(1), (START, True), (START + 60, False), (START + 90, True))
    put(fleet, identity(2), (START + 10, False))
    put(fleet, identity(3, device_name='The "big" one\\\n', business_name="Kopi é"), (START + 20, True))
    return fleet


def big_fleet(devices):
    fleet = Fleet()
    for number in range(devices):
        put(fleet, identity(number), (START, True))
    return fleet


async def text_of(exposition, now=NOW, *, openmetrics=False):
    return b"".join(await exposition.render(now, openmetrics=openmetrics, gzip=False)).decode()


def lines_of(text, name):
    return [line for line in text.splitlines() if line.startswith(name + "{")]


@pytest.mark.parametrize("openmetrics", [False, True], ids=["text", "openmetrics"])
async def test_the_body_is_the_golden_one(openmetrics):
    registry = CollectorRegistry()
    Counter("device_exporter_things_total", "Things.", registry=registry).inc(3)
    whole, fleet = small_fleet(), Fleet()
    exposition = Exposition(fleet, registry)
    for device in whole.devices.values():  # one scrape each, because devices of one scrape come in any order
        fleet.put(device.identity, START, device.timeline, received_at=NOW, exposed_at=0.0)
        await text_of(exposition)
    fleet.histograms["wa"].change([30])

    text = await text_of(exposition, openmetrics=openmetrics)

    golden = GOLDEN / ("exposition.openmetrics" if openmetrics else "exposition.txt")
    without_time = "\n".join(line for line in text.split("\n") if "_created" not in line)
    assert without_time == golden.read_text()


async def test_whoever_knows_nothing_of_devices_shows_none_and_all_again_when_it_does():
    registry, silent = CollectorRegistry(), True
    Counter("device_exporter_things_total", "Things.", registry=registry)
    exposition = Exposition(small_fleet(), registry, silent=lambda: silent)
    text = await text_of(exposition)
    assert "device_exporter_things_total" in text
    assert "device_up" not in text
    assert "fleet_devices" not in text
    silent = False
    assert len(lines_of(await text_of(exposition), "device_up")) == 3


async def test_an_empty_fleet_has_headers_and_no_samples():
    text = await text_of(Exposition(Fleet(), CollectorRegistry()))

    assert all(line.startswith("#") for line in text.splitlines())
    assert "# TYPE device_up gauge" in text


@pytest.mark.parametrize("openmetrics", [False, True], ids=["text", "openmetrics"])
async def test_named_families_come_alone_and_a_family_by_the_name_of_its_sample_too(openmetrics):
    registry = CollectorRegistry()
    Counter("wanted", "A counter.", registry=registry)
    Counter("other", "Another.", registry=registry)
    names = {"device_up", "wanted_total"}

    parts = await Exposition(small_fleet(), registry).render(NOW, openmetrics=openmetrics, gzip=False, names=names)

    text = b"".join(parts).decode()
    families = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}
    assert families - {"wanted_created"} == names
    assert text.count("# EOF") == int(openmetrics)


@pytest.mark.parametrize("openmetrics", [False, True], ids=["text", "openmetrics"])
async def test_openmetrics_ends_once_and_text_not_at_all(openmetrics):
    registry = CollectorRegistry()
    Gauge("one", "One.", registry=registry)
    Gauge("two", "Two.", registry=registry)

    text = await text_of(Exposition(small_fleet(), registry), openmetrics=openmetrics)

    assert text.count("# EOF") == (1 if openmetrics else 0)
    assert text.endswith("# EOF\n") is openmetrics


@pytest.mark.binaries
async def test_promtool_finds_nothing_to_criticise():
    exposition = Exposition(small_fleet(), CollectorRegistry())
    exposition.add_device_gauge(DEVICE_MAINTENANCE, HELP[DEVICE_MAINTENANCE], lambda _now: [])
    body = b"".join(await exposition.render(NOW, openmetrics=False, gzip=False))

    checked = await asyncio.to_thread(
        subprocess.run, [require("promtool"), "check", "metrics"], input=body, capture_output=True, check=False
    )

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


async def test_downtime_runs_while_down_and_stands_while_up():
    fleet = Fleet()
    put(fleet, identity(1), (START, True), (START + 10, False))
    exposition = Exposition(fleet, CollectorRegistry())

    async def downtime(now):
        (line,) = lines_of(await text_of(exposition, now), "device_downtime_seconds_total")
        return float(line.split()[-1])

    assert await downtime(START + 10.5) == 0.5
    assert await downtime(START + 11.7504) == 1.75
    put(fleet, identity(1), (START + 12, True), exposed_at=START + 11.7504)
    assert await downtime(START + 100) == 2


async def test_downtime_never_falls_when_a_late_event_shortens_an_outage():
    fleet = Fleet()
    put(fleet, identity(1), (START, False))
    exposition = Exposition(fleet, CollectorRegistry())
    before = lines_of(await text_of(exposition, START + 50), "device_downtime_seconds_total")

    put(fleet, identity(1), (START + 5, True), exposed_at=START + 50)

    assert lines_of(await text_of(exposition, START + 60), "device_downtime_seconds_total") == before


@pytest.mark.parametrize("before", [1, 20], ids=["a short outage before", "a longer one"])
async def test_an_outage_in_the_future_takes_nothing_away(before):
    fleet = Fleet()
    put(fleet, identity(1), (START, False), (START + before, True), (START + 90, False))

    text = await text_of(Exposition(fleet, CollectorRegistry()), START + 50)

    assert lines_of(text, "device_downtime_seconds_total")[0].endswith(f" {before}.0")


async def test_a_late_event_that_only_lengthens_an_outage_shows_in_the_group():
    fleet = Fleet()
    put(fleet, identity(1), (START + 20, False), (START + 30, True))
    exposition = Exposition(fleet, CollectorRegistry())
    await text_of(exposition)

    timeline = fold([(START, Kind.DISCONNECTED), (START + 20, Kind.DISCONNECTED), (START + 30, Kind.CONNECTED)])
    fleet.put(identity(1), START + 30, timeline, received_at=NOW, exposed_at=0.0)

    assert lines_of(await text_of(exposition, NOW + 1), "fleet_downtime_seconds_total")[0].endswith(" 30.0")


async def test_a_change_makes_only_its_own_parts_anew():
    fleet = big_fleet(1000)
    exposition = Exposition(fleet, CollectorRegistry(), chunk_size=100)
    first = {id(part): part for part in await exposition.render(NOW, openmetrics=False, gzip=True)}
    put(fleet, identity(7), (START + 60, False))

    second = await exposition.render(NOW, openmetrics=False, gzip=True)

    of_devices = [part for part in second if gzip.decompress(part).startswith(b"device_")]
    anew = {gzip.decompress(part).split(b"{")[0] for part in of_devices if id(part) not in first}
    kept = sum(id(part) in first for part in of_devices)
    # device_first_seen and device_info of the device stand still; its downtime moves to the hot part
    assert anew == {
        b"device_up",
        b"device_disconnect_total",
        b"device_downtime_seconds_total",
        b"device_state_change_timestamp_seconds",
    }
    assert kept == 6 * 10 - 4


async def test_a_forgotten_device_leaves_and_its_place_is_used_again():
    fleet = big_fleet(4)
    exposition = Exposition(fleet, CollectorRegistry(), chunk_size=4)
    await text_of(exposition)
    places = {device.slot for device in fleet.devices.values()}
    fleet.forget(fleet.devices["device_2"], received_at=NOW, exposed_at=NOW)
    assert "device_2" not in await text_of(exposition)

    put(fleet, identity(9), (START + 700, False))
    text = await text_of(exposition, START + 800)

    assert len(lines_of(text, "device_up")) == 4
    assert {device.slot for device in fleet.devices.values()} == places


async def test_devices_forgotten_while_they_wait_for_the_snapshot_free_their_places_once():
    fleet = big_fleet(4)

    async def forget_all():
        for device in list(fleet.devices.values()):
            fleet.forget(device, received_at=NOW, exposed_at=0.0)

    pace = Pace(0.0)
    exposition = Exposition(fleet, CollectorRegistry(), chunk_size=4, pace=pace)
    await text_of(exposition)
    for number in range(4):
        put(fleet, identity(number), (START + 10, False))
    forgetting = asyncio.create_task(forget_all())
    await text_of(exposition)
    await forgetting
    await text_of(exposition)

    for number in range(6):
        put(fleet, identity(number), (START + 20, True))
    text = await text_of(exposition)

    assert len(set(lines_of(text, "device_up"))) == len(lines_of(text, "device_up")) == 6
    assert len({device.slot for device in fleet.devices.values()}) == 6


async def test_a_scrape_cut_off_at_its_first_device_leaves_the_others_to_the_next_scrape():
    fleet = big_fleet(5)

    async def cut_off():
        raise asyncio.CancelledError

    pace = Pace(0.0, turn=cut_off)
    exposition = Exposition(fleet, CollectorRegistry(), pace=pace)
    with pytest.raises(asyncio.CancelledError):
        await text_of(exposition)
    pace.spent = lambda: False
    put(fleet, identity(5), (START, True))

    assert len(lines_of(await text_of(exposition), "device_up")) == 6


async def test_a_moved_device_changes_its_labels_in_all_families_at_once():
    fleet = big_fleet(2)
    exposition = Exposition(fleet, CollectorRegistry())
    await text_of(exposition)

    put(fleet, identity(1, business_id="biz_new"), (START + 5, False))
    text = await text_of(exposition)

    lines = [line for line in text.splitlines() if 'device_id="device_1"' in line]
    assert len(lines) == 7  # the six of every device, and since when it is down
    assert all('business_id="biz_new"' in line for line in lines)


async def test_a_renamed_device_changes_its_info_only():
    fleet = big_fleet(1)
    exposition = Exposition(fleet, CollectorRegistry())
    before = await text_of(exposition)

    put(fleet, identity(0, device_name="Till"), (START + 5, True))

    after = await text_of(exposition)
    changed = set(after.splitlines()) ^ set(before.splitlines())
    assert {line.split("{")[0] for line in changed} == {"device_info"}
    assert 'device_name="Till"' in lines_of(after, "device_info")[0]


async def test_a_device_gauge_speaks_of_the_devices_that_it_yields():
    fleet = small_fleet()
    exposition = Exposition(fleet, CollectorRegistry())
    asked = []

    def delivered(now):
        asked.append(now)
        return [(device, True) for device in list(fleet.down.values())]

    exposition.add_device_gauge(DEVICE_ALERT_DELIVERED, HELP[DEVICE_ALERT_DELIVERED], delivered)
    exposition.add_device_gauge(DEVICE_AFFECTED_CONVERSATIONS, "Lines.", lambda _now: [])
    text = await text_of(exposition)

    assert lines_of(text, DEVICE_ALERT_DELIVERED) == [
        'device_alert_delivered{business_id="biz_2",channel_id="channel_2",device_id="device_2",engine="telegram"} 1.0'
    ]
    assert asked == [NOW]
    assert f"# TYPE {DEVICE_AFFECTED_CONVERSATIONS} gauge" in text


async def test_a_device_gauge_waits_for_a_device_that_came_in_mid_render():
    fleet = small_fleet()
    exposition = Exposition(fleet, CollectorRegistry())

    def all_and_a_new_one(_now):
        if "device_8" not in fleet.devices:
            put(fleet, identity(8), (START, True))
        return [(device, 1) for device in list(fleet.devices.values())]

    exposition.add_device_gauge("maintenance", "M.", all_and_a_new_one)

    assert len(lines_of(await text_of(exposition), "maintenance")) == 3
    assert len(lines_of(await text_of(exposition), "maintenance")) == 4


async def test_a_gauge_with_its_own_labels_sorts_and_escapes_them():
    exposition = Exposition(Fleet(), CollectorRegistry())
    values = {("ch", "wa", 'b"1'): 4, ("ch", "wa", "b2"): 5.5}
    exposition.add_gauge("active", "A.", ("channel_id", "engine", "business_id"), lambda _now: list(values.items()))

    for _ in range(2):
        assert lines_of(await text_of(exposition), "active") == [
            'active{business_id="b\\"1",channel_id="ch",engine="wa"} 4.0',
            'active{business_id="b2",channel_id="ch",engine="wa"} 5.5',
        ]


async def test_the_registry_may_hold_any_collector():
    class Custom:
        def collect(self):
            yield GaugeMetricFamily("policy_x", "X.", value=2)
            yield GaugeMetricFamily("policy_y", "Y.")

    registry = CollectorRegistry()
    registry.register(Custom())

    text = await text_of(Exposition(small_fleet(), registry), openmetrics=True)

    assert "policy_x 2.0\n# HELP policy_y Y.\n# TYPE policy_y gauge\n# EOF\n" in text
    assert list(parse_openmetrics(text))


async def test_no_stretch_of_a_first_scrape_is_longer_than_one_device_or_one_chunk():
    turns = 0

    async def turn():
        nonlocal turns
        turns += 1

    fleet = big_fleet(500)
    exposition = Exposition(fleet, CollectorRegistry(), chunk_size=10, pace=Pace(0.0, turn=turn))
    await exposition.render(NOW, openmetrics=False, gzip=True)

    devices, chunks, groups = 500, 6 * 50, len(fleet.groups)
    assert turns >= devices + chunks + groups


async def test_the_pace_lets_the_loop_turn_only_when_a_stretch_is_over():
    time, turns = 0.0, 0

    async def turn():
        nonlocal turns
        turns += 1

    pace = Pace(1.0, clock=lambda: time, turn=turn)
    pace.start()
    time = 0.5
    assert not pace.spent()
    time = 1.0
    assert pace.spent()
    await pace.rest()
    assert turns == 1
    assert not pace.spent()


async def test_other_tasks_run_while_a_large_fleet_is_rendered():
    exposition = Exposition(big_fleet(3000), CollectorRegistry(), pace=Pace(0.0))
    counted = 0

    async def count():
        nonlocal counted
        while True:
            counted += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await exposition.render(NOW, openmetrics=False, gzip=True)
    counting.cancel()

    assert counted >= 3000


async def test_scrapes_at_the_same_time_are_rendered_one_after_the_other():
    fleet = big_fleet(50)
    exposition = Exposition(fleet, CollectorRegistry(), chunk_size=5, pace=Pace(0.0))

    plain, gzipped, again = await asyncio.gather(
        *(exposition.render(NOW, openmetrics=False, gzip=compress) for compress in (False, True, False))
    )

    assert b"".join(plain) == b"".join(again) == gzip.decompress(b"".join(gzipped))
