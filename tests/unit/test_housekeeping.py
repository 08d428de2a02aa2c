"""When checkpoints are written."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from exporter.app.housekeeping import (
    CHECKPOINT_DEVICES,
    CHECKPOINT_INTERVAL,
    CHECKPOINT_SHARE,
    Checkpoints,
    Housekeeping,
)
from exporter.domain.fleet import Fleet
from exporter.errors import JournalUnavailable
from exporter.lib.tasks import Task
from exporter.metrics.own import SelfMetrics
from tests.patience import eventually

COST = 0.01  # seconds of one checkpoint


class FakeRecorder:
    def __init__(self) -> None:
        self.fleet = Fleet()
        self.now = 1000.0
        self.saved: list[float] = []
        self.broken = False

    async def save_checkpoint(self) -> None:
        if self.broken:
            raise JournalUnavailable("no disk")
        self.saved.append(self.now)
        self.now += COST
        self.fleet.unsaved = set()

    def change(self, devices: int) -> None:
        self.fleet.unsaved = {str(number) for number in range(devices)}


@pytest.fixture
def recorder() -> FakeRecorder:
    return FakeRecorder()


@pytest.fixture
def checkpoints(recorder: FakeRecorder) -> Checkpoints:
    return Checkpoints(recorder, lambda: recorder.now)


async def test_few_changes_wait_for_the_interval(recorder, checkpoints):
    recorder.change(CHECKPOINT_DEVICES - 1)
    await checkpoints()
    recorder.now += CHECKPOINT_INTERVAL - 1
    await checkpoints()
    assert recorder.saved == []

    recorder.now += 1
    await checkpoints()
    assert len(recorder.saved) == 1


async def test_many_changes_are_saved_at_once(recorder, checkpoints):
    recorder.change(CHECKPOINT_DEVICES)
    await checkpoints()
    assert len(recorder.saved) == 1


async def test_under_a_lasting_load_checkpoints_take_no_more_than_their_share_of_the_time(recorder, checkpoints):
    began = recorder.now
    while recorder.now < began + 20:
        recorder.change(CHECKPOINT_DEVICES)
        await checkpoints()
        recorder.now += 0.05
    assert 20 * CHECKPOINT_SHARE / 2 < len(recorder.saved) * COST <= 20 * CHECKPOINT_SHARE


async def test_a_checkpoint_that_failed_is_tried_again(recorder, checkpoints):
    recorder.change(CHECKPOINT_DEVICES)
    recorder.broken = True
    with pytest.raises(JournalUnavailable):
        await checkpoints()
    recorder.broken = False
    await checkpoints()
    assert len(recorder.saved) == 1


async def test_a_task_that_waits_for_the_journal_is_counted_each_time_and_logged_once_a_minute(caplog):
    registry = CollectorRegistry()
    housekeeping = Housekeeping(SelfMetrics(registry))

    async def fail() -> None:
        raise JournalUnavailable("the file is gone")

    def failures() -> float:
        return registry.get_sample_value("device_exporter_task_failures_total", {"task": "second"}) or 0

    for name in ("first", "second"):
        housekeeping.run(Task(name, fail, 0.001))
    await eventually(lambda: failures() >= 10)
    await housekeeping.stop()

    told = [record.fields["task"] for record in caplog.records if "could not use the journal" in record.message]
    assert sorted(told) == ["first", "second"]
