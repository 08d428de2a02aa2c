"""What an incident is, and the steps that change one. Pure data; times are Unix seconds.

An incident belongs to the outage that contains one instant, its `outage`: the disconnect that opened it. A late event
may move the outage's start or end around that instant; the incident follows. So one outage has one incident, whatever
is corrected.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from exporter.domain.identity import Identity

TYPE: Final = "device_disconnect"

Status = Literal["investigating", "identified", "monitoring", "resolved"]
INVESTIGATING: Final = "investigating"
RESOLVED: Final = "resolved"
MANUAL: Final = (INVESTIGATING, "identified", "monitoring")
"""What people may set, in any order; `resolved` comes with the reconnect."""
STATUSES: Final = (*MANUAL, RESOLVED)

# Why an incident is resolved
CONNECTED: Final = "connected"
CORRECTED: Final = "corrected"
"""A late event showed that the outage ended before its threshold, or that it is part of another incident's."""
FORGOTTEN: Final = "forgotten"

# Kinds of timeline entries
DOWN: Final = "down"
REASON: Final = "reason"
"""Its text is the class of the reason that a gateway gave."""
ALERTED: Final = "alerted"
ESCALATED: Final = "escalated"
MUTED: Final = "muted"
"""Alertmanager has the alert and mutes it; its text is the name of the alert that speaks for it."""
SENT: Final = "sent"
"""The relay sent a text; its text is the relay's target."""
SWITCHED: Final = "switched"
SWITCHED_BACK: Final = "switched_back"
ACKNOWLEDGED: Final = "acknowledged"
"""Somebody has it; its text is until when, Unix seconds, and who, then a note on lines of its own."""
ACK_UNDONE: Final = "ack_undone"
"""They do not have it after all; its text is who, as that of ACK_EXPIRED."""
ACK_EXPIRED: Final = "ack_expired"
SILENCED: Final = "silenced"
"""Somebody silenced it in Alertmanager; its text is that of ACKNOWLEDGED."""
NOTE: Final = "note"
STATUS: Final = "status"
"""Its text is the new status."""
START_CORRECTED: Final = "start_corrected"
"""Its text is the old and the new start, Unix seconds; so is that of END_CORRECTED."""
END_CORRECTED: Final = "end_corrected"
TOO_SHORT: Final = "too_short"
MERGED: Final = "merged"
REOPENED: Final = "reopened"
REMOVED: Final = "removed"
UP: Final = "up"
KINDS: Final = (
    DOWN,
    REASON,
    ALERTED,
    ESCALATED,
    MUTED,
    SENT,
    SWITCHED,
    UP,
    SWITCHED_BACK,
    ACKNOWLEDGED,
    ACK_UNDONE,
    ACK_EXPIRED,
    SILENCED,
    STATUS,
    NOTE,
    START_CORRECTED,
    END_CORRECTED,
    TOO_SHORT,
    MERGED,
    REOPENED,
    REMOVED,
)
"""In the order in which those of one instant are shown."""

NOTE_LENGTH: Final = 4000


class Incident(msgspec.Struct, frozen=True):
    """One outage past its threshold. Names are those of the time when it was opened."""

    number: int
    type: Literal["device_disconnect"]
    status: Status
    resolution: Literal["", "connected", "corrected", "forgotten"]
    """Why it is resolved; empty while it is not."""
    severity: str
    device_id: str
    device_name: str
    engine: str
    channel_id: str
    channel_name: str
    business_id: str
    business_name: str
    started_at: int
    """Event time of the disconnect."""
    opened_at: float
    """When the exporter opened it."""
    resolved_at: float | None
    """Event time of the reconnect."""
    duration_seconds: float
    """Until now where it is not resolved."""
    affected_conversations: int | None
    """Null where nobody counted, as for an outage that became known after its end."""
    waiting_conversations: int | None
    part_of: int | None = None
    """The number of the incident that stands for this one: an earlier one of a device that flaps, or a mass outage."""
    shared: str = ""
    """What the devices of its mass outage share: `engine`, `gateway` or `business_id`; empty: it is in none."""
    gateway: str = ""
    acknowledged_at: float | None = None
    """When somebody first had it."""
    acknowledged_by: str = ""
    """Who had it last."""


class Entry(msgspec.Struct, frozen=True):
    """One line of a timeline."""

    at: float
    kind: str
    text: str
    """A note's own words, or what the kind says it is."""
    author: str
    """Who wrote a note: the basic-auth user, or empty."""
    public: bool = False
    """Whether a note is shown on status pages."""
    next_update_at: float | None = None
    """By when it promises the next note."""


class Held(msgspec.Struct, frozen=True):
    """What must be known of an incident to decide its next steps."""

    outage: int
    started_at: int
    opened_at: float
    resolved_at: float | None = None
    resolution: str = ""


# Steps. Each may be applied twice: the second time changes nothing. ----------------------------------------


class Open(msgspec.Struct, frozen=True):
    """Open an incident for the outage that began at `outage`."""

    identity: Identity
    outage: int
    at: float
    severity: str
    affected: int | None = None
    waiting: int | None = None

    @property
    def device_id(self) -> str:
        """Whose it is."""
        return self.identity.device_id


class Close(msgspec.Struct, frozen=True):
    """Resolve an incident, or correct the end of a resolved one."""

    device_id: str
    outage: int
    end: float
    resolution: str
    at: float
    """When it became known."""
    former_end: float | None = None


class Move(msgspec.Struct, frozen=True):
    """The outage began at another time than it seemed."""

    device_id: str
    outage: int
    start: int
    former_start: int
    at: float


class Merge(msgspec.Struct, frozen=True):
    """Resolve an incident whose outage turned out to be part of another incident's."""

    device_id: str
    outage: int
    end: float
    at: float


class Reopen(msgspec.Struct, frozen=True):
    """The outage of a resolved incident turned out to run on."""

    device_id: str
    outage: int
    at: float


class Add(msgspec.Struct, frozen=True):
    """Put a line into the timeline of a device's incident.

    `outage` None is the newest incident; `early` holds the line back until the device's next incident opens.
    """

    device_id: str
    outage: int | None
    key: str
    at: float
    kind: str
    text: str
    early: bool = False


Step = Open | Close | Move | Merge | Reopen | Add


def parted(text: str) -> tuple[float, str, str]:
    """Return until when, who, and the note of the text of ACKNOWLEDGED or SILENCED."""
    first, _, note = text.partition("\n")
    until, _, by = first.partition(" ")
    return float(until), by, note
