"""
How long tests wait: every deadline of a test passes through here.

A deadline only bounds waiting, so it may be long; on a machine that is four times slower it must be four times as long.
`PATIENCE=4` in the environment says so, for all of them at once. Whoever waits names what for.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

PATIENCE: Final = float(os.environ.get("PATIENCE") or 1)
"""How many times longer than written deadlines are."""


def patient(seconds: float) -> float:
    """Return so many seconds, or more where the environment asks for patience."""
    return seconds * PATIENCE


def wait_for(
    condition: Callable[[], T],
    what: str,
    within: float = 15.0,
    *,
    shows: Callable[[], object] | None = None,
    every: float = 0.01,
) -> T:
    """
    Return the first true value of the condition.

    Fails with `what` and, as it is by then, what `shows` returns, or else the condition's last value. A condition that
    raises fails at once: that is how one says that it can never hold any more. `within`, `every`: seconds.
    """
    deadline = time.monotonic() + patient(within)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patient(within):g} s: {what} (last: {shows() if shows else value!r})")
        time.sleep(every)


def wait_for_counts(
    counts: Callable[[], Mapping[str, int]], wanted: Mapping[str, int], what: str, within: float = 20.0
) -> None:
    """Wait until `counts` returns `wanted`; fail at once when one of them is more, as counts do not fall."""

    def reached() -> bool:
        found = counts()
        over = {key for key, number in found.items() if number > wanted[key]}
        assert not over, f"too many: {what}: {dict(found)}, wanted {dict(wanted)}"
        return found == wanted

    wait_for(reached, what, within, shows=counts)


async def eventually(condition: Callable[[], Any], what: str = "the condition holds", within: float = 10.0) -> Any:
    """Wait like `wait_for`, while the event loop goes on; the condition may be a coroutine function."""
    deadline = time.monotonic() + patient(within)
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patient(within):g} s: {what} (last: {value!r})")
        await asyncio.sleep(0.005)
