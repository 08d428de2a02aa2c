"""Which conversations are active on a channel, and which wait for a human."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.impact.conversations import Conversations, Impact

WINDOW, GRACE, SKEW = 100, 30, 20
NOW = 1_738_056_000


def known(**changes):
    return Conversations(**({"window": WINDOW, "grace": GRACE} | changes))


def say(subject, conversation=1, at=NOW, *, channel="c1", need_human=False, now=NOW, engine="wa", business="b1"):
    subject.record(channel, engine, business, conversation, at, need_human, now)


def shown(subject, now=NOW, channel="c1"):
    counts = {one.channel_id: (one.active, one.waiting) for one in subject.counts(now)}
    return counts.get(channel, (0, 0))


@pytest.mark.parametrize(
    ("messages", "now", "counts"),
    [
        pytest.param([], NOW, (0, 0), id="an unknown channel has none"),
        pytest.param([(1, NOW, False)], NOW, (1, 0), id="one message makes one active conversation"),
        pytest.param([(1, NOW, False)], NOW + 99.9, (1, 0), id="active until just before the window's end"),
        pytest.param([(1, NOW, False)], NOW + 100, (0, 0), id="no longer active at the window's end"),
        pytest.param([(1, NOW, True), (2, NOW, False)], NOW, (2, 1), id="only the one that waits is waiting"),
        pytest.param([(1, NOW, True), (1, NOW + 1, False)], NOW + 1, (1, 0), id="an answer ends the waiting"),
        pytest.param([(1, NOW + 1, False), (1, NOW, True)], NOW + 1, (1, 0), id="a late question does not undo it"),
        pytest.param([(1, NOW, True), (1, NOW, False)], NOW, (1, 1), id="in one second waiting wins"),
        pytest.param([(1, NOW, False), (1, NOW, True)], NOW, (1, 1), id="whatever the order"),
        pytest.param([(1, NOW, True)] * 3, NOW, (1, 1), id="duplicates count once"),
        pytest.param([(1, NOW, False), (1, NOW + 60, False)], NOW + 159, (1, 0), id="each message extends it"),
        pytest.param([(1, NOW + 60, False), (1, NOW, False)], NOW + 159, (1, 0), id="a late one does not shorten it"),
        pytest.param([(1, NOW - 100, False)], NOW, (0, 0), id="a message as old as the window counts for nothing"),
        pytest.param([(1, NOW - 10**6, True)], NOW, (0, 0), id="nor one that is days late"),
        pytest.param([(1, NOW + 20, False)], NOW, (1, 0), id="a message within the skew is heard"),
        pytest.param([(1, NOW - 110, True), (1, NOW, False)], NOW, (1, 0), id="a lapsed conversation can come back"),
    ],
)
def test_counts_follow_the_messages(messages, now, counts):
    subject = known()
    for conversation, at, need_human in messages:
        say(subject, conversation, at, need_human=need_human)

    assert shown(subject, now) == counts


def test_a_conversation_that_lapsed_and_speaks_again_is_counted_once():
    subject = known()
    say(subject, need_human=True)
    assert shown(subject, NOW + 110) == (0, 0)

    say(subject, at=NOW + 115, need_human=True, now=NOW + 115)

    assert shown(subject, NOW + 115) == (1, 1)
    assert shown(subject, NOW + 215) == (0, 0)


def test_channels_are_apart_even_for_the_same_conversation():
    subject = known()
    say(subject, channel="c1", need_human=True)
    say(subject, channel="c2")

    assert [shown(subject, channel=channel) for channel in ("c1", "c2")] == [(1, 1), (1, 0)]
    assert [(one.channel_id, one.active, one.waiting) for one in subject.counts(NOW)] == [("c1", 1, 1), ("c2", 1, 0)]


def test_a_channel_belongs_to_whom_its_newest_message_says():
    subject = known()
    say(subject, at=NOW, engine="wa", business="old")
    say(subject, at=NOW + 5, engine="telegram", business="new")
    say(subject, 2, at=NOW + 1, engine="wa", business="late")

    (channel,) = subject.counts(NOW + 5)
    assert (channel.engine, channel.business_id) == ("telegram", "new")


def test_a_silent_channel_shows_zero_and_then_disappears():
    subject = known()
    say(subject)

    assert [channel.active for channel in subject.counts(NOW + WINDOW + GRACE - 1)] == [0]
    assert list(subject.counts(NOW + WINDOW + GRACE)) == []
    assert subject.size == 0


# The past ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "impact"),
    [
        pytest.param(NOW - 1, Impact(0, 0), id="before its first message"),
        pytest.param(NOW, Impact(1, 1), id="at its first message"),
        pytest.param(NOW + 50, Impact(1, 1), id="between its messages"),
        pytest.param(NOW + 160, Impact(1, 1), id="after its last message"),
        pytest.param(NOW + 165, Impact(0, 0), id="a window after its last message"),
    ],
)
def test_a_disconnect_asks_for_its_own_time(moment, impact):
    subject = known()
    say(subject, at=NOW)
    say(subject, at=NOW + 65, need_human=True)

    assert subject.at("c1", moment) == impact


def test_a_disconnect_of_an_unknown_channel_hurts_nobody():
    assert known().at("c1", NOW) == Impact(0, 0)


def test_a_disconnect_delivered_late_still_finds_what_lapsed_since():
    subject = known()
    say(subject)
    assert shown(subject, NOW + 110) == (0, 0)

    assert subject.at("c1", NOW + 90) == Impact(1, 0)


def test_a_pause_longer_than_the_window_is_a_pause():
    subject = known()
    say(subject, at=NOW)
    say(subject, at=NOW + 120, now=NOW + 120)

    assert [subject.at("c1", NOW + moment).active for moment in (99, 100, 119, 120)] == [1, 0, 0, 1]


def test_a_late_message_fills_a_pause():
    subject = known()
    say(subject, at=NOW)
    say(subject, at=NOW + 120, now=NOW + 120)
    say(subject, at=NOW + 60, now=NOW + 121)

    assert [subject.at("c1", NOW + moment).active for moment in (99, 100, 119, 120)] == [1, 1, 1, 1]


def test_a_late_message_can_end_the_run_before():
    subject = known()
    say(subject, at=NOW)
    say(subject, at=NOW - 115)

    assert [subject.at("c1", NOW + moment).active for moment in (-25, -15, -1, 0)] == [1, 0, 0, 1]


# Bounds ----------------------------------------------------------------------------------------


def test_beyond_the_limit_the_longest_silent_is_forgotten():
    subject = known(limit=3)
    for conversation in (1, 2, 3):
        say(subject, conversation, at=NOW + conversation)
    say(subject, 1, at=NOW + 10)
    say(subject, 4, at=NOW + 11)

    kept = [row.conversation for row in subject.take_changes(10)]
    assert sorted(kept) == [1, 3, 4]
    assert (subject.size, shown(subject, NOW + 11)) == (3, (3, 0))


def test_what_lapsed_is_forgotten_before_what_is_active():
    subject = known(limit=2)
    say(subject, 1)
    say(subject, 2, at=NOW + 50, now=NOW + 50)
    subject.expire(NOW + 110)
    say(subject, 3, at=NOW + 110, now=NOW + 110)

    assert shown(subject, NOW + 110) == (2, 0)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40), st.integers(-150, 20), st.booleans()), max_size=120))
def test_memory_is_bounded_whatever_arrives(messages):
    subject = known(limit=10)
    for index, (channel, conversation, offset, need_human) in enumerate(messages):
        say(subject, conversation, NOW + index + offset, channel=f"c{channel}", need_human=need_human, now=NOW + index)

        conversations = sum(len(one.conversations) for one in subject.channels.values())
        assert subject.size == conversations <= 10
        assert len(subject._queue) + len(subject._lapsed) == conversations
        assert len(subject._changed) <= conversations
        assert all(one.conversations for one in subject.channels.values())


# Against a brute-force oracle ------------------------------------------------------------------------------------


class Oracle:
    """Keeps every message and counts from scratch."""

    def __init__(self):
        self.messages = {}

    def record(self, channel, conversation, at, need_human):
        self.messages.setdefault((channel, conversation), set()).add((at, need_human))

    def now(self, channel, now):
        newest = [max(messages) for (where, _), messages in self.messages.items() if where == channel]
        return self._counts(need_human for at, need_human in newest if now - at < WINDOW)

    def at(self, channel, moment):
        return Impact(
            *self._counts(
                max(messages)[1]
                for (where, _), messages in self.messages.items()
                if where == channel and any(0 <= moment - at < WINDOW for at, _ in messages)
            )
        )

    @staticmethod
    def _counts(waiting):
        found = list(waiting)
        return len(found), sum(found)


steps = st.lists(
    st.tuples(
        st.sampled_from(["c1", "c2"]),
        st.integers(1, 4),
        st.one_of(st.integers(-3 * WINDOW, SKEW), st.integers(-10, 0)),
        st.booleans(),
        st.integers(0, 60),
    ),
    max_size=40,
)


@given(steps=steps, back=st.integers(-SKEW, GRACE), restart_at=st.integers(0, 40))
def test_any_order_of_messages_agrees_with_counting_from_scratch(steps, back, restart_at):
    subject, oracle, now, rows = known(), Oracle(), NOW, {}
    for index, (channel, conversation, offset, need_human, pause) in enumerate(steps):
        now += pause
        say(subject, conversation, now + offset, channel=channel, need_human=need_human, now=now)
        oracle.record(channel, conversation, now + offset, need_human)
        rows |= {(row.channel_id, row.conversation): row for row in subject.take_changes(100)}
        if index == restart_at:
            subject = known()
            subject.restore(sorted(rows.values(), key=lambda row: row.last), now)
        for where in ("c1", "c2"):
            assert subject.at(where, now - back) == oracle.at(where, now - back)
            assert shown(subject, now, where) == oracle.now(where, now)
