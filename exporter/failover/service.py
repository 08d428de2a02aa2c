"""Failover in the running exporter: the pairs of the configuration, each with its driver, and what they show.

A reload takes changed pairs into use and tries calls again that were given up: repairing a hook mostly means changing
its URL or secret. A pair that is no longer configured is left as it is; a call that was outstanding is not made.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from prometheus_client import Counter

from exporter.conventions import SELF_PREFIX
from exporter.failover import machine
from exporter.failover.channels import Channels, Status
from exporter.failover.driver import RESULTS, Driver, Surroundings, Switched
from exporter.failover.groups import GroupAccounts
from exporter.failover.machine import ACTIONS, SWITCH, State, View
from exporter.failover.store import Store
from exporter.lib.logs import fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client import CollectorRegistry

    from exporter.config.schema import Failover
    from exporter.domain.accounts import Device
    from exporter.domain.fleet import Change
    from exporter.failover.driver import Sender
    from exporter.failover.machine import Action, Order
    from exporter.failover.sender import Answer
    from exporter.failover.store import Pair
    from exporter.recording.leading import Leading
    from exporter.recording.recorder import Recorder

    Samples = Iterator[tuple[tuple[str, ...], float]]

log = logging.getLogger(__name__)


class LeaderOnly:
    """Lets an attempt be made only by the exporter that leads at that very moment."""

    def __init__(self, sender: Sender, leading: Leading) -> None:
        self._sender = sender
        self._leading = leading

    async def send(self, rule: Failover, order: Order) -> Answer:
        """Make one attempt; NotLeading."""
        _ = self._leading.epoch
        return await self._sender.send(rule, order)


class FailoverService:
    """`start` once the fleet is loaded, then `run` and `groups.run` for as long as the exporter runs."""

    def __init__(
        self,
        recorder: Recorder,
        rules: Callable[[], tuple[Failover, ...]],
        sender: Sender,
        registry: CollectorRegistry,
        *,
        retention: Callable[[], float],
        planned_until: Callable[[Device, float], float | None] = lambda _device, _now: None,
    ) -> None:
        self._recorder = recorder
        self._rules = rules
        self._sender = sender
        self._planned_until = planned_until
        self._channels = Channels(recorder.fleet)
        self._store = Store(recorder.transact, recorder.transact_leading)
        self._drivers: dict[Pair, Driver] = {}
        self._anew = asyncio.Event()
        self._built = False
        self.on_switch: list[Callable[[Switched], None]] = []
        """Called after each call that the hook accepted, and again at a start for one that may not have been told."""
        self.groups = GroupAccounts(
            self._store, recorder.read, recorder.clock, retention, leads=lambda: recorder.leading.leads
        )
        registry.register(self.groups)
        self._calls = Counter(
            f"{SELF_PREFIX}_failover_calls_total",
            "Attempts to call a failover hook by result, and calls that were given up.",
            ["action", "result"],
            registry=registry,
        )
        for action in ACTIONS:
            for result in RESULTS:
                self._calls.labels(action, result)
        recorder.subscribe(self._changed)

    # -- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Load what was decided. JournalUnavailable if it cannot be read."""
        await self._build()
        for driver in self._drivers.values():
            self._tell_again(driver)

    async def lead(self) -> None:
        """Go on where another exporter stopped. JournalUnavailable."""
        self.groups.forget()
        await self.start()

    async def run(self) -> None:
        """Drive all pairs until cancelled; call `start` before."""
        while True:
            resume = self._anew.is_set()
            self._anew.clear()
            if not self._built:
                await self._build(resume=resume)
            self._built = False  # whatever ends the drivers, the store knows better than they how far they came
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(driver.run()) for driver in self._drivers.values()]
                await self._anew.wait()
                for task in running:
                    task.cancel()

    def reconfigure(self) -> None:
        """Take the pairs of the present configuration into use."""
        self._anew.set()

    def reconsider(self) -> None:
        """Look at every pair again: the planned windows changed."""
        for driver in self._drivers.values():
            driver.wake()

    async def _build(self, *, resume: bool = False) -> None:
        rules, now = self._rules(), self._recorder.clock()
        known = await self._store.states() if rules or self._drivers else {}
        self._channels.watch({channel for rule in rules for channel in (rule.channel, rule.backup)})
        drivers: dict[Pair, Driver] = {}
        for rule in rules:
            state = machine.recovered(known.get((rule.channel, rule.backup), State()), now)
            state = machine.resumed(state, now) if resume else state
            drivers[rule.channel, rule.backup] = Driver(rule, state, self._surroundings())
        for pair in self._drivers.keys() - drivers.keys():
            _warn_of_removed(pair, known.get(pair, State()))
        self._drivers = drivers
        await self.groups.watch(drivers)
        self._built = True

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            clock=self._recorder.clock,
            view=self._view,
            save=self._store.save_state,
            sender=LeaderOnly(self._sender, self._recorder.leading),
            counted=lambda action, result: self._calls.labels(action, result).inc(),
            switched=self._switched,
        )

    def _view(self, rule: Failover, now: float) -> View:
        channels = self._channels
        planned = channels.planned_until(rule.channel, now, self._planned_until)
        return View(channels.presence(rule.channel), channels.presence(rule.backup), planned)

    def _changed(self, change: Change) -> None:
        concerned = self._channels.changed(change)
        if not concerned:
            return
        self.groups.changed(change)
        for driver in self._drivers.values():
            if driver.rule.channel in concerned or driver.rule.backup in concerned:
                driver.wake()

    # -- who is told --------------------------------------------------------------------------------------------------

    def _switched(self, switched: Switched) -> None:
        for listener in self.on_switch:
            try:
                listener(switched)
            except Exception:  # failover goes on whatever a listener does
                log.exception("a listener failed", extra=fields(channel_id=switched.channel))

    def _tell_again(self, driver: Driver) -> None:
        """Tell of the last switch once more if nothing happened to the channel since: we may have died before."""
        state, rule = driver.state, driver.rule
        main = self._channels.presence(rule.channel)
        expected = {"backup": Status.DOWN, "main": Status.UP}.get(state.side)
        if state.changed_at and main.status is expected and main.since <= state.changed_at:
            action: Action = SWITCH if state.side == "backup" else machine.SWITCH_BACK
            self._switched(Switched(action, rule.channel, rule.backup, state.changed_at))

    # -- metrics ------------------------------------------------------------------------------------------------------

    def active(self, _now: float) -> Samples:
        """Yield the gauge channel_failover_active."""
        for pair, driver in self._driven():
            yield pair, float(driver.state.side != "main")

    def pending(self, _now: float) -> Samples:
        """Yield the gauge channel_failover_pending with the label action."""
        yield from self._orders(pending=True)

    def failed(self, _now: float) -> Samples:
        """Yield the gauge channel_failover_failed with the label action."""
        yield from self._orders(pending=False)

    def no_backup(self, now: float) -> Samples:
        """Yield the gauge channel_failover_no_backup."""
        for pair, driver in self._driven():
            yield pair, float(machine.no_backup(driver.state, self._view(driver.rule, now), driver.rule))

    def _driven(self) -> list[tuple[Pair, Driver]]:
        """Return the pairs and their drivers; none where another exporter leads, and knows better."""
        return list(self._drivers.items()) if self._recorder.leading.leads else []

    def _orders(self, *, pending: bool) -> Samples:
        for pair, driver in self._driven():
            order = driver.state.order
            for action in ACTIONS:
                matches = order is not None and order.action == action and order.pending is pending
                yield (*pair, action), float(matches)


def _warn_of_removed(pair: Pair, state: State) -> None:
    if state.side != "main" or state.order is not None:
        message = "a failover pair is no longer configured; its traffic may be on the backup"
        log.warning(message, extra=fields(channel_id=pair[0], backup_channel_id=pair[1]))
