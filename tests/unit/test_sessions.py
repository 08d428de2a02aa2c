"""From states of sessions to connects and disconnects: soft ones wait, hard ones count, any order ends the same."""

from __future__ import annotations

from contextlib import asynccontextmanager
from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from exporter.domain.identity import Identity
from exporter.errors import JournalUnavailable
from exporter.gateways.events import SessionEvent
from exporter.sessions.service import SETTLE, Sessions
from tests.unit.journal_site import NOW, FakeClock, Site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SOFT_AFTER = 60.0
T = NOW - 1000
WHO = Identity("evo:cs-1", "CS", "wa", "evo:cs-1", "CS", "biz", "Toko", "", "", "evo")


def state(kind: str, at: float, reason: str = "unknown") -> SessionEvent:
    """Return a state at T + `at` seconds."""
    return SessionEvent(round((T + at) * 1000), kind, WHO, reason)


class Sessioned:
    """Sessions on a real journal, with a clock that tests move."""

    def __init__(self, folder: Path) -> None:
        self.site = Site(folder, FakeClock(T))

    async def start(self) -> Sessioned:
        self.recorder = await self.site.start()
        self.sessions = Sessions(self.recorder, lambda _: SOFT_AFTER, self.site.metrics.registry)
        await self.sessions.start()
        return self

    async def restart(self) -> None:
        await self.site.kill()
        await self.start()

    async def take(self, *events: SessionEvent) -> list[str]:
        return [await self.sessions.take(event) for event in events]

    async def at(self, seconds: float) -> None:
        """Move the clock to T + seconds, and let what is due count."""
        self.site.clock.now = T + seconds
        await self.sessions.round(self.site.clock.now)

    async def outages(self) -> list[tuple[int, int | None]]:
        """Return the outages, relative to T."""
        known = await self.recorder.history(WHO.device_id)
        found = known.outages if known is not None else []
        return [(one.start - T, None if one.end is None else one.end - T) for one in found]

    async def events(self) -> int:
        return (await self.recorder.read(lambda reader: reader.rows("SELECT count(*) FROM event")))[0][0]

    def counted(self, name: str, **labels: str) -> float:
        return self.site.metrics.registry.get_sample_value(name, labels) or 0.0

    @property
    def reconnects(self) -> float:
        return self.counted("device_reconnects_total", engine="wa", gateway="evo")


@asynccontextmanager
async def sessioned(folder: Path) -> AsyncIterator[Sessioned]:
    found = await Sessioned(folder).start()
    try:
        yield found
    finally:
        await found.recorder.stop()


async def test_a_reconnect_in_time_is_no_outage(tmp_path):
    async with sessioned(tmp_path) as one:
        await one.take(state("up", 0), state("soft", 10), state("up", 12.5))
        await one.at(200)

        assert await one.outages() == []
        assert one.reconnects == 1


async def test_a_soft_state_that_lasts_is_an_outage_from_its_own_time(tmp_path):
    async with sessioned(tmp_path) as one:
        await one.take(state("up", 0), state("soft", 10, "connection_lost"))
        await one.at(59)
        assert await one.outages() == []

        await one.at(60)

        assert await one.outages() == [(10, None)]
        device = one.recorder.fleet.down[WHO.device_id]
        assert one.sessions.reasons.of(device) == "connection_lost"
        assert one.counted("device_disconnect_reason_total", engine="wa", reason="connection_lost") == 1


async def test_the_deadline_counts_from_the_arrival(tmp_path):
    async with sessioned(tmp_path) as one:
        await one.take(state("up", 0))
        await one.at(100)
        await one.take(state("soft", 10))
        await one.at(159)
        assert await one.outages() == []

        await one.at(160)

        assert await one.outages() == [(10, None)]


async def test_a_hard_state_lets_what_waits_count_at_once(tmp_path):
    async with sessioned(tmp_path) as one:
        await one.take(state("up", 0), state("soft", 10), state("hard", 20, "logged_out"))

        assert await one.outages() == [(10, None)]
        assert one.sessions.reasons.of(one.recorder.fleet.down[WHO.device_id]) == "logged_out"
        assert one.reconnects == 0


async def test_a_session_first_seen_in_a_soft_state_is_no_device(tmp_path):
    async with sessioned(tmp_path) as one:
        assert await one.take(state("soft", 1)) == ["ignored"]
        await one.at(200)

        assert one.recorder.fleet.devices == {}


@pytest.mark.parametrize("before", [[], [state("hard", 5)]], ids=["while it waits", "while it is down"])
async def test_thousands_of_soft_states_cost_nothing(before, tmp_path):
    """evolution-api#765, evolution-api#693, evolution-api#2647."""
    async with sessioned(tmp_path) as one:
        await one.take(state("up", 0), *before)
        written = await one.events()

        await one.take(*(state("soft", 10 + number / 100) for number in range(2000)))

        assert await one.events() == written
        assert one.recorder.fleet.down.keys() == ({WHO.device_id} if before else set())
        kept = await one.recorder.read(lambda reader: reader.rows("SELECT count(*) FROM soft_state"))
        assert kept[0][0] <= 4


async def test_a_session_that_is_gone_is_forgotten(tmp_path):
    async with sessioned(tmp_path) as one:
        await one.take(state("up", 0), state("soft", 5))

        assert await one.take(state("gone", 10)) == ["accepted"]
        assert await one.take(state("gone", 11)) == ["ignored"]
        await one.at(100)

        assert one.recorder.fleet.devices == {}
        assert len(one.sessions.waiting) == 0


@pytest.mark.parametrize("thread", ["evolution-api#1502", "waha#1218"])
async def test_a_session_that_hangs_in_a_soft_state_is_down_since_its_first(thread, tmp_path):
    async with sessioned(tmp_path) as one:
        await one.take(state("up", 0))
        for minute in range(10):
            await one.at(10 + minute * 30)
            await one.take(state("soft", 10 + minute * 30))

        assert await one.outages() == [(10, None)], thread


async def test_an_event_that_comes_twice_counts_once(tmp_path):
    """waha#1384, waha#1627, wwebjs-api#68."""
    async with sessioned(tmp_path) as one:
        for event in (state("up", 0), state("soft", 5), state("up", 6), state("hard", 10), state("up", 20)):
            await one.take(event, event)

        assert await one.outages() == [(10, 20)]
        assert one.reconnects == 1


async def test_a_hard_state_after_a_hard_one_changes_nothing(tmp_path):
    """green-api#204."""
    async with sessioned(tmp_path) as one:
        await one.take(state("up", 0), state("hard", 10, "banned"), state("hard", 20, "logged_out"))

        assert await one.outages() == [(10, None)]
        assert one.sessions.reasons.of(one.recorder.fleet.down[WHO.device_id]) == "banned"


async def test_a_retried_soft_state_of_before_the_reconnect_is_nothing(tmp_path):
    async with sessioned(tmp_path) as one:
        await one.take(state("up", 0), state("up", 20.74), state("soft", 20.01), state("soft", 5))
        await one.at(500)

        assert await one.outages() == []


async def test_a_late_soft_state_moves_the_begin_of_its_outage(tmp_path):
    async with sessioned(tmp_path) as one:
        await one.take(state("up", 0), state("hard", 50), state("soft", 10))

        assert await one.outages() == [(10, None)]


async def test_what_waits_survives_a_kill(tmp_path):
    async with sessioned(tmp_path) as one:
        await one.take(state("up", 0), state("soft", 10, "replaced"))
        await one.restart()
        await one.at(61)

        assert await one.outages() == [(10, None)]
        await one.restart()
        assert one.sessions.reasons.of(one.recorder.fleet.down[WHO.device_id]) == "replaced"


async def test_a_deadline_that_passed_while_we_were_away_waits_for_a_repeated_webhook(tmp_path):
    async with sessioned(tmp_path) as one:
        await one.take(state("up", 0), state("soft", 10))
        one.site.clock.now = T + 300
        await one.restart()
        await one.at(300)
        await one.take(state("up", 12))
        await one.at(300 + SETTLE + 1)

        assert await one.outages() == []


async def test_a_reconnect_is_not_forgotten_by_a_kill(tmp_path):
    async with sessioned(tmp_path) as one:
        await one.take(state("up", 0), state("soft", 10), state("up", 12))
        await one.restart()
        await one.at(500)

        assert await one.outages() == []


async def test_a_soft_state_that_cannot_be_stored_must_come_again(tmp_path):
    async with sessioned(tmp_path) as one:
        await one.take(state("up", 0))
        one.recorder.transact, whole = _failing, one.recorder.transact
        with pytest.raises(JournalUnavailable):
            await one.take(state("soft", 10))
        one.recorder.transact = whole

        assert await one.take(state("soft", 10)) == ["accepted"]


async def _failing(*_: object) -> None:
    raise JournalUnavailable("no disk")


async def test_what_cannot_be_journalled_is_tried_again(tmp_path):
    async with sessioned(tmp_path) as one:
        await one.take(state("up", 0), state("soft", 10))
        with one.site.full_disk():
            await one.at(60)
        await one.at(70)

        assert await one.outages() == [(10, None)]


SAME_SECOND = [
    pytest.param([("up", 5.1), ("hard", 5.9)], False, id="first seen up and down"),
    pytest.param([("hard", 5.1), ("up", 5.9)], True, id="first seen down and up"),
    pytest.param([("up", 0), ("hard", 5.1), ("up", 5.9)], True, id="down and up"),
    pytest.param([("up", 0), ("up", 5.1), ("hard", 5.9)], False, id="up again and down"),
    pytest.param([("up", 0), ("hard", 3), ("up", 5.1), ("hard", 5.9)], False, id="up for less than a second"),
    pytest.param([("up", 0), ("hard", 3), ("hard", 5.1), ("up", 5.9)], True, id="down again and up"),
    pytest.param([("up", 0), ("soft", 5.1), ("up", 5.9)], True, id="connecting and open"),
    pytest.param([("up", 0), ("hard", 3), ("soft", 5.1), ("up", 5.9)], True, id="connecting and open while down"),
    pytest.param([("up", 0), ("up", 5.1), ("soft", 5.9)], False, id="open and connecting"),
]


SEVERAL = [
    pytest.param([("up", 5.0), ("hard", 5.2), ("up", 5.4)], True, id="first seen up, down and up"),
    pytest.param([("up", 0), ("hard", 5.1), ("up", 5.2), ("hard", 5.3)], False, id="down, up and down"),
    pytest.param([("up", 0), ("up", 5.1), ("hard", 5.2), ("up", 5.3)], True, id="up again, down and up"),
    pytest.param([("hard", 0), ("up", 5.1), ("hard", 5.2), ("up", 5.3)], True, id="up, down and up"),
    pytest.param([("up", 0), ("up", 5.1), ("hard", 5.2), ("soft", 5.3), ("up", 5.4)], True, id="connecting within"),
    pytest.param([("hard", 0), ("up", 5.1), ("hard", 5.2), ("up", 5.3), ("hard", 5.4)], False, id="four of them"),
    pytest.param([("up", 0), ("up", 5.8), ("hard", 5.9), ("up", 6.1)], True, id="over the end of the second"),
    pytest.param([("up", 0), ("hard", 3), ("hard", 5.1), ("up", 5.9)], True, id="and an earlier one"),
]


@pytest.mark.parametrize(("events", "up"), SEVERAL)
async def test_of_several_states_about_one_second_the_latest_holds_in_any_order(events, up, tmp_path):
    before, within = events[:-3], events[-3:]
    for number, order in enumerate(permutations(within)):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with sessioned(folder) as one:
            for event in (*before, *order, *order):
                await one.take(state(*event, reason="logged_out"))
            await one.at(100)

            device = one.recorder.fleet.devices[WHO.device_id]
            assert device.timeline.up == up, order
            assert up or one.sessions.reasons.of(device) == "logged_out"


async def test_opposite_states_of_one_millisecond_that_come_again_are_no_news(tmp_path):
    async with sessioned(tmp_path) as one:
        await one.take(state("up", 0), *[state("hard", 5), state("up", 5)] * 5)

        assert one.recorder.fleet.devices[WHO.device_id].timeline.up
        assert await one.outages() == [(5, 5)]


@pytest.mark.parametrize(("events", "up"), SAME_SECOND)
async def test_of_one_second_the_later_state_holds_in_any_order(events, up, tmp_path):
    before, within = events[:-2], events[-2:]
    for number, order in enumerate(permutations(within)):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with sessioned(folder) as one:
            await one.take(*(state(*event) for event in before), *(state(*event) for event in order))
            await one.take(*(state(*event) for event in order))
            await one.at(100)

            assert one.recorder.fleet.devices[WHO.device_id].timeline.up == up, order
