"""The wall clock, beside the time since the machine's start that nobody sets."""

from __future__ import annotations

import pytest

from exporter.lib.clock import Clock

HOUR = 3600.0


class Machine:
    """A machine whose wall clock can be set."""

    def __init__(self, *, wrong_by: float = 0.0) -> None:
        self.start = 500.0
        self.wrong_by = wrong_by
        self.jumps: list[float] = []
        self.clock = Clock(self.jumps.append, wall=self.wall, since_start=lambda: self.start)

    @property
    def truth(self) -> float:
        return 1_790_000_000.0 + self.start

    def wall(self) -> float:
        return self.truth + self.wrong_by

    def error(self, after: float = 0.0) -> float:
        self.start += after
        return self.clock() - self.truth


def test_it_is_the_wall_clock_as_a_rule() -> None:
    machine = Machine()
    assert [machine.error(after) for after in (0.0, 1.0, 86_400.0)] == [0.0, 0.0, 0.0]
    assert machine.jumps == []


@pytest.mark.parametrize("by", [600.0, 7 * HOUR, 24 * HOUR])
def test_a_clock_that_was_ahead_at_the_start_is_right_as_soon_as_it_is_set_back(by: float) -> None:
    machine = Machine(wrong_by=by)
    assert machine.error(4.0) == by
    machine.wrong_by = 0.0
    assert machine.error(0.001) == pytest.approx(0.0, abs=0.001)
    assert machine.jumps == [-by]


@pytest.mark.parametrize("by", [600.0, 7 * HOUR, 24 * HOUR])
def test_a_clock_that_was_behind_at_the_start_is_right_when_the_jump_has_lasted(by: float) -> None:
    machine = Machine(wrong_by=-by)
    machine.wrong_by = 0.0
    assert machine.error(1.0) == -by
    assert machine.error(9.9) == -by
    assert machine.error(0.1) == 0.0
    assert machine.jumps == [by]


@pytest.mark.parametrize("by", [600.0, 24 * HOUR])
def test_a_reading_that_is_ahead_for_a_moment_is_never_used(by: float) -> None:
    machine = Machine()
    machine.wrong_by = by
    assert [machine.error(0.5) for _ in range(4)] == [0.0] * 4
    machine.wrong_by = 0.0
    assert [machine.error(20.0) for _ in range(4)] == [0.0] * 4
    assert machine.jumps == []


def test_two_wrong_moments_do_not_prove_each_other() -> None:
    machine = Machine()
    for _ in range(5):
        machine.wrong_by = 600.0
        assert machine.error(2.0) == 0.0
        machine.wrong_by = 0.0
        assert machine.error(30.0) == 0.0
    assert machine.jumps == []


def test_a_clock_that_is_corrected_slowly_is_followed_without_a_jump() -> None:
    machine = Machine(wrong_by=600.0)
    while machine.wrong_by > 0:
        machine.wrong_by -= 0.5
        assert machine.error(1.0) == pytest.approx(machine.wrong_by, abs=0.001)
    assert machine.jumps == []
