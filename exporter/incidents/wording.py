"""Incidents in words: Indonesian and English, local times. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import msgspec

from exporter.incidents.model import END_CORRECTED, START_CORRECTED, STATUS
from exporter.lib.words import ENGINE_NAMES, WORDS, Language, duration

if TYPE_CHECKING:
    from datetime import tzinfo

    from exporter.incidents.model import Entry

TEXTS: Final[dict[Language, dict[str, str]]] = msgspec.json.decode(
    files(__package__).joinpath("texts.json").read_bytes(), type=dict[Language, dict[str, str]]
)
"""Texts by name; a test holds both languages to the same names."""


_STEERING: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """Return a text without characters that steer a terminal or turn the direction of what is read."""
    return _STEERING.sub("\N{REPLACEMENT CHARACTER}", text)


class Wording:
    """One language and time zone."""

    def __init__(self, language: Language, zone: tzinfo) -> None:
        self.language = language
        self._texts = TEXTS[language]
        self._words = WORDS[language]
        self._zone = zone

    def text(self, name: str, **values: object) -> str:
        """Return a text with its values filled in."""
        return self._texts[name].format(**values) if values else self._texts[name]

    def known(self, group: str, name: str) -> str:
        """Return the text of one of a group, such as a status; an unknown one stands for itself."""
        return self._texts.get(f"{group}_{name}", name)

    def engine(self, name: str) -> str:
        """Return an engine's usual name."""
        return ENGINE_NAMES.get(name, name)

    def number(self, value: int) -> str:
        """Return a whole number with the language's separator."""
        return f"{value:,}".replace(",", "." if self.language == "id" else ",")

    def duration(self, seconds: float) -> str:
        """Return the two largest units of a duration."""
        return duration(seconds, self._words)

    def time(self, at: float, *, seconds: bool = False) -> str:
        """Return a local date and time with its zone."""
        local = datetime.fromtimestamp(at, UTC).astimezone(self._zone)
        clock = self._words.clock + (self._words.clock[2] + "%S" if seconds else "")
        zone = local.tzname() or "UTC"
        zone = f"UTC{zone}" if zone[0] in "+-" else zone
        return f"{local.day} {self._words.months[local.month - 1]} {local.year} {local.strftime(clock)} {zone}"

    def open_incidents(self, count: int) -> str:
        """Return how many incidents are open."""
        if count <= 1:
            return self.text("open_one" if count else "open_none")
        return self.text("open_count", count=self.number(count))

    def headline(self, entry: Entry) -> str:
        """Return what happened, without a note's own words."""
        if entry.kind == STATUS:
            return self.text("kind_status", status=self.known("status", entry.text))
        if entry.kind in (START_CORRECTED, END_CORRECTED):
            old, new = (self.time(float(at), seconds=True) for at in entry.text.split(" "))
            return self.text(f"kind_{entry.kind}", old=old, new=new)
        return self.known("kind", entry.kind)

    def details(self, entry: Entry) -> str:
        """Return the words of a note, or what a caller added to what happened."""
        return "" if entry.kind in (STATUS, START_CORRECTED, END_CORRECTED) else entry.text
