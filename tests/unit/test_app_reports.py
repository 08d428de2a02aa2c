"""Reports for the API have a bulkhead: they hold up neither each other's readers nor anything else."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from exporter.app.reports import WAITING, Reports
from exporter.config import Config
from exporter.errors import Overloaded
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Endless:
    """A reader whose devices do not end before they may."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.reading = 0
        self.most = 0
        self.reports = 0

    def blind_intervals(self) -> list[Any]:
        return []

    def begin(self) -> None:
        self.reading += 1
        self.reports += 1
        self.most = max(self.most, self.reading)

    def histories(self) -> Iterator[Any]:
        while not self.let_go.wait(0.01):
            yield None


class FakeRecorder:
    def __init__(self) -> None:
        self.reader = Endless()

    async def read(self, job: Callable[[Any], Any]) -> Any:
        def look() -> Any:
            self.reader.begin()
            try:
                return job(self.reader)
            finally:
                self.reader.reading -= 1

        return await asyncio.to_thread(look)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> FakeRecorder:
    def drain(histories: Iterator[Any], **_: object) -> list[Any]:
        for _one in histories:
            pass
        return []

    monkeypatch.setattr("exporter.app.reports.availability", drain)
    monkeypatch.setattr("exporter.app.reports.source_by", lambda _by, reader, _pairs: reader)
    return FakeRecorder()


def reports_of(recorder: FakeRecorder) -> Reports:
    return Reports(recorder, Config)  # type: ignore[arg-type]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(patient(20)):
        while not condition():  # noqa: ASYNC110 - of a thread
            await asyncio.sleep(0.01)


async def test_those_who_ask_for_the_same_share_one_computation(recorder: FakeRecorder) -> None:
    reports = reports_of(recorder)
    asking = [asyncio.create_task(reports.answer("engine", 0, 100)) for _ in range(10)]
    await until(lambda: recorder.reader.reading == 1)
    recorder.reader.let_go.set()
    answers = await asyncio.gather(*asking)
    assert msgspec.json.decode(answers[0]) == {"start": 0.0, "end": 100.0, "by": "engine", "rows": []}
    assert all(one is answers[0] for one in answers)
    assert recorder.reader.reports == 1


async def test_one_is_computed_at_a_time_and_beyond_some_that_wait_one_is_asked_to_try_again(
    recorder: FakeRecorder,
) -> None:
    reports = reports_of(recorder)
    asking = [asyncio.create_task(reports.answer("engine", 0, 100 + number)) for number in range(WAITING + 1)]
    await until(lambda: recorder.reader.reading == 1)
    with pytest.raises(Overloaded):
        await reports.answer("engine", 0, 1)
    recorder.reader.let_go.set()
    await asyncio.gather(*asking)
    assert (recorder.reader.reports, recorder.reader.most) == (WAITING + 1, 1)


async def test_a_report_that_nobody_waits_for_ends(recorder: FakeRecorder) -> None:
    reports = reports_of(recorder)
    asking = [asyncio.create_task(reports.answer("engine", 0, 100)) for _ in range(2)]
    await until(lambda: recorder.reader.reading == 1)
    asking[0].cancel()
    await asyncio.wait(asking, timeout=0.1)
    assert recorder.reader.reading == 1, "the other one waits for it"

    asking[1].cancel()
    await until(lambda: recorder.reader.reading == 0)


async def test_one_that_nobody_waits_for_any_more_takes_no_turn_and_no_place(recorder: FakeRecorder) -> None:
    reports = reports_of(recorder)
    first = asyncio.create_task(reports.answer("engine", 0, 100))
    await until(lambda: recorder.reader.reading == 1)
    others = [asyncio.create_task(reports.answer("engine", 0, number)) for number in range(WAITING)]
    await asyncio.sleep(0)
    for one in others:
        one.cancel()
    await asyncio.wait(others)
    again = [asyncio.create_task(reports.answer("engine", 0, number)) for number in range(WAITING)]
    recorder.reader.let_go.set()
    await asyncio.gather(first, *again)
    assert recorder.reader.reports == 1 + WAITING


async def test_who_asks_for_what_was_abandoned_has_it_computed_anew(recorder: FakeRecorder) -> None:
    reports = reports_of(recorder)
    gone = asyncio.create_task(reports.answer("engine", 0, 100))
    await until(lambda: recorder.reader.reading == 1)
    gone.cancel()
    await asyncio.wait((gone,))
    again = asyncio.create_task(reports.answer("engine", 0, 100))
    await until(lambda: recorder.reader.reports == 2)
    recorder.reader.let_go.set()
    assert await again
    assert recorder.reader.most == 1
