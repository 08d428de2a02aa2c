"""Ratios in percent that never look like the limit that they miss. Pure."""

from __future__ import annotations

from math import copysign
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_DIGITS: Final = 5
_SAME: Final = 1e-9  # percent; less is the noise of floating point


def percent(ratio: float, digits: int, *, limits: Iterable[float] = ()) -> tuple[float, int]:
    """Return a ratio in percent, rounded, and the digits to show behind the point: `digits`, or as many as it needs.

    It stands on the same side of each limit (a ratio, too) as before it was rounded; what even `MOST_DIGITS` cannot
    tell apart is rounded away from the limit. Zero has no sign.
    """
    value, edges = ratio * 100, [limit * 100 for limit in limits]
    for shown in range(digits, MOST_DIGITS + 1):
        rounded = round(value, shown) + 0.0
        if all(_side(rounded, edge) == _side(value, edge) for edge in edges):
            return rounded, shown
    edge = min(edges, key=lambda edge: abs(edge - value))
    return round(edge + _side(value, edge) * 10**-MOST_DIGITS, MOST_DIGITS), MOST_DIGITS


def digits_of(ratio: float, least: int) -> int:
    """Return how many digits behind the point show a ratio in percent as it was written, at least `least`."""
    value = ratio * 100
    return next(
        (digits for digits in range(least, MOST_DIGITS) if abs(round(value, digits) - value) < _SAME), MOST_DIGITS
    )


def _side(value: float, limit: float) -> int:
    return 0 if abs(value - limit) < _SAME else int(copysign(1, value - limit))
