"""What the API of incidents takes and gives, shared by the server and the command line."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from exporter.incidents.model import MANUAL, NOTE_LENGTH, STATUSES, Entry, Incident

PATH: Final = "/api/v1/incidents"
OPEN: Final = "open"
STATUS_FILTERS: Final = (OPEN, *STATUSES)
MOST: Final = 1000
USUAL: Final = 100

_NOT_BLANK: Final = {"pattern": r"\S"}
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=NOTE_LENGTH, extra_json_schema=_NOT_BLANK)]
Key = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class IncidentsPage(msgspec.Struct, frozen=True):
    """Incidents, newest first; `next` is the cursor of the following page, null on the last one."""

    incidents: list[Incident]
    next: str | None


class IncidentWithTimeline(msgspec.Struct, frozen=True):
    """One incident, and what happened in order of time."""

    incident: Incident
    timeline: list[Entry]


class NewNote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A note to add."""

    text: Text
    key: Key | None = None
    """The same key again adds nothing: for retries."""
    public: bool = False
    """Whether status pages show it, to everybody."""


class NewStatus(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A status to set, with a note if people say why."""

    status: Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(MANUAL)})]
    note: Annotated[str, msgspec.Meta(max_length=NOTE_LENGTH)] = ""
    key: Key | None = None
    public: bool = False
    """Whether status pages show the note, to everybody."""
