"""What people see as one incident: a flapping period, a mass outage; and what the list leaves out."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC
from typing import TYPE_CHECKING

import pytest

from exporter.incidents import store
from exporter.incidents.folding import QUIET, fold
from exporter.incidents.listing import Listing
from exporter.incidents.model import Open
from exporter.incidents.view import Filter
from exporter.incidents.wording import Wording
from exporter.journal.sqlite.transaction import SqliteTransaction
from tests.unit.incident_site import BEGIN, THRESHOLD, Desk, Disk, identity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.domain.identity import Identity
    from exporter.incidents.listing import Line

LONG = int(THRESHOLD) + 100
LEAST = 60.0


def listing(desk: Desk, *, everything: bool = False) -> Listing:
    return Listing(SqliteTransaction(desk.disk.connection), desk.recorder.now, LEAST, everything=everything)


@contextmanager
def counted(desk: Desk) -> Iterator[list[int]]:
    """Yield a list whose first item is, afterwards, how much SQLite did."""
    found = [0]

    def count() -> None:
        found[0] += 1

    desk.disk.connection.set_progress_handler(count, 100)
    yield found
    desk.disk.connection.set_progress_handler(None, 0)


def lines(desk: Desk, **wanted: str) -> list[tuple[str, int, int]]:
    """Return (first device, parts, devices) of every line."""
    return [(line.head.device_id, line.parts, line.devices) for line in page(desk, **wanted)]


def page(desk: Desk, **wanted: str) -> list[Line]:
    return listing(desk).page(Filter(**wanted), None, 100)  # type: ignore[arg-type]


def of(number: int, **values: str) -> Identity:
    """Return one of many devices, each of a business of its own unless that is given."""
    return identity(f"d{number:02}", **({"business_id": f"biz_{number}", "engine": "wa"} | values))


async def desk_of(devices: list[Identity]) -> Desk:
    desk = await Desk(now=BEGIN - 90_000).start()
    for device in devices:
        await desk.hear(BEGIN - 90_000, up=True, device=device)
    return desk


async def outage(desk: Desk, device: Identity, start: int, seconds: int = LONG) -> None:
    await desk.hear(start, up=False, device=device)
    await desk.hear(start + seconds, up=True, device=device)


async def all_down(desk: Desk, devices: list[Identity], start: int = BEGIN) -> None:
    for place, device in enumerate(devices):
        desk.recorder.now = start + place
        desk.recorder.hear(start + place, up=False, device=device)
    await desk.go(start + 1000)


# -- flapping ---------------------------------------------------------------------------------------------------------


async def test_outages_that_follow_each_other_within_half_an_hour_are_one_incident():
    device = of(1)
    desk = await desk_of([device])
    for number in range(10):
        await outage(desk, device, BEGIN + number * 1000)
    assert lines(desk) == [("d01", 9, 1)]
    (line,) = page(desk)
    assert (line.seconds, line.running) == (9000 + LONG, False)


@pytest.mark.parametrize(
    ("quiet", "count"), [pytest.param(QUIET, 1, id="half an hour"), pytest.param(QUIET + 1, 2, id="longer")]
)
async def test_how_long_a_device_must_be_quiet_for_a_new_incident(quiet, count):
    device = of(1)
    desk = await desk_of([device])
    await outage(desk, device, BEGIN)
    await outage(desk, device, BEGIN + LONG + quiet)
    assert len(lines(desk)) == count


async def test_an_outage_that_follows_lets_the_incident_run_again():
    device = of(1)
    desk = await desk_of([device])
    await outage(desk, device, BEGIN)
    await desk.hear(BEGIN + 1000, up=False, device=device)
    await desk.go(BEGIN + 2000)
    (line,) = page(desk)
    assert (line.running, line.status, line.seconds) == (True, "investigating", 2000)
    assert len(page(desk, status="open")) == 1
    assert page(desk, status="resolved") == []


async def test_a_restart_folds_what_came_while_the_incidents_were_not_written():
    device = of(1)
    desk = await desk_of([device])
    await outage(desk, device, BEGIN)
    desk.recorder.now = BEGIN + 1000
    desk.recorder.hear(BEGIN + 1000, up=False, device=device)
    desk = await desk.restarted(BEGIN + 3000)
    assert lines(desk) == [("d01", 1, 1)]


# -- mass outages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("down", "all_devices", "shared", "found"),
    [
        pytest.param(20, 100, {}, 1, id="twenty of an engine, whatever their share"),
        pytest.param(19, 100, {}, 19, id="fewer are none"),
        pytest.param(6, 20, {}, 1, id="three in ten of an engine"),
        pytest.param(5, 20, {}, 5, id="less than that"),
        pytest.param(3, 6, {"business_id": "biz_9"}, 1, id="half of a business, of three devices at least"),
        pytest.param(2, 4, {"business_id": "biz_9"}, 2, id="two are none"),
        pytest.param(5, 10, {"gateway": "evo-jkt"}, 1, id="of a gateway"),
    ],
)
async def test_devices_that_go_down_together_are_one_incident_where_an_alert_tells_of_them_as_one(
    down, all_devices, shared, found
):
    devices = [of(number, **({"engine": f"e{number}"} if shared else {}), **shared) for number in range(all_devices)]
    desk = await desk_of(devices)
    await all_down(desk, devices[:down])
    assert len(lines(desk)) == found
    if found == 1:
        assert lines(desk) == [("d00", down - 1, down)]
        assert page(desk)[0].head.shared == next(iter(shared), "engine")


async def test_devices_that_go_down_one_by_one_have_their_own():
    devices = [of(number) for number in range(10)]
    desk = await desk_of(devices)
    for place, device in enumerate(devices[:8]):
        desk.recorder.now = BEGIN + place * 100
        desk.recorder.hear(BEGIN + place * 100, up=False, device=device)
    await desk.go(BEGIN + 5000)
    assert len(lines(desk)) == 8


async def test_who_goes_down_while_a_mass_outage_runs_is_part_of_it():
    devices = [of(number) for number in range(20)]
    desk = await desk_of(devices)
    await all_down(desk, devices[:8])
    await desk.hear(BEGIN + 2000, up=False, device=devices[9])
    await desk.go(BEGIN + 3000)
    assert lines(desk) == [("d00", 8, 9)]


async def test_a_part_of_a_mass_outage_is_called_by_its_own_device_and_the_whole_by_how_many():
    devices = [of(number, device_name=f"Kasir {number}") for number in range(8)]
    desk = await desk_of(devices)
    await all_down(desk, devices)
    found, words = listing(desk), Wording("id", UTC)
    [whole] = page(desk)
    assert words.title(whole) == "WhatsApp: 8 perangkat terputus bersamaan"
    assert words.title(found.line(found.parts(whole.head.number)[0])) == "Kasir 7"


async def test_a_filter_finds_a_mass_outage_by_any_of_its_devices():
    devices = [of(number, device_name=f"Kasir {number}") for number in range(8)]
    desk = await desk_of(devices)
    await all_down(desk, devices)
    assert lines(desk, business_id="biz_5") == lines(desk, device_id="d06") == lines(desk, search="KASIR 7")
    assert len(lines(desk, business_id="biz_5")) == 1
    assert lines(desk, search="100%") == []


async def test_a_history_that_comes_late_is_folded_alike():
    devices = [of(number) for number in range(8)]
    desk = await Desk(now=BEGIN - 90_000).start()
    for device in devices:
        for at, up in ((BEGIN - 80_000, True), (BEGIN, False), (BEGIN + LONG, True)):
            desk.recorder.now = BEGIN + 50_000
            desk.recorder.hear(at, up=up, device=device)
    await desk.go(BEGIN + 50_000)
    assert lines(desk) == [("d00", 7, 8)]


async def test_a_head_that_was_no_outage_leaves_the_others_together():
    devices = [of(number) for number in range(8)]
    desk = await desk_of(devices)
    await all_down(desk, devices)
    await desk.hear(BEGIN + 1, up=True, now=BEGIN + 1500, device=devices[0])
    assert lines(desk) == [("d04", 6, 7)]


async def work_of(count: int) -> int:
    """Return how much SQLite does for a mass outage of so many devices that turns out to be none, device by device."""
    devices = [of(number) for number in range(count)]
    desk = await desk_of(devices)
    with counted(desk) as steps:
        for device in devices:
            desk.recorder.hear(BEGIN, up=False, device=device)
        await desk.go(BEGIN + 1000)
        assert lines(desk) == [("d00", count - 1, count)]
        for device in devices:
            await desk.hear(BEGIN + 1, up=True, now=BEGIN + 1500, device=device)
    assert lines(desk) == []
    return steps[0]


async def test_a_mass_outage_is_as_much_work_a_device_however_many_there_are():
    assert await work_of(320) < 8 * await work_of(80)


async def work_beside(count: int) -> int:
    """Return how much SQLite does for single outages while a mass outage of so many devices runs."""
    devices = [of(number) for number in range(count + 10)]
    others = [of(number, engine=f"e{number}", gateway="evo-jkt") for number in range(count + 10, count + 20)]
    desk = await desk_of([*devices, *others])
    for device in devices[:count]:
        desk.recorder.hear(BEGIN, up=False, device=device)
    await desk.go(BEGIN + 1000)
    late, again = devices[count:], devices[1:11]
    with counted(desk) as steps:
        for place, device in enumerate([*late, *again, *others]):
            await desk.hear(BEGIN + 2000 + place, up=True, device=device)
            await outage(desk, device, BEGIN + 5000 + place * 1000)
    assert lines(desk)[0] == ("d00", count + 19, count + 10)
    assert len(lines(desk)) == 11
    return steps[0]


async def test_an_outage_beside_a_mass_outage_is_as_much_work_however_many_devices_that_has():
    assert await work_beside(320) < 1.5 * await work_beside(80)


async def test_a_mass_outage_that_a_few_never_came_back_from_does_not_hide_the_one_that_runs():
    devices = [of(number) for number in range(20)]
    desk = await desk_of(devices)
    await all_down(desk, devices[:8])
    for device in devices[4:8]:
        await desk.hear(BEGIN + 2000, up=True, device=device)
    await all_down(desk, devices[8:16], BEGIN + 10_000)
    await desk.hear(BEGIN + 12_000, up=False, device=devices[16])
    await desk.go(BEGIN + 13_000)
    assert lines(desk) == [("d08", 8, 9), ("d00", 7, 8)]


@pytest.mark.parametrize(("down", "asked"), [pytest.param(20, [], id="no"), pytest.param(19, ["engine"], id="yes")])
def test_whether_the_fleet_is_looked_at_for_the_share_that_is_down(down, asked):
    disk, found = Disk(), []
    opened = [Open(of(number), BEGIN, BEGIN + LONG, "critical") for number in range(down)]

    def size(scope: str, _value: str) -> int:
        found.append(scope)
        return 20

    store.apply(SqliteTransaction(disk.connection), opened)
    fold(SqliteTransaction(disk.connection), opened, size)
    assert found == asked


# -- the list ---------------------------------------------------------------------------------------------------------


async def test_what_runs_comes_first_then_by_start_page_by_page_without_gap_or_overlap():
    devices = [of(number, engine=f"e{number}") for number in range(9)]
    desk = await desk_of(devices)
    for place, device in enumerate(devices):
        start = BEGIN + place * 5000
        if place % 3:
            await outage(desk, device, start)
        else:
            await desk.hear(start, up=False, device=device)
    await desk.go(BEGIN + 90_000)
    found, after = [], None
    while part := listing(desk).page(Filter(), after, 2):
        found += [line.head.device_id for line in part]
        after = part[-1].place
    assert found == ["d06", "d03", "d00", "d08", "d07", "d05", "d04", "d02", "d01"]


async def test_short_and_corrected_ones_are_kept_and_listed_only_when_asked_for():
    devices = [of(number, engine=f"e{number}") for number in range(3)]
    desk = await desk_of(devices)
    desk.policies = type(desk.policies)({"default": type(desk.policies.default)(alert_after=0.0)})
    await outage(desk, devices[0], BEGIN, 59)
    await outage(desk, devices[1], BEGIN + 5000, 60)
    desk.policies = type(desk.policies)({"default": type(desk.policies.default)(alert_after=300.0)})
    await desk.hear(BEGIN + 10_000, up=False, device=devices[2])
    await desk.go(BEGIN + 10_500)
    await desk.hear(BEGIN + 10_100, up=True, now=BEGIN + 10_600, device=devices[2])
    assert lines(desk) == [("d01", 0, 1)]
    totals = listing(desk).totals()
    assert (totals.running, totals.listed, totals.hidden) == (0, 1, 2)
    every = listing(desk, everything=True)
    assert [line.head.device_id for line in every.page(Filter(), None, 9)] == ["d02", "d01", "d00"]
    assert len(desk.all()) == 3


async def test_totals_count_lines_and_not_their_parts():
    devices = [of(number) for number in range(8)]
    desk = await desk_of(devices)
    await outage(desk, devices[0], BEGIN - 86_000)
    await all_down(desk, devices)
    totals = listing(desk).totals()
    assert (totals.running, totals.critical, totals.last_day, totals.listed) == (1, 1, 1, 2)
