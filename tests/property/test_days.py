"""The days that pages show add up to what a report says, whatever happened and however far the daily sums are behind.

Events of a few devices come in any order, some of them weeks late; devices are forgotten and come back, windows are
planned, blind time is found and taken back, retention passes days by, and rounds of the daily sums come in between.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.days.reading import read_days
from exporter.days.service import DaySums
from exporter.days.sums import Day, midnights
from exporter.domain.timeline import Kind
from exporter.errors import InvalidEvent
from exporter.lib.times import zone_of
from exporter.report.availability import availability
from exporter.report.document import compile_report
from exporter.report.windows import Period
from exporter.sessions import store
from tests.unit.journal_site import NOW, FakeClock, Site, event

if TYPE_CHECKING:
    from exporter.journal.port import Reader, Transaction

MEMORY = Path("/dev/shm")
DAY = 86_400
KEPT = 12  # days of retention
ZONES = ("Asia/Jakarta", "America/Santiago")
SESSION = "gw:d3"  # of a gateway whose own word corrects what webhooks lost
DEVICES = ("d1", "d2", SESSION)

ages = st.one_of(
    st.integers(0, 3 * DAY), st.integers(0, 16 * DAY), st.integers(0, 30), st.just(DAY), st.just(17 * 3600)
)
devices = st.sampled_from(DEVICES)
steps = st.one_of(
    st.tuples(st.just("event"), devices, ages, st.booleans()),
    st.tuples(st.just("event"), devices, ages, st.booleans()),
    st.tuples(st.just("plan"), devices, ages, st.booleans()),
    st.tuples(st.just("forget"), devices, ages),
    st.tuples(st.just("blind"), ages, st.integers(1, 2 * DAY)),
    st.tuples(st.just("correct"), ages, st.booleans()),
    st.tuples(st.just("heard")),
    st.tuples(st.just("round")),
    st.tuples(st.just("rounds")),
    st.tuples(st.just("rounds")),
    st.tuples(st.just("rounds")),
    st.tuples(st.just("pass"), st.sampled_from([1, 3600, DAY, 3 * DAY])),
    st.tuples(st.just("prune")),
)


class Life:
    """One journal with its sums."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.site = Site(folder, self.clock)

    async def run(self, happenings: list[tuple[Any, ...]], asked: list[tuple[int, int]]) -> None:
        self.recorder = await self.site.start()
        self.sums = DaySums(self.recorder, lambda: ZONES, lambda: KEPT * DAY)
        for kind, *values in happenings:
            await getattr(self, f"_{kind}")(*values)
            await self.look(asked)
        await self._rounds()
        await self.look(asked)
        await self.site.kill()

    async def look(self, asked: list[tuple[int, int]]) -> None:
        await self.recorder.read(lambda reader: [compare(reader, self.clock.now, zone, asked) for zone in ZONES])

    async def _event(self, device: str, age: int, up: bool) -> None:
        with suppress(InvalidEvent):
            told = event(int(self.clock.now) - age, up=up, device_id=device)
            if device == SESSION:
                told = replace(told, identity=replace(told.identity, gateway="gw"))
            await self.recorder.submit(told)

    async def _correct(self, blind: int, up: bool) -> None:
        now = int(self.clock.now)
        job = partial(store.save_blind, device_id=SESSION, start=now - blind, end=now)
        await self.recorder.transact(store.PIECE.name, job)
        await self._event(SESSION, 0, up)

    async def _plan(self, device: str, age: int, inside: bool) -> None:
        await self._append(device, age, Kind.PLANNED if inside else Kind.PLANNED_END)

    async def _forget(self, device: str, age: int) -> None:
        await self._append(device, age, Kind.FORGOTTEN)

    async def _append(self, device: str, age: int, kind: Kind) -> None:
        """Write what the recorder writes, also at times at which it would not."""
        known = self.recorder.fleet.devices.get(device)
        if known is not None and age < KEPT * DAY:
            await self.recorder._append(known.identity, int(self.clock.now) - age, kind)

    async def _blind(self, age: int, long: int) -> None:
        end = int(self.clock.now) - age

        def put(transaction: Transaction) -> None:
            transaction.run("INSERT INTO blind VALUES (?, ?) ON CONFLICT DO NOTHING", ((end - long) * 1000, end * 1000))

        await self.recorder.transact("days", put)

    async def _heard(self) -> None:
        await self.recorder.transact("days", lambda transaction: transaction.run("DELETE FROM blind"))

    async def _round(self) -> None:
        await self.sums.round()

    async def _rounds(self) -> None:
        while not await self.sums.round():
            pass

    async def _pass(self, seconds: int) -> None:
        self.clock.now += seconds

    async def _prune(self) -> None:
        await self.recorder.prune(KEPT * DAY)
        await self.sums.prune()


def compare(reader: Reader, now: float, zone: str, asked: list[tuple[int, int]]) -> None:
    """Compare spans of days, counted back from today, with reports."""
    edges = [edge for edge in midnights(now - (KEPT - 1) * DAY, now, zone_of(zone)) if edge >= now - (KEPT - 1) * DAY]
    found = read_days(reader, DEVICES, edges, now, zone)
    blind = reader.blind_intervals()
    for first, last in asked:
        one, other = sorted((first % (len(edges) - 1), last % (len(edges) - 1)))
        start, end = edges[one], min(edges[other + 1], now)
        if start >= end:
            continue
        rows = {
            row.key: row for row in availability(reader.histories(), blind=blind, start=start, end=end, by="device")
        }
        for device, days in found.items():
            some = days[one : other + 1]
            row = rows.get(device)
            expected = (
                (0.0, 0.0, 0.0, 0.0, 0)
                if row is None
                else (
                    row.observed_seconds,
                    row.downtime_seconds,
                    row.planned_seconds,
                    row.blind_seconds,
                    row.outages,
                )
            )
            assert total(some) == expected, (device, zone, start, end)
    whole = Period(edges[0], now, zone)
    document = compile_report(reader, whole, "device", now=now)
    for device, days in found.items():
        if device in document.days_by_key:
            assert [(day.start, day.observed_seconds, day.downtime_seconds) for day in days] == [
                (day.start, day.observed_seconds, day.downtime_seconds) for day in document.days_by_key[device]
            ]


def total(days: list[Day]) -> tuple[float, float, float, float, int]:
    return (
        sum(day.observed_ms for day in days) / 1000,
        sum(day.down_ms for day in days) / 1000,
        sum(day.planned_ms for day in days) / 1000,
        sum(day.blind_ms for day in days) / 1000,
        sum(day.outages for day in days),
    )


spans = st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=4)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(steps, min_size=3, max_size=25), st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=4)
)
def test_the_days_of_any_span_add_up_to_the_report_of_that_span(
    happenings: list[tuple[Any, ...]], asked: list[tuple[int, int]]
) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        asyncio.run(Life(Path(folder)).run(happenings, asked))


assert NOW % DAY  # so that today is not over when a test begins
