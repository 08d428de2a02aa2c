"""Incidents in words: Indonesian and English, local times. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exporter.incidents import model
from exporter.lib.words import read_texts
from exporter.look import wording

if TYPE_CHECKING:
    from datetime import tzinfo

    from exporter.incidents.listing import Line
    from exporter.incidents.model import Entry
    from exporter.lib.words import Language

TEXTS: Final = read_texts("exporter.incidents")
_NAMED: Final = {model.STATUS: "status", model.MUTED: "muted", model.REASON: "reason"}
"""Kinds whose text is one of a group of names."""
_OF_SOMEBODY: Final = (model.ACK_UNDONE, model.ACK_EXPIRED)
_UNTIL: Final = (model.ACKNOWLEDGED, model.SILENCED)
_CORRECTED: Final = (model.START_CORRECTED, model.END_CORRECTED)
_SAID: Final = frozenset((*_NAMED, *_OF_SOMEBODY, *_CORRECTED, model.SENT, model.ESCALATED))
"""Kinds whose text is part of the headline."""


class Wording(wording.Wording):
    """One language and time zone."""

    def __init__(self, language: Language, zone: tzinfo) -> None:
        super().__init__(language, zone, TEXTS)

    def title(self, line: Line) -> str:
        """Return what an incident is about: a device, or what the devices of a mass outage share."""
        head = line.head
        if not head.shared or head.part_of is not None:  # a part is about its own device
            return head.device_name or head.device_id
        names = {"engine": self.engine(head.engine), "gateway": head.gateway}
        what = names.get(head.shared, head.business_name or head.business_id)
        return self.text("mass", what=what, count=self.number(line.devices))

    def headline(self, entry: Entry) -> str:
        """Return what happened, without a note's own words."""
        if entry.kind not in _SAID and entry.kind not in _UNTIL:
            return self.known("kind", entry.kind)
        return self.text(f"kind_{entry.kind}", **self._values(entry))

    def details(self, entry: Entry) -> str:
        """Return the words of a note, or what a caller added to what happened."""
        if entry.kind in _UNTIL:
            return model.parted(entry.text)[2]
        return "" if entry.kind in _SAID else entry.text

    def plain(self, entry: Entry) -> str:
        """Return the text of an entry for a terminal, where times in it are times for people."""
        if entry.kind not in (*_UNTIL, *_CORRECTED):
            return entry.text
        return f"{self.headline(entry)}\n{self.details(entry)}".rstrip()

    def _values(self, entry: Entry) -> dict[str, str]:
        """Return what a headline names."""
        text = entry.text
        if entry.kind in _NAMED:
            group = _NAMED[entry.kind]
            return dict.fromkeys((group, "by"), self.known(group, text))
        if entry.kind in _UNTIL:
            until, by, _ = model.parted(text)
            return {"by": by, "until": self.clock(until)}
        if entry.kind == model.ESCALATED:
            return {"to": text or self.text("management")}
        if entry.kind in _CORRECTED:
            old, new = (self.time(float(at), seconds=True) for at in text.split(" "))
            return {"old": old, "new": new}
        return {"target" if entry.kind == model.SENT else "by": text}
