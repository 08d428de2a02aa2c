"""What goes into the journal and what comes out of it.

The state of the exporter is a fold over `Record`s in order of `seq`. Each record carries, besides the event, the
times on which the exposed counters depend (when it was received, when the last exposition before it was), so that a
replay after a crash ends in exactly the same state. A checkpoint is a shortcut over a prefix of the records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from exporter.domain.identity import Identity
from exporter.domain.planned import Planned
from exporter.domain.timeline import Kind, Outage

if TYPE_CHECKING:
    from exporter.domain.timeline import Event, Timeline


class Append(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An event that goes into the journal, which gives it its number and its times. `timestamp` in seconds."""

    identity: Identity
    timestamp: int
    kind: Kind


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One event as the journal has it. Unix milliseconds by the journal's clock.

    `received_ms`: when it came into the journal. `exposed_ms`: what was shown until then may have been exposed; of two
    records with the same one, nobody saw what was between them. 0: nothing was exposed ever.
    """

    identity: Identity
    timestamp: int
    kind: Kind
    received_ms: int
    exposed_ms: int


class DeviceHistory(NamedTuple):
    """All events of a device up to a record, with the timeline that retention kept of pruned ones."""

    events: list[Event]
    base: Timeline | None


class SavedDevice(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A device in a checkpoint (see `fleet.Device`). Times in seconds."""

    identity: Identity
    identity_at: int
    first_seen: int
    newest: int
    up: bool
    since: int
    outages: int
    closed_downtime: int
    downtime_floor: float
    observed_from: float
    base_downtime: float
    base_outages: int
    held_at: float = 0.0
    planned: Planned | None = None
    base_planned: float = 0.0


class SavedGroup(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A group's sums in a checkpoint."""

    engine: str
    business_id: str
    up: int
    down: int
    outages: int
    closed_ms: int
    down_since_ms: int
    observed_ms: int
    observed_from_ms: int
    downtime_floor_ms: int
    observed_floor_ms: int
    held_at: float = 0.0
    paused: int = 0
    paused_down: int = 0
    paused_while_down: int = 0


class SavedHistogram(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An engine's outage durations in a checkpoint."""

    engine: str
    counts: list[int]
    total: int
    floor: list[int]
    floor_sum: int
    held_at: float = 0.0


class Checkpoint(msgspec.Struct, frozen=True):
    """What changed since the checkpoint before it; the sum of all of them is the state after record `seq`.

    `saved_ms`, Unix milliseconds: no later record tells of an exposition before it.
    """

    seq: int
    saved_ms: int
    devices: list[SavedDevice]
    forgotten: list[str]
    groups: list[SavedGroup]
    histograms: list[SavedHistogram]


class Blind(NamedTuple):
    """A time in which events could be lost unheard, Unix seconds."""

    start: float
    end: float


class Rejected(NamedTuple):
    """A quarantined body. `payload` is its redacted copy, None if nothing of it could be kept safely."""

    id: int
    received_at: float
    code: str
    message: str
    times: int
    payload: bytes | None


class History(msgspec.Struct, frozen=True):
    """What the journal knows of one device, for reports. Event times in seconds."""

    identity: Identity
    outages: list[Outage]
    observed: list[tuple[int, int | None]]
    """Spans in which the device was observed, each from a first event to a cut; the last may be open (None)."""
    planned: list[tuple[int, int | None]] = msgspec.field(default_factory=list)
    """Planned windows, in order; the last may be open (None)."""
    blind: list[tuple[int, int]] = msgspec.field(default_factory=list)
    """When nothing was known of this device alone, as its gateway's own word showed; in order."""
    reasons: dict[int, str] = msgspec.field(default_factory=dict)
    """Why outages began, by when they did: the class of what a gateway told."""
