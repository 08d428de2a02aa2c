"""Webhooks of a gateway come in any order, twice, and late: the account is that of their true order."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.test_sessions import WHO, sessioned, state

Told = list[tuple[float, str]]


def told(*kinds: str) -> st.SearchStrategy[Told]:
    """Return states at different seconds."""
    times = st.lists(st.integers(1, 40), unique=True, max_size=8)
    return times.flatmap(
        lambda seconds: st.tuples(*(st.tuples(st.just(s), st.sampled_from(kinds)) for s in seconds))
    ).map(list)


async def account(events: Told) -> tuple[bool, list[tuple[int, int | None]]]:
    """Return whether the session ends up, and its outages."""
    with tempfile.TemporaryDirectory() as folder:
        async with sessioned(Path(folder)) as one:
            await one.take(state("up", 0))
            for at, kind in events:
                await one.take(state(kind, at))
            await one.at(500)
            return one.recorder.fleet.devices[WHO.device_id].timeline.up, await one.outages()


def both(events: Told, order: list[int]) -> tuple[tuple[bool, list[tuple[int, int | None]]], ...]:
    """Return the account of the true order, and that of another one in which some come twice."""
    others = [events[place % len(events)] for place in order] if events else []
    missing = [event for event in events if event not in others]
    return asyncio.run(account(sorted(events))), asyncio.run(account([*others, *missing]))


@given(told("up", "hard"), st.lists(st.integers(0, 100), max_size=12))
@settings(max_examples=12, deadline=None)
def test_up_and_hard_states_in_any_order_give_the_same_account(events, order):
    true, other = both(events, order)

    assert other == true


@given(told("up", "hard", "soft"), st.lists(st.integers(0, 100), max_size=12))
@settings(max_examples=12, deadline=None)
def test_with_soft_states_any_order_ends_in_the_same_state_and_hides_no_outage(events, order):
    """A hard state lets soft ones before it count at once: where their `up` comes later, a short outage is more."""
    true, other = both(events, order)
    told_hard = asyncio.run(account(sorted(event for event in events if event[1] != "soft")))

    assert other[0] == true[0]
    covered = {second for start, end in other[1] for second in range(start, end or 600)}
    assert {second for start, end in told_hard[1] for second in range(start, min(end or 600, 41))} <= covered
