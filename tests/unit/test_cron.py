"""Cron expressions: what cron(5) has, and nothing else."""

from __future__ import annotations

from datetime import date

import pytest

from exporter.lib.cron import parse_cron

REFUSED = {
    "chance": ("R 2 * * *", "minute: 'R' is not|minute: expected a number"),
    "chance in a range": ("R(0-5) 2 * * *", "minute: 'R\\(0-5\\)' is not what cron"),
    "a hash of the name": ("H 2 * * *", "minute: expected a number from 0 to 59, got 'H'"),
    "the last day": ("0 2 L * *", "day of the month: expected a number from 1 to 31, got 'L'"),
    "the last Friday": ("0 2 * * L5", "day of the week: expected a number"),
    "the second Monday": ("0 2 * * 1#2", "day of the week: '1#2' is not what cron"),
    "a question mark": ("0 2 ? * *", "day of the month: '\\?' is not"),
    "seconds": ("0 0 2 * * *", "five fields"),
    "four fields": ("0 2 * *", "five fields"),
    "a nickname": ("@daily", "five fields"),
    "nothing": ("", "five fields"),
    "a minute that no hour has": ("61 * * * *", "minute: expected a number from 0 to 59, got '61'"),
    "a name that no month has": ("0 2 * foo *", "month: expected a number from 1 to 12 or a name such as jan"),
    "a range that runs backwards": ("0 22-2 * * *", "hour: the range 22-2 runs backwards"),
    "a step behind a number": ("5/15 * * * *", "minute: '5/15': a step"),
    "a step of nothing": ("*/0 * * * *", "minute: '\\*/0': a step"),
    "an empty part": ("1,,2 * * * *", "minute: '' is not"),
    "digits of another script": ("\u0663 * * * *", "minute: '.' is not"),
    "30 February": ("0 2 30 2 *", "never comes round"),
    "31 April, June or November": ("0 2 31 4,6,11 *", "never comes round"),
    "a text without end": ("0 2 * * " + "1," * 1000 + "1", "five fields"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cron_does_not_have_is_refused_with_the_place(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_cron(text)


DAYS = {
    "any day": ("0 0 * * *", ["2026-02-01", "2026-02-02", "2026-02-03"]),
    "a day of the month": ("0 0 15 * *", ["2026-02-15", "2026-03-15", "2026-04-15"]),
    "a weekday by name": ("0 0 * * Sun", ["2026-02-01", "2026-02-08", "2026-02-15"]),
    "Sunday as 7": ("0 0 * * 7", ["2026-02-01", "2026-02-08", "2026-02-15"]),
    "up to Sunday": ("0 0 * * 6-7", ["2026-02-01", "2026-02-07", "2026-02-08"]),
    "one of both suffices": ("0 0 10 * 1", ["2026-02-02", "2026-02-09", "2026-02-10"]),
    "both where one begins with a star": ("0 0 */2 * 1", ["2026-02-09", "2026-02-23", "2026-03-09"]),
    "months by name": ("0 0 1 mar,DEC *", ["2026-03-01", "2026-12-01", "2027-03-01"]),
    "29 February": ("0 0 29 2 *", ["2028-02-29", "2032-02-29", "2036-02-29"]),
    "29 February that is a Sunday, Wednesday or Saturday": ("0 0 29 2 */3", ["2032-02-29", "2040-02-29", "2048-02-29"]),
}


@pytest.mark.parametrize(("text", "expected"), DAYS.values(), ids=DAYS)
def test_the_days_of_an_expression(text: str, expected: list[str]) -> None:
    cron = parse_cron(text)
    days = cron.days_from(date(2026, 2, 1))
    assert [next(days).isoformat() for _ in expected] == expected
    assert [cron.day_up_to(date.fromisoformat(day)) for day in expected] == [
        date.fromisoformat(day) for day in expected
    ]


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("30 2 * * *", [150]), ("0 8-10/2 * * *", [480, 600]), ("*/30 0 * * *", [0, 30]), ("5,1 1 * * *", [61, 65])],
)
def test_the_minutes_of_an_expression(text: str, minutes: list[int]) -> None:
    assert list(parse_cron(text).minutes) == minutes
