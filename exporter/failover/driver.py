"""Runs one pair: looks at both channels, makes each decision durable, then calls the hook.

Guarantees: nothing is sent that is not in the store before, with its key; both channels are looked at again just before
each call; an answer that cannot be stored is stored later, and until then nothing else happens. A process that dies in
between sends the same call again, under the same key, while it is still wanted.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from exporter.errors import JournalUnavailable
from exporter.failover import machine
from exporter.lib.logs import RateLimited, fields
from exporter.lib.waiting import Wake

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from exporter.config.schema import Failover
    from exporter.failover.machine import Action, Order, State, View
    from exporter.failover.sender import Answer

log = logging.getLogger(__name__)

OK: Final = "ok"
ERROR: Final = "error"
GAVE_UP: Final = "gave_up"
RESULTS: Final = (OK, ERROR, GAVE_UP)
LONGEST_SLEEP: Final = 60.0
RETRY: Final = 1.0


class Switched(NamedTuple):
    """The hook accepted a call. `at` is Unix seconds."""

    action: Action
    channel: str
    backup: str
    at: float


class Sender(Protocol):
    """Makes one attempt."""

    async def send(self, rule: Failover, order: Order) -> Answer:
        """Return what became of it; never raises for what the hook or the network does."""


class Surroundings(NamedTuple):
    """What a driver needs of the rest; one for all drivers."""

    clock: Callable[[], float]
    view: Callable[[Failover, float], View]
    save: Callable[[tuple[str, str], State], Awaitable[None]]
    sender: Sender
    counted: Callable[[Action, str], None]
    """(action, one of RESULTS)"""
    switched: Callable[[Switched], None]


class Driver:
    """One pair. `state` is what the store holds."""

    def __init__(self, rule: Failover, state: State, around: Surroundings) -> None:
        self.rule = rule
        self.state = state
        self._around = around
        self._wake = Wake()
        self._warn = RateLimited(log, per_minute=1)

    def wake(self) -> None:
        """Look at both channels again."""
        self._wake.set()

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            try:
                await self.step()
                self._warn.flush()
            except JournalUnavailable as error:
                await self._wait_for_journal(error)

    async def step(self) -> None:
        """Do the next thing: decide, call the hook, or sleep until there is something to do."""
        now = self._around.clock()
        view = self._around.view(self.rule, now)
        state = machine.decide(self.state, view, self.rule, now, new_key)
        if state is not self.state:
            self._log_decision(self.state, state)
            await self._keep(state)
        elif state.order is not None and machine.may_send(state, view) and state.order.next_at <= now:
            await self._attempt()
        else:
            await self._sleep(machine.next_time(state, view, self.rule))

    async def _attempt(self) -> None:
        await self._keep(machine.started(self.state, self._around.clock()))
        order, view = self.state.order, self._around.view(self.rule, self._around.clock())
        if order is None or not machine.may_send(self.state, view):  # a channel changed while that was written
            await self._keep(machine.unsent(self.state))
            return
        answer = await self._around.sender.send(self.rule, order)
        now = self._around.clock()
        if answer.accepted:
            state = machine.succeeded(self.state, now)
        else:
            jitter, perhaps_done = random.random(), answer.perhaps_done  # noqa: S311 - jitter
            state = machine.failed(self.state, self.rule, now, perhaps_done=perhaps_done, jitter=jitter)
        await self._keep_surely(state)
        self._tell(order, answer, state)

    def _tell(self, order: Order, answer: Answer, state: State) -> None:
        facts = {**self._ids(), "action": order.action, "attempts": order.attempts}
        self._around.counted(order.action, OK if answer.accepted else ERROR)
        if answer.accepted:
            log.info("the failover hook accepted a call", extra=fields(**facts))
            self._around.switched(Switched(order.action, self.rule.channel, self.rule.backup, state.changed_at))
            return
        log.warning("the failover hook failed", extra=fields(**facts, reason=answer.reason))
        if state.order is not None and not state.order.pending:
            self._around.counted(order.action, GAVE_UP)
            log.error("a failover call was given up", extra=fields(**facts))

    async def _keep(self, state: State) -> None:
        await self._around.save((self.rule.channel, self.rule.backup), state)
        self.state = state

    async def _wait_for_journal(self, error: JournalUnavailable) -> None:
        told = {**self._ids(), "error": str(error)}
        self._warn.warning("journal_failing", "failover waits for the journal", **told)
        await asyncio.sleep(RETRY)

    async def _keep_surely(self, state: State) -> None:
        while True:
            try:
                return await self._keep(state)
            except JournalUnavailable as error:
                await self._wait_for_journal(error)

    async def _sleep(self, until: float | None) -> None:
        wait = LONGEST_SLEEP if until is None else min(LONGEST_SLEEP, until - self._around.clock())
        await self._wake.wait(max(0.01, wait))

    def _log_decision(self, before: State, after: State) -> None:
        if after.order is None and before.order is not None:
            log.info("a failover call is no longer wanted", extra=fields(**self._ids(), action=before.order.action))
        elif after.order is not None and before.order is None:
            log.info("failover decided", extra=fields(**self._ids(), action=after.order.action))

    def _ids(self) -> dict[str, str]:
        return {"channel_id": self.rule.channel, "backup_channel_id": self.rule.backup}


def new_key() -> str:
    """Return an idempotency key."""
    return uuid.uuid4().hex
