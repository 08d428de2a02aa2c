"""What the API of incidents takes and gives, shared by the server and the command line."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from exporter.incidents.model import MANUAL, NOTE_LENGTH, STATUSES, Entry, Incident
from exporter.lib.durations import format_duration, parse_duration

PATH: Final = "/api/v1/incidents"
OPEN: Final = "open"
STATUS_FILTERS: Final = (OPEN, *STATUSES)
MOST: Final = 1000
USUAL: Final = 100

_NOT_BLANK: Final = {"pattern": r"\S"}
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=NOTE_LENGTH, extra_json_schema=_NOT_BLANK)]
Key = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


NEXT_UPDATE: Final = (60.0, 7 * 86_400.0)
"""The least and the most seconds within which a note may promise the next one."""
Promise = Annotated[str, msgspec.Meta(extra_json_schema={"pattern": "^([0-9]+(ms|s|m|h|d|w|y))+$"})]


def promised(text: str | None) -> float | None:
    """Return the seconds of a promise such as `30m`. ValueError says what is wrong with it."""
    if text is None:
        return None
    (least, most), seconds = NEXT_UPDATE, parse_duration(text)
    if not least <= seconds <= most:
        raise ValueError(f"next_update lies between {format_duration(least)} and {format_duration(most)}")
    return seconds


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
    next_update: Promise | None = None
    """Within which time the next note comes, such as `30m`."""


class NewStatus(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A status to set, with a note if people say why."""

    status: Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(MANUAL)})]
    note: Annotated[str, msgspec.Meta(max_length=NOTE_LENGTH)] = ""
    key: Key | None = None
    public: bool = False
    """Whether status pages show the note, to everybody."""
    next_update: Promise | None = None
    """Within which time the next note comes; told with the note."""
