"""Failover on a real recorder and journal: what is durable before each call, and what a restart does."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from exporter.config.schema import Failover, Hook, Secret
from exporter.domain.identity import Identity
from exporter.errors import JournalUnavailable
from exporter.failover.sender import Answer
from exporter.failover.service import FailoverService
from exporter.failover.store import Store
from exporter.gateways.events import DeviceEvent
from tests.patience import eventually
from tests.unit.journal_site import NOW, Site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from exporter.failover.driver import Switched
    from exporter.failover.machine import Order

RULE = Failover(channel="a", backup="b", hook=Hook(url="http://hook", secret=Secret("s")))
OK = Answer(accepted=True, reason="status 200", perhaps_done=False)
REFUSED = Answer(accepted=False, reason="status 403", perhaps_done=False)
TIMEOUT = Answer(accepted=False, reason="timeout", perhaps_done=True)


class Hooks:
    """Stands for the sender: answers as told, or waits for `open`."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.calls: list[Order] = []
        self.stored: list[Order | None] = []
        self.answers: list[Answer] = []
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, rule: Failover, order: Order) -> Answer:
        self.calls.append(order)
        states = await Store(self.house.site.recorder.transact, self.house.site.recorder.transact_leading).states()
        self.stored.append(states[rule.channel, rule.backup].order)
        await self.open.wait()
        return self.answers.pop(0) if self.answers else OK

    @property
    def actions(self) -> list[str]:
        return [order.action for order in self.calls]


class House:
    """A recorder with failover that can be killed and started again."""

    def __init__(self, folder: Path, rules: tuple[Failover, ...] = (RULE,)) -> None:
        self.site = Site(folder)
        self.rules = rules
        self.switched: list[Switched] = []
        self.planned: dict[str, float] = {}
        self.hooks = Hooks(self)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FailoverService]:
        await self.site.start()
        self.registry = CollectorRegistry()
        self.service = FailoverService(
            self.site.recorder,
            lambda: self.rules,
            self.hooks,
            self.registry,
            retention=lambda: 400 * 86400.0,
            planned_until=lambda device, _now: self.planned.get(device.identity.device_id),
        )
        self.service.on_switch.append(self.switched.append)
        await self.service.start()
        tasks = [asyncio.create_task(self.service.run()), asyncio.create_task(self.service.groups.run())]
        try:
            yield self.service
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.site.kill()

    async def event(self, device_id: str, channel: str, *, up: bool, at: int | None = None) -> None:
        identity = Identity(device_id, "", "wa", channel, "", "biz", "", "", "")
        timestamp = int(self.site.clock.now) if at is None else at
        await self.site.recorder.submit(DeviceEvent(timestamp=timestamp, up=up, identity=identity))

    async def both_up(self) -> None:
        await self.event("d1", "a", up=True, at=NOW - 5000)
        await self.event("d2", "b", up=True, at=NOW - 5000)

    async def wait(self, seconds: float) -> None:
        self.site.clock.now += seconds
        self.service.reconsider()
        await self.settle()

    async def settle(self) -> None:
        """Let the drivers finish what they can do now."""
        for _ in range(30):
            await self.site.recorder.transact("failover", lambda _connection: None)
            await asyncio.sleep(0.001)

    def calls(self, action: str, result: str) -> float | None:
        labels = {"action": action, "result": result}
        return self.registry.get_sample_value("device_exporter_failover_calls_total", labels)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_a_decision_is_in_the_journal_before_its_call(house: House) -> None:
    async with house.running() as service:
        await house.both_up()
        await house.event("d1", "a", up=False)
        await house.settle()
        (call,), (stored,) = house.hooks.calls, house.hooks.stored
        assert stored == call
        assert call.sending
        assert list(service.active(NOW)) == [(("a", "b"), 1.0)]
        assert [(one.action, one.channel, one.backup, one.at) for one in house.switched] == [("switch", "a", "b", NOW)]
        assert house.calls("switch", "ok") == 1


async def test_a_channel_is_down_when_all_its_devices_are(house: House) -> None:
    async with house.running():
        await house.both_up()
        await house.event("d3", "a", up=True, at=NOW - 10)
        await house.event("d1", "a", up=False)
        await house.settle()
        assert house.hooks.actions == []
        await house.event("d3", "a", up=False)
        await house.settle()
        assert house.hooks.actions == ["switch"]


async def test_a_device_that_moves_to_another_channel_counts_there(house: House) -> None:
    async with house.running():
        await house.both_up()
        await house.event("d3", "a", up=False, at=NOW - 100)
        await house.event("d1", "elsewhere", up=True)
        await house.settle()
        assert house.hooks.actions == ["switch"]


async def test_a_forgotten_device_counts_no_more(house: House) -> None:
    async with house.running():
        await house.both_up()
        await house.event("d3", "a", up=False)
        await house.site.recorder.forget("d1")
        await house.settle()
        assert house.hooks.actions == ["switch"]


async def test_a_stable_channel_gets_its_traffic_back(house: House) -> None:
    async with house.running() as service:
        await house.both_up()
        await house.event("d1", "a", up=False)
        await house.settle()
        await house.wait(10)
        await house.event("d1", "a", up=True)
        await house.wait(299)
        assert house.hooks.actions == ["switch"]
        await house.wait(1)
        assert house.hooks.actions == ["switch", "switch_back"]
        assert list(service.active(NOW)) == [(("a", "b"), 0.0)]
        assert [one.action for one in house.switched] == ["switch", "switch_back"]


async def test_a_restart_makes_the_same_call_under_the_same_key(house: House) -> None:
    house.hooks.open.clear()
    async with house.running():
        await house.both_up()
        await house.event("d1", "a", up=False)
        await house.settle()
    house.hooks.open.set()
    async with house.running():
        await house.settle()
        first, second = house.hooks.calls
        assert (first.key, first.sequence, first.at) == (second.key, second.sequence, second.at)
        assert (second.attempts, second.perhaps_done) == (2, True)


async def test_a_restart_does_not_call_again_for_what_was_accepted(house: House) -> None:
    async with house.running():
        await house.both_up()
        await house.event("d1", "a", up=False)
        await house.settle()
    async with house.running() as service:
        await house.settle()
        assert house.hooks.actions == ["switch"]
        assert list(service.active(NOW)) == [(("a", "b"), 1.0)]


async def test_a_restart_tells_once_more_of_a_switch_that_still_stands(house: House) -> None:
    async with house.running():
        await house.both_up()
        await house.event("d1", "a", up=False)
        await house.settle()
    async with house.running():
        assert house.switched[0] == house.switched[1]
        await house.event("d1", "a", up=True, at=NOW + 1)
    async with house.running():
        assert len(house.switched) == 2


async def test_while_the_journal_fails_nothing_is_called(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.failover.driver.RETRY", 0.01)
    broken = False

    async def save(store: Store, pair: tuple[str, str], state: object, good=Store.save_state) -> None:
        if broken:
            raise JournalUnavailable("disk full")
        await good(store, pair, state)

    monkeypatch.setattr(Store, "save_state", save)
    async with house.running():
        await house.both_up()
        broken = True
        await house.event("d1", "a", up=False)
        await house.settle()
        assert house.hooks.actions == []
        broken = False
        await asyncio.sleep(0.05)
        await house.settle()
        assert house.hooks.actions == ["switch"]


async def test_an_answer_that_cannot_be_stored_is_stored_later_without_another_call(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.failover.driver.RETRY", 0.01)
    failures = 0

    async def save(store: Store, pair: tuple[str, str], state: object, good=Store.save_state) -> None:
        nonlocal failures
        if state.order is None and failures:
            failures -= 1
            raise JournalUnavailable("disk full")
        await good(store, pair, state)

    monkeypatch.setattr(Store, "save_state", save)
    async with house.running() as service:
        await house.both_up()
        failures = 3
        await house.event("d1", "a", up=False)
        await asyncio.sleep(0.2)
        assert (house.hooks.actions, failures) == (["switch"], 0)
        assert list(service.active(NOW)) == [(("a", "b"), 1.0)]


async def test_a_backup_that_dies_while_the_attempt_is_written_down_is_not_switched_to(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[object] = []

    async def save(store: Store, pair: tuple[str, str], state: object, good=Store.save_state) -> None:
        await good(store, pair, state)
        kept.append(state)
        if state.order is not None and state.order.sending:
            await house.event("d2", "b", up=False)

    monkeypatch.setattr(Store, "save_state", save)
    async with house.running() as service:
        await house.both_up()
        await house.event("d1", "a", up=False)
        await house.settle()
        assert house.hooks.actions == []
        assert list(service.no_backup(NOW)) == [(("a", "b"), 1.0)]
        assert kept[-1].order is None


async def test_a_call_is_pending_then_failed_and_a_reload_tries_again(house: House) -> None:
    house.hooks.answers = [REFUSED, TIMEOUT]
    async with house.running() as service:
        await house.both_up()
        await house.event("d1", "a", up=False)
        await house.settle()
        assert (("a", "b", "switch"), 1.0) in list(service.pending(NOW))
        assert [value for _, value in service.failed(NOW)] == [0.0, 0.0]
        await house.wait(700)
        assert (("a", "b", "switch"), 1.0) in list(service.failed(NOW))
        assert [value for _, value in service.pending(NOW)] == [0.0, 0.0]
        assert (house.calls("switch", "error"), house.calls("switch", "gave_up")) == (2, 1)
        await house.wait(5000)
        assert len(house.hooks.calls) == 2
        service.reconfigure()
        await house.settle()
        assert len({order.key for order in house.hooks.calls}) == 1
        assert list(service.active(NOW)) == [(("a", "b"), 1.0)]


async def test_what_was_given_up_stays_so_over_a_restart(house: House) -> None:
    house.hooks.answers = [REFUSED, REFUSED]
    async with house.running():
        await house.both_up()
        await house.event("d1", "a", up=False)
        await house.settle()
        await house.wait(700)
    async with house.running() as service:
        await house.settle()
        assert len(house.hooks.calls) == 2
        assert (("a", "b", "switch"), 1.0) in list(service.failed(NOW))


async def test_a_reload_takes_other_pairs_into_use(house: House) -> None:
    async with house.running() as service:
        await house.both_up()
        await house.event("d3", "c", up=True)
        house.rules = (msgspec.structs.replace(RULE, backup="c"),)
        service.reconfigure()
        await house.settle()
        await house.event("d1", "a", up=False)
        await house.settle()
        assert list(service.active(NOW)) == [(("a", "c"), 1.0)]
        assert house.registry.get_sample_value(
            "failover_group_observed_seconds_total", {"channel_id": "a", "backup_channel_id": "c"}
        )


async def test_planned_work_is_left_alone_until_its_window_ends(house: House) -> None:
    house.planned["d1"] = NOW + 100.0
    async with house.running() as service:
        await house.both_up()
        await house.event("d1", "a", up=False)
        await house.settle()
        assert house.hooks.actions == []
        assert list(service.no_backup(NOW)) == [(("a", "b"), 0.0)]
        await house.wait(101)
        assert house.hooks.actions == ["switch"]


async def test_a_channel_of_which_one_device_is_not_planned_is_switched(house: House) -> None:
    house.planned["d1"] = NOW + 100.0
    async with house.running():
        await house.both_up()
        await house.event("d3", "a", up=False)
        await house.event("d1", "a", up=False)
        await house.settle()
        assert house.hooks.actions == ["switch"]


async def test_a_listener_that_fails_stops_nothing(house: House) -> None:
    async with house.running() as service:
        service.on_switch.insert(0, lambda _switched: 1 / 0)
        await house.both_up()
        await house.event("d1", "a", up=False)
        await house.settle()
        assert len(house.switched) == 1


def group(house: House) -> tuple[float | None, float | None]:
    labels = {"channel_id": "a", "backup_channel_id": "b"}
    return tuple(
        house.registry.get_sample_value(f"failover_group_{name}_seconds_total", labels)
        for name in ("downtime", "observed")
    )


async def test_the_group_is_down_only_while_both_are_and_a_restart_knows_it(house: House) -> None:
    async with house.running() as service:
        await house.both_up()
        await house.event("d1", "a", up=False, at=NOW - 100)
        await house.event("d2", "b", up=False, at=NOW - 40)
        await house.event("d2", "b", up=True, at=NOW - 10)
        await service.groups.refresh()
        assert group(house) == (30.0, 5000.0)
    async with house.running() as service:
        assert group(house) == (30.0, 5000.0)
        await house.event("d1", "a", up=True, at=NOW - 20)  # late: it corrects what was exposed
        await service.groups.refresh()
        assert group(house) == (30.0, 5000.0)
        house.site.clock.now += 10
        await house.event("d1", "a", up=False)
        await house.event("d2", "b", up=False)
        await service.groups.refresh()
        house.site.clock.now += 10
        assert group(house) == (30.0, 5020.0)
        house.site.clock.now += 5
        assert group(house) == (35.0, 5025.0)


async def test_only_the_exporter_that_leads_calls_a_hook_and_shows_where_the_pairs_are(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house.running() as service:
        await house.both_up()
        await house.settle()
        monkeypatch.setattr(house.site.recorder.leading, "_until", 0.0)
        await house.event("d1", "a", up=False)
        await house.settle()
        assert house.hooks.calls == []
        assert list(service.active(NOW)) == list(service.pending(NOW)) == []
        assert house.registry.get_sample_value("failover_group_observed_seconds_total", {"channel_id": "a"}) is None
        monkeypatch.undo()
        await eventually(lambda: house.hooks.actions == ["switch"], "it leads again, and calls")
