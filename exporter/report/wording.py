"""Numbers, durations and times as readers of a language write them. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from exporter.lib.ratios import digits_of, percent
from exporter.lib.times import zone_name
from exporter.lib.words import WORDS, Language, duration, full_date, number, unbroken
from exporter.report.texts import TEXTS

if TYPE_CHECKING:
    from exporter.report.windows import Period


class Wording:
    """One language. Methods return the dash of `none` for None. On `pages` no line ends inside of a duration."""

    def __init__(self, language: Language, *, pages: bool = False) -> None:
        self.language = language
        self._pages = pages
        self._texts, self._words = TEXTS[language], WORDS[language]

    def text(self, name: str, /, **values: object) -> str:
        """Return a text with its values filled in."""
        return self._texts[name].format(**values) if values else self._texts[name]

    def number(self, value: float, digits: int = 0) -> str:
        """Return a number with the language's separators."""
        return number(value, self._words, digits)

    def availability(self, ratio: float | None, objective: float | None = None) -> str:
        """Return a ratio in percent. It never looks like all, nothing or the objective where it is not."""
        if ratio is None:
            return self.text("none")
        limits = (0.0, 1.0) if objective is None else (0.0, 1.0, objective)
        return self._percent(*percent(ratio, 3, limits=limits))

    def objective(self, ratio: float | None) -> str:
        """Return an objective in percent, with all its digits."""
        return self.text("none") if ratio is None else self._percent(ratio * 100, digits_of(ratio, 2))

    def near(self, ratio: float | None, limit: float) -> str:
        """Return a ratio in whole percent, with decimals where that would hide on which side of the limit it is."""
        if ratio is None:
            return self.text("none")
        return self._percent(*percent(ratio, 1 if 0 < abs(ratio - limit) < 0.01 else 0, limits=(limit,)))

    def share(self, ratio: float) -> str:
        """Return a small ratio in percent with as many digits as it needs to be told apart from nothing."""
        digits = 0 if ratio == 0 or ratio >= 0.1 else min(4, 1 - math.floor(math.log10(ratio * 100)))
        return self._percent(*percent(ratio, max(0, digits), limits=(0.0,)))

    def _percent(self, value: float, digits: int) -> str:
        return self.number(value, digits) + "%"

    def duration(self, seconds: float | None) -> str:
        """Return the two largest units of a duration."""
        if seconds is None:
            return self.text("none")
        if seconds < 0:
            return "-" + self.duration(-seconds)
        text = duration(round(seconds), self._words, least=0)
        return unbroken(text) if self._pages else text

    def time(self, at: float, period: Period) -> str:
        """Return a date and time in the period's time zone."""
        when = period.local(at)
        return f"{full_date(when, self._words)} {when.strftime(self._words.clock)} {zone_name(when)}"

    def date(self, at: float, period: Period) -> str:
        """Return a date in the period's time zone."""
        return full_date(period.local(at), self._words)

    def window(self, period: Period) -> str:
        """Return the period in words."""
        return f"{self.time(period.start, period)} {self.text('to')} {self.time(period.end, period)}"
