"""A page's words: texts of its room over those of all pages, and local times, durations and numbers. Pure."""

from __future__ import annotations

from collections import ChainMap
from string import Formatter
from typing import TYPE_CHECKING, Final

from exporter.lib.ratios import percent
from exporter.lib.times import local, zone_name
from exporter.lib.words import (
    ENGINE_NAMES,
    WORDS,
    Language,
    clock_time,
    date_time,
    duration,
    number,
    read_texts,
    unbroken,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    Texts = Mapping[Language, Mapping[str, str]]

TEXTS: Final = read_texts("exporter.look")
"""What more than one room says."""


class _Counting(Formatter):
    """Takes `{count:day|days}` for the word that fits a number."""

    def format_field(self, value: object, spec: str) -> str:
        """Return a value as the text wants it."""
        one, is_choice, many = spec.partition("|")
        if is_choice:
            return one if str(value) == "1" else many
        formatted: str = super().format_field(value, spec)
        return formatted


_FORMATTER: Final = _Counting()


class Wording:
    """One language and time zone. `texts` are the room's own, by language; they go before those of all pages."""

    def __init__(self, language: Language, zone: tzinfo, texts: Texts) -> None:
        self.language = language
        self._texts = ChainMap(dict(texts[language]), TEXTS[language])
        self._words = WORDS[language]
        self._zone = zone

    def text(self, name: str, /, **values: object) -> str:
        """Return a text with its values filled in."""
        return _FORMATTER.vformat(self._texts[name], (), values) if values else self._texts[name]

    def known(self, group: str, name: str) -> str:
        """Return the text of one of a group, such as a status; an unknown one stands for itself."""
        return self._texts.get(f"{group}_{name}", name)

    def counted(self, name: str, count: int) -> str:
        """Return `name`_none, `name`_one or `name`_count with the number, whichever fits."""
        if count <= 1:
            return self.text(f"{name}_one" if count else f"{name}_none")
        return self.text(f"{name}_count", count=self.number(count))

    def engine(self, name: str) -> str:
        """Return an engine's usual name."""
        return ENGINE_NAMES.get(name, name)

    def number(self, value: float, digits: int = 0) -> str:
        """Return a number with the language's separators."""
        return number(value, self._words, digits)

    def availability(self, ratio: float | None, *limits: float) -> str:
        """Return a ratio in percent, a dash for None. It never looks like all, nothing or a limit where it is not."""
        if ratio is None:
            return "\N{EN DASH}"
        value, digits = percent(ratio, 2, limits=(0.0, 1.0, *limits))
        return f"{self.number(value, digits)}%"

    def duration(self, seconds: float, *, least: int = 1) -> str:
        """Return the two largest units of a duration, never less than `least` seconds; no line ends inside of one."""
        return unbroken(duration(seconds, self._words, least=least))

    def time(self, at: float, *, seconds: bool = False) -> str:
        """Return a local date and time with its zone."""
        return date_time(at, self._zone, self._words, seconds=seconds)

    def clock(self, at: float) -> str:
        """Return a local time of day with its zone."""
        when = local(at, self._zone)
        return f"{when.strftime(self._words.clock)} {zone_name(when)}"

    def moment(self, at: float, now: float) -> str:
        """Return a local time of day with its zone, and as much of its date as differs from today's."""
        return clock_time(at, now, self._zone, self._words)

    def day(self, at: float) -> str:
        """Return a local date, such as `28 Jan 2026`."""
        when = local(at, self._zone)
        return f"{when.day} {self._words.months[when.month - 1]} {when.year}"
