"""How many texts a target gets within an hour, on explicit times."""

from __future__ import annotations

from exporter.notify.quota import Quota, Verdict

SEND, SAY_SO, HOLD = Verdict.SEND, Verdict.SAY_SO, Verdict.HOLD


def test_after_so_many_texts_one_says_so_and_the_rest_are_held_until_the_hour_is_over() -> None:
    quota = Quota()
    assert [quota.judge("sms", bytes([n]), 2, 100.0 + n) for n in range(5)] == [SEND, SEND, SAY_SO, HOLD, HOLD]
    assert quota.free_at("sms") == 3700
    assert quota.judge("sms", b"later", 2, 3699.9) is HOLD
    assert quota.judge("sms", b"later", 2, 3700) is SEND
    assert quota.judge("sms", b"and", 2, 3700.5) is SAY_SO


def test_a_text_that_is_tried_again_counts_once_and_so_does_what_says_so() -> None:
    quota = Quota()
    assert [quota.judge("sms", text, 1, 100) for text in (b"a", b"a", b"b", b"b", b"c")] == [
        SEND,
        SEND,
        SAY_SO,
        SAY_SO,
        HOLD,
    ]


def test_each_target_has_its_own_and_a_limit_of_nothing_is_none() -> None:
    quota = Quota()
    assert quota.judge("sms", b"a", 1, 100) is SEND
    assert quota.judge("management", b"b", 1, 100) is SEND
    assert {quota.judge("all", bytes([n]), 0, 100) for n in range(100)} == {SEND}
