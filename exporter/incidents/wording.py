"""Incidents in words: Indonesian and English, local times. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exporter.incidents.model import END_CORRECTED, MUTED, REASON, SENT, START_CORRECTED, STATUS
from exporter.lib.words import ENGINE_NAMES, WORDS, Language, date_time, duration, number, read_texts

if TYPE_CHECKING:
    from datetime import tzinfo

    from exporter.incidents.model import Entry

TEXTS: Final = read_texts("exporter.incidents")


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
        return number(value, self._words)

    def duration(self, seconds: float) -> str:
        """Return the two largest units of a duration."""
        return duration(seconds, self._words)

    def time(self, at: float, *, seconds: bool = False) -> str:
        """Return a local date and time with its zone."""
        return date_time(at, self._zone, self._words, seconds=seconds)

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
        if entry.kind == MUTED:
            return self.text("kind_muted", by=self.known("muted", entry.text))
        if entry.kind == REASON:
            return self.text("kind_reason", reason=self.known("reason", entry.text))
        if entry.kind == SENT:
            return self.text("kind_sent", target=entry.text)
        return self.known("kind", entry.kind)

    def details(self, entry: Entry) -> str:
        """Return the words of a note, or what a caller added to what happened."""
        return "" if entry.kind in (STATUS, START_CORRECTED, END_CORRECTED, MUTED, REASON, SENT) else entry.text
