"""Incidents as a CSV or Markdown file, a piece at a time. Pure.

Texts of others cannot do harm: no spreadsheet runs a cell, and no name or note becomes Markdown or HTML.
"""

from __future__ import annotations

import re
from datetime import UTC
from typing import TYPE_CHECKING, Final

from exporter.incidents.model import NOTE, REASON, Incident
from exporter.lib.safe_text import csv_line, named, one_line
from exporter.lib.times import local, rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.incidents.model import Entry
    from exporter.incidents.wording import Wording

FORMATS: Final = ("csv", "markdown")
_TYPES: Final = {"csv": "text/csv", "markdown": "text/markdown"}
_ENDINGS: Final = {"csv": "csv", "markdown": "md"}
_TIMES: Final = ("started_at", "opened_at", "resolved_at", "acknowledged_at")
_MARKUP: Final = re.compile(r"([\\`*_{}\[\]<>#|~=@&$^!]|(?<=:)/(?=/)|(?<=www)\.|^[-+])", re.IGNORECASE)
_LIST: Final = re.compile(r"^(\d{1,9})([.)])(?=\s|$)")


class Export:
    """One file in one format. `now` is when it is made, Unix seconds."""

    def __init__(self, form: str, wording: Wording, now: float) -> None:
        self._form = form
        self._wording = wording
        self._now = now

    def headers(self) -> dict[str, str]:
        """Return the answer's headers."""
        name = f"incidents-{local(self._now, UTC):%Y%m%dT%H%M%SZ}.{_ENDINGS[self._form]}"
        return {
            "Content-Type": f"{_TYPES[self._form]}; charset=utf-8",
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        }

    def head(self) -> str:
        """Return what comes before the first incident."""
        if self._form == "csv":
            return csv_line([*Incident.__struct_fields__, "notes", "reason"])
        wording = self._wording
        made = wording.text("exported", time=markdown(wording.time(self._now)))
        return f"# {wording.text('incidents')}\n\n{made}\n"

    def incident(self, incident: Incident, entries: Sequence[Entry]) -> str:
        """Return one incident."""
        return _row(incident, entries) if self._form == "csv" else self._section(incident, entries)

    def _section(self, incident: Incident, entries: Sequence[Entry]) -> str:
        wording = self._wording
        facts = [
            ("status", self._status(incident)),
            ("severity", wording.known("severity", incident.severity)),
            ("device", named(incident.device_name, incident.device_id)),
            ("channel", named(incident.channel_name, incident.channel_id)),
            ("engine", wording.engine(incident.engine)),
            ("business", named(incident.business_name, incident.business_id)),
            ("started", wording.time(incident.started_at, seconds=True)),
            ("duration", wording.duration(incident.duration_seconds)),
            ("affected", self._count(incident.affected_conversations)),
            ("waiting", self._count(incident.waiting_conversations)),
            ("acked_after", self._acked_after(incident)),
        ]
        title = markdown(incident.device_name or incident.device_id)
        lines = [f"\n## \\#{incident.number} {title}\n"]
        lines += [f"- **{wording.text(name)}:** {markdown(value)}" for name, value in facts]
        lines += [f"\n### {wording.text('timeline')}\n", *(self._entry(entry) for entry in entries)]
        return "\n".join(lines) + "\n"

    def _status(self, incident: Incident) -> str:
        text = self._wording.known("status", incident.status)
        if incident.resolution in ("corrected", "forgotten"):
            text += f" ({self._wording.text(f'resolution_{incident.resolution}')})"
        return text

    def _acked_after(self, incident: Incident) -> str:
        if incident.acknowledged_at is None:
            return self._wording.text("nobody")
        after = self._wording.duration(max(0.0, incident.acknowledged_at - incident.started_at))
        return f"{after} ({incident.acknowledged_by})"

    def _count(self, count: int | None) -> str:
        return self._wording.text("unknown") if count is None else self._wording.number(count)

    def _entry(self, entry: Entry) -> str:
        wording = self._wording
        head = f"- **{markdown(wording.time(entry.at, seconds=True))}** {markdown(wording.headline(entry))}"
        if entry.author:
            head += f" ({markdown(wording.text('by', author=entry.author))})"
        details = wording.details(entry)
        if entry.next_update_at is not None:
            details += f"\n{wording.text('next_update_by', time=wording.time(entry.next_update_at))}"
        quoted = [f"  > {markdown(line)}".rstrip() for line in details.split("\n")] if details else []
        return "\n".join([head, "", *quoted, ""]) if quoted else head


def markdown(text: str) -> str:
    """Return a text so that Markdown shows it as it is, on one line."""
    return _LIST.sub(r"\1\\\2", _MARKUP.sub(r"\\\1", one_line(text)))


def _row(incident: Incident, entries: Sequence[Entry]) -> str:
    values = [_value(name, getattr(incident, name)) for name in Incident.__struct_fields__]
    notes = "\n".join(f"{rfc3339(entry.at)} {entry.text}" for entry in entries if entry.kind == NOTE)
    return csv_line([*values, notes, _reason(entries)])


def _reason(entries: Sequence[Entry]) -> str:
    """Return the class of the reason that was known last; empty where none was."""
    return next((entry.text for entry in reversed(entries) if entry.kind == REASON), "")


def _value(name: str, value: object) -> object:
    return rfc3339(value) if name in _TIMES and isinstance(value, int | float) else value
