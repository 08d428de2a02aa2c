"""Cron expressions as cron(5) has them: five fields, and nothing of what other programs add. Pure.

A field is `*`, a number, a range `2-4`, `*` or a range with a step (`*/15`, `8-18/2`), or a list of them. Months and
days of the week also have names of three letters; Sunday is 0 or 7. Where both the day of the month and the day of the
week are restricted, that is neither begins with `*`, one of them suffices.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: Final[tuple[tuple[str, int, int, dict[str, int]], ...]] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("day of the week", 0, 7, {name: number for number, name in enumerate(_WEEKDAYS)}),
)
_PART: Final = re.compile(r"(?:\*|(\w{1,3})(?:-(\w{1,3}))?)(?:/([0-9]{1,4}))?", re.ASCII)
_LONGEST: Final = 1000
_YEARS: Final = 48
"""In so many years every day that ever comes round has come: 29 February on a given weekday can take 40."""


class Cron(NamedTuple):
    """An expression, read."""

    minutes: tuple[int, ...]
    """Of the day, in order."""
    months: frozenset[int]
    days: frozenset[int]
    weekdays: frozenset[int]
    """Sunday is 0."""
    both: bool
    """Whether a day must be right in the month and in the week; else one suffices."""

    def falls_on(self, day: date) -> bool:
        """Tell whether a day, whose month is right, has occurrences."""
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return in_month and in_week if self.both else in_month or in_week

    def days_from(self, first: date) -> Iterator[date]:
        """Yield the days with occurrences, `first` and what follows."""
        day, last = first, first.year + _YEARS
        while day.year < min(last, date.max.year):
            if day.month not in self.months:
                day = day.replace(year=day.year + day.month // 12, month=day.month % 12 + 1, day=1)
                continue
            if self.falls_on(day):
                yield day
                last = day.year + _YEARS
            day += timedelta(days=1)

    def day_up_to(self, last: date) -> date | None:
        """Return the last day with occurrences up to and including `last`."""
        day = last
        while day.year > max(last.year - _YEARS, date.min.year):
            if day.month not in self.months:
                day = day.replace(day=1) - timedelta(days=1)
                continue
            if self.falls_on(day):
                return day
            day -= timedelta(days=1)
        return None


@lru_cache(maxsize=1000)
def parse_cron(text: str) -> Cron:
    """Return an expression, read. ValueError says what cron(5) does not have, or that it never comes round."""
    parts = text.split()
    if len(parts) != len(_FIELDS) or len(text) > _LONGEST:
        raise ValueError(f"expected the five fields of cron(5), such as `0 2 * * 0`, got {text[:40]!r}")
    minutes, hours, days, months, weekdays = (_field(part, *field) for part, field in zip(parts, _FIELDS, strict=True))
    found = Cron(
        tuple(hour * 60 + minute for hour in sorted(hours) for minute in sorted(minutes)),
        months,
        days,
        frozenset(number % 7 for number in weekdays),
        both=parts[2].startswith("*") or parts[4].startswith("*"),
    )
    if next(found.days_from(date(2000, 1, 1)), None) is None:
        raise ValueError(f"never comes round: no month has such a day ({text[:40]})")
    return found


def _field(text: str, name: str, least: int, most: int, names: dict[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"{name}: {part[:20]!r} is not what cron(5) has: `*`, 2, 2-4, */15 or 8-18/2")
        first, last, step = match.groups()
        begin, end = (least, most) if first is None else _range(first, last, name, least, most, names)
        if step is not None and (int(step) == 0 or (first is not None and last is None)):
            raise ValueError(f"{name}: {part[:20]!r}: a step is a number from 1, behind `*` or a range")
        found.update(range(begin, end + 1, int(step or 1)))
    return frozenset(found)


def _range(first: str, last: str | None, name: str, least: int, most: int, names: dict[str, int]) -> tuple[int, int]:
    begin = _number(first, name, least, most, names)
    end = begin if last is None else _number(last, name, least, most, names)
    if begin > end:
        raise ValueError(f"{name}: the range {first}-{last} runs backwards")
    return begin, end


def _number(text: str, name: str, least: int, most: int, names: dict[str, int]) -> int:
    number = names.get(text.lower(), int(text) if text.isdecimal() else -1)
    if not least <= number <= most:
        also = f" or a name such as {next(iter(names))}" if names else ""
        raise ValueError(f"{name}: expected a number from {least} to {most}{also}, got {text!r}")
    return number
