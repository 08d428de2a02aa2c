"""The state machine of failover: timelines on a fake clock, and what holds for any of them."""

from __future__ import annotations

from itertools import count

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.schema import Failover, Hook
from exporter.failover import machine
from exporter.failover.channels import Presence, Status
from exporter.failover.machine import State, View

RULE = Failover(channel="a", backup="b", hook=Hook(url="http://hook", secret="s"))
UP, DOWN, UNKNOWN = Status.UP, Status.DOWN, Status.UNKNOWN


class Line:
    """A pair on a time line: seconds from 0, the main channel and its backup up since long ago."""

    def __init__(self, rule: Failover = RULE) -> None:
        self.rule = rule
        self.now = 0.0
        self.state = State()
        self.main = Presence(UP, -100_000)
        self.backup = Presence(UP, -100_000)
        self.planned_until: float | None = None
        self._keys = count(1)
        self.calls: list[tuple[float, str, str]] = []

    @property
    def view(self) -> View:
        planned = self.planned_until if self.planned_until is not None and self.planned_until > self.now else None
        return View(self.main, self.backup, planned)

    def look(self) -> None:
        self.state = machine.decide(self.state, self.view, self.rule, self.now, lambda: f"key{next(self._keys)}")

    def at(self, now: float, *, main: Status | None = None, backup: Status | None = None) -> Line:
        self.now = now
        if main is not None:
            self.main = Presence(main, int(now))
        if backup is not None:
            self.backup = Presence(backup, int(now))
        self.look()
        return self

    @property
    def due(self) -> bool:
        order = self.state.order
        return order is not None and machine.may_send(self.state, self.view) and order.next_at <= self.now

    def call(self, answer: str = "ok", *, jitter: float = 1.0) -> Line:
        """Attempt the outstanding call if it is due."""
        if not self.due:
            return self
        self.state = machine.started(self.state, self.now)
        order = self.state.order
        assert order is not None
        self.calls.append((self.now, order.action, order.key))
        if answer == "ok":
            self.state = machine.succeeded(self.state, self.now)
        elif answer == "crash":
            self.state = machine.recovered(self.state, self.now)
        else:
            self.state = machine.failed(
                self.state, self.rule, self.now, perhaps_done=answer == "timeout", jitter=jitter
            )
        self.look()
        return self

    @property
    def actions(self) -> list[tuple[float, str]]:
        return [(at, action) for at, action, _ in self.calls]

    @property
    def no_backup(self) -> bool:
        return machine.no_backup(self.state, self.view, self.rule)


def test_a_channel_that_goes_down_is_switched_at_once_and_back_when_it_was_up_for_long_enough():
    line = Line().at(10, main=DOWN).call()
    assert (line.actions, line.state.side) == ([(10, "switch")], "backup")
    line.at(100, main=UP).call()
    line.at(399).call()
    assert line.state.side == "backup"
    line.at(400).call()
    assert (line.actions, line.state.side) == ([(10, "switch"), (400, "switch_back")], "main")


def test_a_flapping_channel_does_not_flip_its_customers():
    line = Line().at(0, main=DOWN).call()
    for at in range(100, 3000, 200):
        line.at(at, main=UP).call()
        line.at(at + 100, main=DOWN).call()
    assert line.actions == [(0, "switch")]
    line.at(3100, main=UP).at(3400).call()
    assert line.actions[1:] == [(3400, "switch_back")]


@pytest.mark.parametrize("backup", [DOWN, UNKNOWN], ids=["a backup that is down", "a backup nobody ever heard of"])
def test_nothing_is_switched_to(backup: Status):
    line = Line().at(0, backup=backup).at(10, main=DOWN).call()
    assert (line.actions, line.no_backup) == ([], True)
    line.at(60, backup=UP).call()
    assert (line.actions, line.no_backup) == ([(60, "switch")], False)


def test_an_unknown_channel_is_not_switched():
    line = Line().at(0, main=UNKNOWN).call()
    assert (line.actions, line.no_backup) == ([], False)


def test_a_backup_that_dies_before_the_first_attempt_is_not_called_for():
    line = Line().at(0, main=DOWN).at(1, backup=DOWN).call()
    assert (line.actions, line.state.order, line.no_backup) == ([], None, True)


def test_a_backup_that_dies_between_attempts_holds_the_call_under_its_key():
    line = Line().at(0, main=DOWN).call("timeout")
    line.at(5, backup=DOWN).call()
    assert (line.actions, line.no_backup) == ([(0, "switch")], True)
    assert machine.next_time(line.state, line.view, RULE) is None
    line.at(5000, backup=UP).call("timeout").at(5300).call()
    assert [key for _, _, key in line.calls] == ["key1", "key1", "key1"]
    assert line.state.side == "backup"


def test_a_backup_that_dies_after_the_switch_gives_the_traffic_back_at_once_if_the_channel_is_up():
    line = Line().at(0, main=DOWN).call().at(10, main=UP).at(20, backup=DOWN).call()
    assert line.actions == [(0, "switch"), (20, "switch_back")]


def test_a_backup_that_dies_after_the_switch_while_the_channel_is_down_leaves_nobody():
    line = Line().at(0, main=DOWN).call().at(20, backup=DOWN).call()
    assert (line.actions, line.no_backup) == ([(0, "switch")], True)
    line.at(30, main=UP).call()
    assert (line.actions[1:], line.no_backup) == ([(30, "switch_back")], False)


def test_a_channel_that_recovers_before_the_first_attempt_is_left_alone():
    line = Line().at(0, main=DOWN).at(1, main=UP).call()
    assert (line.actions, line.state) == ([], State(sequence=1))


def test_after_refused_attempts_a_recovered_channel_needs_no_switch_back():
    line = Line().at(0, main=DOWN).call("refused").at(5, main=UP).at(1000).call()
    assert (line.actions, line.state.side) == ([(0, "switch")], "main")


@pytest.mark.parametrize("answer", ["timeout", "crash"])
def test_after_an_attempt_that_may_have_worked_a_recovered_channel_gets_a_switch_back(answer: str):
    line = Line().at(0, main=DOWN).call(answer).at(5, main=UP).call()
    assert line.state.side == "unsure"
    line.at(305).call()
    assert (line.actions, line.state.side) == ([(0, "switch"), (305, "switch_back")], "main")


def test_a_refusal_after_an_attempt_that_may_have_worked_proves_nothing():
    line = Line().at(0, main=DOWN).call("timeout").at(1).call("refused").at(5, main=UP)
    assert line.state.side == "unsure"


def test_after_an_attempt_that_may_have_worked_the_next_outage_is_a_decision_of_its_own():
    line = Line().at(0, main=DOWN).call("timeout").at(5, main=UP).at(9, main=DOWN).call()
    assert line.calls == [(0, "switch", "key1"), (9, "switch", "key2")]


def test_a_channel_that_goes_down_again_is_not_switched_back_to():
    line = Line().at(0, main=DOWN).call().at(10, main=UP).at(310).call("timeout").at(311, main=DOWN).call()
    assert line.actions == [(0, "switch"), (310, "switch_back"), (311, "switch")]
    assert line.state.side == "backup"


def test_a_channel_that_flapped_unseen_during_an_attempt_must_be_stable_anew():
    line = Line().at(0, main=DOWN).call().at(10, main=UP).at(310).call("refused")
    line.at(320, main=UP).call()
    assert (line.state.order, line.state.side) == (None, "backup")
    line.at(620).call()
    assert line.actions[-1] == (620, "switch_back")


def test_retries_back_off_from_one_second_to_a_minute_with_jitter():
    line = Line().at(0, main=DOWN).call("refused", jitter=1.0)
    waits = []
    for _ in range(9):
        order = line.state.order
        assert order is not None
        waits.append(order.next_at - line.now)
        line.at(order.next_at - 0.001).call("refused")
        line.at(order.next_at).call("refused")
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert len(line.calls) == 10
    low = Line().at(0, main=DOWN).call("refused", jitter=0.0)
    assert low.state.order is not None
    assert low.state.order.next_at == 0.5


def test_a_call_is_given_up_after_its_time_and_not_before():
    line = Line().at(0, main=DOWN).call("refused")
    for now in (599, 599.9):
        line.at(now)
        line.state = msgspec.structs.replace(line.state, order=msgspec.structs.replace(line.state.order, next_at=now))
        line.call("refused")
        assert line.state.order.pending
    line.at(700).call("refused")
    assert not line.state.order.pending
    line.at(10_000).call()
    assert len(line.calls) == 4


def test_the_backoff_does_not_put_off_giving_up():
    line = Line().at(0, main=DOWN).call("refused", jitter=1.0)
    while line.state.order.pending:
        line.at(line.state.order.next_at).call("refused", jitter=1.0)
    assert line.now == 600


def test_a_call_that_waited_through_a_long_stop_of_ours_is_still_made():
    line = Line().at(0, main=DOWN)
    line.at(86_400).call()
    assert line.actions == [(86_400, "switch")]


def test_a_reload_tries_again_what_was_given_up_under_the_same_key():
    line = Line().at(0, main=DOWN).call("refused").at(700).call("refused")
    assert not line.state.order.pending
    line.state = machine.resumed(line.state, line.now)
    line.call()
    assert [key for _, _, key in line.calls] == ["key1", "key1", "key1"]
    assert line.state.side == "backup"


def test_inside_a_planned_window_nothing_is_switched_until_it_ends():
    line = Line()
    line.planned_until = 1000
    line.at(10, main=DOWN).call()
    assert (line.actions, line.no_backup) == ([], False)
    assert machine.next_time(line.state, line.view, RULE) == 1000
    line.at(1000).call()
    assert line.actions == [(1000, "switch")]


def test_inside_a_planned_window_a_backup_that_is_down_too_alarms_nobody():
    line = Line()
    line.planned_until = 1000
    line.at(10, main=DOWN, backup=DOWN)
    assert not line.no_backup
    line.at(1000)
    assert line.no_backup


def test_inside_a_planned_window_it_is_switched_where_the_pair_asks_for_it():
    line = Line(msgspec.structs.replace(RULE, in_maintenance=True))
    line.planned_until = 1000
    line.at(10, main=DOWN).call()
    assert line.actions == [(10, "switch")]


def test_a_planned_window_keeps_the_traffic_on_the_backup_while_that_is_up():
    line = Line().at(0, main=DOWN).call()
    line.planned_until = 2000
    line.at(100, main=UP).at(1000).call()
    assert machine.next_time(line.state, line.view, RULE) == 2000
    assert line.actions == [(0, "switch")]
    line.at(1500, backup=DOWN).call()
    assert line.actions[1:] == [(1500, "switch_back")]


def test_the_planned_window_of_the_channel_hides_no_backup_that_died_under_its_traffic():
    line = Line().at(0, main=DOWN).call()
    line.planned_until = 2000
    line.at(100, backup=DOWN)
    assert line.no_backup


# What holds for any time line ------------------------------------------------------------------------------------

STATUS = st.sampled_from([UP, DOWN, UNKNOWN])
STEPS = st.one_of(
    st.tuples(st.just("main"), STATUS),
    st.tuples(st.just("backup"), STATUS),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 2.0, 30.0, 299.0, 300.0, 700.0])),
    st.tuples(st.just("plan"), st.sampled_from([100.0, 1000.0])),
    st.tuples(st.just("call"), st.sampled_from(["ok", "refused", "timeout", "timeout that worked", "crash"])),
    st.tuples(st.just("reload"), st.just(None)),
)


class Play:
    """A time line against a hook whose real state is known."""

    def __init__(self) -> None:
        self.line = Line()
        self.real = "main"
        self.sequences: dict[str, int] = {}

    def run(self, steps: list[tuple[str, object]]) -> Line:
        for kind, value in steps:
            getattr(self, kind)(value)
            self.check()
        return self.line

    def main(self, status: Status) -> None:
        self.line.at(self.line.now + 1, main=status)

    def backup(self, status: Status) -> None:
        self.line.at(self.line.now + 1, backup=status)

    def wait(self, seconds: float) -> None:
        self.line.at(self.line.now + seconds)

    def plan(self, seconds: float) -> None:
        self.line.planned_until = self.line.now + seconds
        self.line.look()

    def reload(self, _: object) -> None:
        self.line.state = machine.resumed(self.line.state, self.line.now)
        self.line.look()

    def call(self, answer: str) -> None:
        if not self.line.due:
            return
        self.check_call()
        if answer in {"ok", "timeout that worked", "crash"}:
            self.real = "backup" if self.line.state.order.action == "switch" else "main"
        self.line.call("timeout" if answer == "timeout that worked" else answer)

    def check_call(self) -> None:
        line, order = self.line, self.line.state.order
        target = line.backup if order.action == "switch" else line.main
        assert target.status is UP, "never towards a channel that is not up"
        assert self.sequences.setdefault(order.key, order.sequence) == order.sequence
        assert order.sequence == max(self.sequences.values()), "never an older call after a newer one"
        assert len(set(self.sequences.values())) == len(self.sequences), "one decision, one key"
        if order.action == "switch_back" and not order.attempts:
            assert line.now - line.main.since >= 300 or line.backup.status is not UP

    def check(self) -> None:
        line, order = self.line, self.line.state.order
        if line.state.side != "unsure" and not (order is not None and order.perhaps_done):
            assert line.state.side == self.real, "we know where the traffic is, or know that we do not"
        assert machine.decide(line.state, line.view, RULE, line.now, pytest.fail) is line.state, "one look is enough"
        next_time = machine.next_time(line.state, line.view, RULE)
        assert line.due or next_time is None or next_time > line.now, "nobody looks again and again"


@given(st.lists(STEPS, max_size=60))
def test_for_any_time_line_no_call_goes_astray(steps: list[tuple[str, object]]):
    Play().run(steps)


@given(st.lists(STEPS, max_size=60))
def test_after_any_time_line_a_calm_world_has_the_traffic_where_it_belongs(steps: list[tuple[str, object]]):
    line = Play().run(steps)
    line.planned_until = None
    line.at(line.now + 1, main=UP, backup=UP)
    for _ in range(4):
        line.state = machine.resumed(line.state, line.now)
        line.at(line.now + 400).call()
    assert line.state.side == "main"
    line.at(line.now + 1, main=DOWN).call()
    assert line.state.side == "backup"
