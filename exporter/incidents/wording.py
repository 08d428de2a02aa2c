"""Incidents in words: Indonesian and English, local times. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exporter.incidents.model import END_CORRECTED, MUTED, REASON, SENT, START_CORRECTED, STATUS
from exporter.lib.words import read_texts
from exporter.look import wording

if TYPE_CHECKING:
    from datetime import tzinfo

    from exporter.incidents.listing import Line
    from exporter.incidents.model import Entry
    from exporter.lib.words import Language

TEXTS: Final = read_texts("exporter.incidents")


class Wording(wording.Wording):
    """One language and time zone."""

    def __init__(self, language: Language, zone: tzinfo) -> None:
        super().__init__(language, zone, TEXTS)

    def title(self, line: Line) -> str:
        """Return what an incident is about: a device, or what the devices of a mass outage share."""
        head = line.head
        if not head.shared:
            return head.device_name or head.device_id
        names = {"engine": self.engine(head.engine), "gateway": head.gateway}
        what = names.get(head.shared, head.business_name or head.business_id)
        return self.text("mass", what=what, count=self.number(line.devices))

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
