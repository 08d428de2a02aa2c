"""What to do about one pair of channels: a pure state machine. No clock, no I/O, no randomness.

Guarantees, for any order of events, answers and restarts:
- At most one call is outstanding.
- A call is ordered and attempted only while its target is up: the backup for a switch, the channel for a switch back.
- A call keeps its idempotency key until it has succeeded or is no longer wanted; another decision has another key.
- A channel gets its traffic back only after it has been up for `switch_back_after`, unless its backup fails it.

`side` is where the traffic is as far as we know. It is `unsure` after a call that may have worked, whose answer we
never heard, was no longer wanted: the next call, whichever it is, settles it.
Times are Unix seconds; `since` of presences are event times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

from exporter.failover.channels import Presence, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.config.schema import Failover

Action = Literal["switch", "switch_back"]
Side = Literal["main", "backup", "unsure"]

SWITCH: Final = "switch"
SWITCH_BACK: Final = "switch_back"
ACTIONS: Final[tuple[Action, ...]] = (SWITCH, SWITCH_BACK)
FIRST_BACKOFF: Final = 1.0
LAST_BACKOFF: Final = 60.0


class Order(msgspec.Struct, frozen=True):
    """A call that was decided and has not succeeded yet."""

    action: Action
    key: str
    """The idempotency key."""
    sequence: int
    """Counts the decisions of the pair, so that the hook can ignore an older call that arrives late."""
    at: float
    """When it was decided."""
    since: int
    """Event time since when the channel has been down (switch) or up (switch back)."""
    attempts: int = 0
    failures: int = 0
    """Failed attempts in a row; the backoff follows them."""
    next_at: float = 0.0
    tried_from: float | None = None
    """First attempt since it was decided or resumed; what `give_up_after` counts from."""
    sending: bool = False
    """An attempt is under way, or was when the process died."""
    perhaps_done: bool = False
    """Some attempt may have worked although we do not know of it."""
    held: bool = False
    """Waits for a backup that went down after an attempt."""
    gave_up_at: float | None = None

    @property
    def pending(self) -> bool:
        """Whether it is still being tried."""
        return self.gave_up_at is None


class State(msgspec.Struct, frozen=True):
    """What must survive a restart."""

    side: Side = "main"
    sequence: int = 0
    order: Order | None = None
    changed_at: float = 0.0
    """When the hook last accepted a call; 0: never."""


class View(NamedTuple):
    """Both channels at one moment, and whether work on the channel is planned."""

    main: Presence
    backup: Presence
    planned_until: float | None = None
    """End of the planned window that the channel is in; None outside of one."""


def decide(state: State, view: View, rule: Failover, now: float, new_key: Callable[[], str]) -> State:
    """Return the state after a look at both channels: an order withdrawn, held, resumed or made, or the same object."""
    state = _revised(state, view, rule, now)
    if state.order is not None:
        return state
    action = _wanted(state, view, rule, now)
    if action is None:
        return state
    sequence = state.sequence + 1
    order = Order(action, new_key(), sequence, now, view.main.since, next_at=now)
    return msgspec.structs.replace(state, sequence=sequence, order=order)


def may_send(state: State, view: View) -> bool:
    """Tell whether the outstanding call may be attempted as things are now. Ask right before every attempt."""
    order = state.order
    return order is not None and order.pending and _sensible(order.action, view)


def next_time(state: State, view: View, rule: Failover) -> float | None:
    """Return when time alone calls for another look; None: only an event does."""
    times: list[float] = []
    if state.order is not None:
        if may_send(state, view):
            times.append(state.order.next_at)
    elif state.side != "main" and view.main.status is Status.UP and not _planned(view, rule):
        times.append(view.main.since + rule.switch_back_after)
    if view.planned_until is not None:
        times.append(view.planned_until)
    return min(times, default=None)


def no_backup(state: State, view: View, rule: Failover) -> bool:
    """Tell whether the channel's customers are without any channel, other than by planned work on the channel."""
    if view.backup.status is Status.UP:
        return False
    if state.side == "main":
        return view.main.status is Status.DOWN and not _planned(view, rule)
    return view.main.status is not Status.UP


# What happens to the outstanding call ----------------------------------------------------------------------------


def started(state: State, now: float) -> State:
    """Return the state with an attempt under way: make it durable before the call."""
    order = _outstanding(state)
    tried_from = now if order.tried_from is None else order.tried_from
    return _with(state, attempts=order.attempts + 1, sending=True, tried_from=tried_from)


def unsent(state: State) -> State:
    """Return the state after a started attempt that was not made after all."""
    return _with(state, attempts=_outstanding(state).attempts - 1, sending=False)


def succeeded(state: State, now: float) -> State:
    """Return the state after the hook accepted the call."""
    side: Side = "backup" if _outstanding(state).action == SWITCH else "main"
    return State(side, state.sequence, changed_at=now)


def failed(state: State, rule: Failover, now: float, *, perhaps_done: bool, jitter: float) -> State:
    """Return the state after a failed attempt: the next one is due after a backoff, or none is.

    `perhaps_done`: it may have worked all the same, as after a time-out. `jitter`: 0 to 1.
    """
    order = _outstanding(state)
    failures = order.failures + 1
    backoff = min(LAST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(failures - 1, 16)) * (0.5 + jitter / 2)
    limit = (now if order.tried_from is None else order.tried_from) + rule.give_up_after
    given_up = now >= limit
    # a backoff does not reach beyond the limit: the last attempt is made there, and then people are told
    due = now + backoff if given_up else min(now + backoff, limit)
    return _with(
        state,
        sending=False,
        failures=failures,
        perhaps_done=order.perhaps_done or perhaps_done,
        next_at=due,
        gave_up_at=now if given_up else None,
    )


def recovered(state: State, now: float) -> State:
    """Return the state as a restart must take it: an attempt that was under way may have worked."""
    if state.order is None or not state.order.sending:
        return state
    return _with(state, sending=False, perhaps_done=True, next_at=now)


def resumed(state: State, now: float) -> State:
    """Return the state with a call that was given up being tried again, under its key."""
    if state.order is None or state.order.pending:
        return state
    return _with(state, gave_up_at=None, failures=0, tried_from=None, next_at=now)


# Decisions -------------------------------------------------------------------------------------------------------


def _wanted(state: State, view: View, rule: Failover, now: float) -> Action | None:
    if view.main.status is Status.DOWN and state.side != "backup":
        return SWITCH if _may_begin(SWITCH, view, rule, now) else None
    if view.main.status is Status.UP and state.side != "main":
        return SWITCH_BACK if _may_begin(SWITCH_BACK, view, rule, now) else None
    return None


def _revised(state: State, view: View, rule: Failover, now: float) -> State:
    """Return the state without an order that makes no sense any more, or with one that waits or goes on."""
    order = state.order
    if order is None:
        return state
    if _over(order, view) or (not order.attempts and not _may_begin(order.action, view, rule, now)):
        side: Side = "unsure" if order.perhaps_done or order.sending else state.side
        return State(side, state.sequence, changed_at=state.changed_at)
    sensible = _sensible(order.action, view)
    if not sensible and not order.held:
        return _with(state, held=True)
    if sensible and order.held:
        return _with(state, held=False, failures=0, tried_from=None, gave_up_at=None, next_at=now)
    return state


def _over(order: Order, view: View) -> bool:
    """Tell whether what the call was decided for is over: the channel's outage, or its time without a break."""
    if order.action == SWITCH:
        return view.main.status is not Status.DOWN
    return view.main.status is not Status.UP or view.main.since > order.since


def _may_begin(action: Action, view: View, rule: Failover, now: float) -> bool:
    """Tell whether the call may be attempted for the first time."""
    if action == SWITCH:
        return _sensible(SWITCH, view) and not _planned(view, rule)
    stable = not _planned(view, rule) and now >= view.main.since + rule.switch_back_after
    return _sensible(SWITCH_BACK, view) and (stable or view.backup.status is not Status.UP)


def _sensible(action: Action, view: View) -> bool:
    if action == SWITCH:
        return view.main.status is Status.DOWN and view.backup.status is Status.UP
    return view.main.status is Status.UP


def _planned(view: View, rule: Failover) -> bool:
    return view.planned_until is not None and not rule.in_maintenance


def _outstanding(state: State) -> Order:
    if state.order is None:
        raise ValueError("no call is outstanding")
    return state.order


def _with(state: State, **changes: object) -> State:
    return msgspec.structs.replace(state, order=msgspec.structs.replace(_outstanding(state), **changes))
