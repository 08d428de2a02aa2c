"""When checkpoints are written."""

from __future__ import annotations

import pytest

from exporter.app.housekeeping import CHECKPOINT_DEVICES, CHECKPOINT_INTERVAL, CHECKPOINT_SHARE, Checkpoints
from exporter.domain.fleet import Fleet
from exporter.errors import JournalUnavailable

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
def engine() -> FakeRecorder:
    return FakeRecorder()


@pytest.fixture
def checkpoints(engine: FakeRecorder) -> Checkpoints:
    return Checkpoints(engine, lambda: engine.now)


async def test_few_changes_wait_for_the_interval(engine, checkpoints):
    engine.change(CHECKPOINT_DEVICES - 1)
    await checkpoints()
    engine.now += CHECKPOINT_INTERVAL - 1
    await checkpoints()
    assert engine.saved == []

    engine.now += 1
    await checkpoints()
    assert len(engine.saved) == 1


async def test_many_changes_are_saved_at_once(engine, checkpoints):
    engine.change(CHECKPOINT_DEVICES)
    await checkpoints()
    assert len(engine.saved) == 1


async def test_under_a_lasting_load_checkpoints_take_no_more_than_their_share_of_the_time(engine, checkpoints):
    began = engine.now
    while engine.now < began + 20:
        engine.change(CHECKPOINT_DEVICES)
        await checkpoints()
        engine.now += 0.05
    assert 20 * CHECKPOINT_SHARE / 2 < len(engine.saved) * COST <= 20 * CHECKPOINT_SHARE


async def test_a_checkpoint_that_failed_is_tried_again(engine, checkpoints):
    engine.change(CHECKPOINT_DEVICES)
    engine.broken = True
    with pytest.raises(JournalUnavailable):
        await checkpoints()
    engine.broken = False
    await checkpoints()
    assert len(engine.saved) == 1
