"""The daily sums at their turning points; tests/property/test_days.py compares them with reports of any history."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from exporter.days import reading, store
from exporter.days.reading import read_days
from exporter.days.service import DaySums
from exporter.days.sums import Day, last_days
from exporter.domain.timeline import Kind
from exporter.journal.sqlite.reader import SqliteReader
from exporter.journal.sqlite.transaction import SqliteTransaction
from exporter.lib.times import zone_of
from tests.unit.journal_site import NOW, FakeClock, Site, append, event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    import pytest

    from exporter.recording.recorder import Recorder

ZONE = "Asia/Jakarta"
DAY, HOUR = 86_400, 3600
TODAY = last_days(1, NOW, zone_of(ZONE))[0]


class Sums:
    """A journal with daily sums; `clock` may be moved."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock(TODAY + 12 * HOUR)
        self.site = Site(folder, self.clock)
        self.zones = [ZONE]

    async def start(self) -> None:
        self.recorder: Recorder = await self.site.start()
        self.sums = DaySums(self.recorder, lambda: self.zones, lambda: 400 * DAY)

    async def tell(self, at: int, *, up: bool, device_id: str = "d1") -> None:
        await self.recorder.submit(event(at, up=up, device_id=device_id))

    async def plan(self, at: int, kind: Kind) -> None:
        one = append(at, kind)
        await self.recorder._append(one.identity, one.timestamp, one.kind)

    async def unheard(self, start: int, end: int) -> None:
        span = (start * 1000, end * 1000)
        await self.recorder.transact("days", lambda journal: journal.run("INSERT INTO blind VALUES (?, ?)", span))

    async def settle(self) -> None:
        while not await self.sums.round():
            pass

    async def days(self, count: int = 6, device_id: str = "d1") -> list[Day]:
        """Return the last days, from the sums alone."""
        edges = last_days(count, self.clock.now, zone_of(ZONE))
        found = await self.recorder.read(
            lambda reader: read_days(reader, [device_id], edges, self.clock.now, ZONE)  # type: ignore[arg-type]
        )
        return found[device_id]

    async def rows(self, table: str) -> list[tuple[object, ...]]:
        return await self.recorder.read(lambda reader: reader.rows(f"SELECT * FROM {table}"))


@asynccontextmanager
async def days_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sums]:
    """Give a journal whose days are never folded from events behind the test's back."""

    def refuse(*_: object) -> list[Day]:
        raise AssertionError("the events were folded although the sums are up to date")

    sums = Sums(folder)
    await sums.start()
    with monkeypatch.context() as patch:
        patch.setattr(reading, "_computed", refuse)
        yield sums
    await sums.site.kill()


async def test_a_device_that_is_up_for_months_has_no_row_for_its_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with days_at(tmp_path, monkeypatch) as one:
        await one.tell(TODAY - 100 * DAY, up=True)
        await one.settle()
        days = await one.days(91)
        assert [day.observed_ms for day in days] == [DAY * 1000] * 90 + [12 * HOUR * 1000]
        assert await one.rows("day_sum") == []


async def test_days_before_the_first_event_are_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with days_at(tmp_path, monkeypatch) as one:
        await one.tell(TODAY - 2 * DAY + HOUR, up=True)
        await one.settle()
        days = await one.days(5)
        assert [day.observed_ms // 1000 for day in days] == [0, 0, 23 * HOUR, DAY, 12 * HOUR]


async def test_an_outage_over_days_counts_on_each_of_them_and_begins_on_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with days_at(tmp_path, monkeypatch) as one:
        await one.tell(TODAY - 5 * DAY, up=True)
        await one.tell(TODAY - 3 * DAY + HOUR, up=False)
        await one.settle()
        assert [day.down_ms // 1000 for day in await one.days(5)] == [0, 23 * HOUR, DAY, DAY, 12 * HOUR]
        await one.tell(TODAY - DAY + HOUR, up=True)
        await one.settle()
        days = await one.days(5)
        assert [day.down_ms // 1000 for day in days] == [0, 23 * HOUR, DAY, HOUR, 0]
        assert [day.outages for day in days] == [0, 1, 0, 0, 0]


async def test_an_outage_of_last_week_counts_once_it_outlasts_its_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with days_at(tmp_path, monkeypatch) as one:
        await one.tell(TODAY - 9 * DAY, up=True)
        await one.plan(TODAY - 7 * DAY, Kind.PLANNED)
        await one.tell(TODAY - 6 * DAY, up=False)
        await one.settle()
        assert [day.outages for day in await one.days(8)] == [0] * 8
        await one.plan(TODAY + HOUR, Kind.PLANNED_END)
        await one.settle()
        days = await one.days(8)
        assert [day.outages for day in days] == [0, 1, 0, 0, 0, 0, 0, 0]
        assert [day.down_ms // 1000 for day in days] == [0] * 7 + [11 * HOUR]


async def test_an_outage_counts_late_that_lay_in_windows_with_blind_time_between_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with days_at(tmp_path, monkeypatch) as one:
        await one.tell(TODAY - 20 * DAY, up=True)
        await one.plan(TODAY - 9 * DAY, Kind.PLANNED)
        await one.tell(TODAY - 8 * DAY, up=False)
        await one.plan(TODAY - 6 * DAY, Kind.PLANNED_END)
        await one.unheard(TODAY - 6 * DAY, TODAY - 3 * DAY)
        await one.plan(TODAY - 3 * DAY, Kind.PLANNED)
        await one.settle()
        assert [day.outages for day in await one.days(9)] == [0] * 9
        await one.plan(TODAY + HOUR, Kind.PLANNED_END)
        await one.settle()
        assert [day.outages for day in await one.days(9)] == [1] + [0] * 8


async def test_an_event_that_is_weeks_late_changes_the_days_of_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with days_at(tmp_path, monkeypatch) as one:
        await one.tell(TODAY - 40 * DAY, up=True)
        await one.tell(TODAY - HOUR, up=False)
        await one.settle()
        await one.tell(TODAY - 20 * DAY, up=False)
        await one.tell(TODAY - 20 * DAY + HOUR, up=True)
        await one.settle()
        days = await one.days(22)
        assert [(place, day.down_ms // 1000) for place, day in enumerate(days) if day.down_ms] == [
            (1, HOUR),
            (20, HOUR),
            (21, 12 * HOUR),
        ]


async def test_blind_time_that_is_found_later_is_taken_out_of_days_that_were_summed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with days_at(tmp_path, monkeypatch) as one:
        await one.tell(TODAY - 4 * DAY, up=True)
        await one.tell(TODAY - 2 * DAY, up=False)
        await one.tell(TODAY - 2 * DAY + 6 * HOUR, up=True)
        await one.settle()
        await one.unheard(TODAY - 2 * DAY + HOUR, TODAY - 2 * DAY + 2 * HOUR)
        await one.settle()
        day = (await one.days(3))[0]
        assert (day.down_ms, day.blind_ms, day.observed_ms) == (5 * HOUR * 1000, HOUR * 1000, 23 * HOUR * 1000)


async def test_a_change_of_the_time_zone_makes_all_days_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with days_at(tmp_path, monkeypatch) as one:
        one.zones = ["Asia/Jayapura"]
        await one.tell(TODAY - 3 * DAY, up=True)
        await one.tell(TODAY - DAY, up=False)
        await one.settle()
        before = await one.rows("day_sum")
        one.zones = [ZONE]
        await one.settle()
        assert await one.rows("day_sum") != before
        assert [day.down_ms // 1000 for day in await one.days(3)] == [0, DAY, 12 * HOUR]


async def test_a_round_that_could_not_write_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with days_at(tmp_path, monkeypatch) as one:
        await one.tell(TODAY - 3 * DAY, up=True)
        await one.tell(TODAY - DAY, up=False)
        await one.settle()
        await one.unheard(TODAY - DAY + HOUR, TODAY - DAY + 2 * HOUR)
        with monkeypatch.context() as patch:
            patch.setattr(store, "note", _fails)
            with suppress(ArithmeticError):
                await one.settle()
        await one.settle()
        assert (await one.days(2))[0].blind_ms == HOUR * 1000


def _fails(*_: object) -> None:
    raise ArithmeticError


async def test_a_round_asks_the_journal_no_oftener_for_many_devices_than_for_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    def counting(call: Callable[..., object]) -> Callable[..., object]:
        def counted(*arguments: object) -> object:
            nonlocal asked
            asked += 1
            return call(*arguments)

        return counted

    for kind, name in ((SqliteReader, "rows"), (SqliteTransaction, "rows"), (SqliteTransaction, "run")):
        monkeypatch.setattr(kind, name, counting(getattr(kind, name)))

    async with days_at(tmp_path, monkeypatch) as one:
        for number in range(50):
            await one.tell(TODAY - 30 * DAY, up=True, device_id=f"d{number}")
        await one.settle()
        counts = []
        for at, devices in enumerate((2, 50), 1):
            for number in range(devices):
                await one.tell(TODAY + at, up=at > 1, device_id=f"d{number}")
            asked = 0
            await one.settle()
            counts.append(asked)
    assert 0 < counts[1] <= counts[0]
