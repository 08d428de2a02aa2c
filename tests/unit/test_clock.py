"""The wall clock that never runs backwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.lib.clock import Clock

if TYPE_CHECKING:
    import pytest


def test_it_stands_still_while_the_system_clock_is_behind_and_says_by_how_much(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([100.0, 90.0, 90.0, 100.5, 100.5])
    monkeypatch.setattr("exporter.lib.clock.time.time_ns", lambda: int(next(times) * 1e9))
    clock = Clock()

    assert clock() == 100.0
    assert clock() == 100.0
    assert clock.behind == 10.0
    assert clock() == 100.5
    assert clock.behind == 0.0
