"""What goes into the journal and what comes out of it.

The state of the exporter is a fold over `Record`s in order of `seq`. Each record carries, besides the event, the
times on which the exposed counters depend (when it was received, when the last exposition before it was), so that a
replay after a crash ends in exactly the same state. A checkpoint is a shortcut over a prefix of the records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

import msgspec

from exporter.domain.identity import Identity
from exporter.domain.planned import Planned
from exporter.domain.timeline import Kind, Outage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from exporter.domain.timeline import Event, Timeline
    from exporter.journal.port import Transaction

_Result = TypeVar("_Result")


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One event as it was received. `received_ms` and `exposed_ms` are Unix milliseconds; 0: never exposed."""

    identity: Identity
    timestamp: int
    kind: Kind
    received_ms: int
    exposed_ms: int


class Append(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A record to append; `late`: it is not its device's newest event, or may be one that the journal has already."""

    record: Record
    late: bool


class DeviceHistory(NamedTuple):
    """All events of a device up to and including a record, with the timeline that retention kept of pruned ones."""

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


class Journal(Protocol):
    """A durable journal. Every method blocks, and is called from one thread at a time.

    Every method raises JournalUnavailable where the storage cannot be used now; the next call tries again by itself.
    After a failed `append` it is unknown which of its records are in the journal: appending them again is harmless.
    """

    def append(self, batch: Sequence[Append], numbers: Sequence[int] | None = None) -> None:
        """Append all records in one transaction, durable when this returns; those that it has already are left out.

        `numbers` are the records' own, rising ones; without them the next ones are given.
        """

    def appended(self) -> int:
        """Return the number of the last record that was appended, 0 if there was none."""

    def records_after(self, seq: int) -> Iterator[tuple[int, Record]]:
        """Yield (seq, record) in order of arrival."""

    def history(self, device_id: str, seq: int | None = None) -> DeviceHistory:
        """Return the events of a device up to record `seq` (all if None)."""

    def save(self, checkpoint: Checkpoint) -> None:
        """Merge a checkpoint into the saved state, in one transaction."""

    def load(self) -> Checkpoint | None:
        """Return the saved state as one checkpoint; None if there is none."""

    def identities(self) -> Iterator[Identity]:
        """Yield the newest identity of every device in the journal."""

    def heartbeat(self, now_ms: int, exposed_until_ms: int, retry_span_ms: int) -> Blind | None:
        """Note that we hear events at `now_ms`; record and return the blind interval before it, if there was one."""

    def exposed_until_ms(self) -> int:
        """Return the lease: no exposition was later than this. 0 if there was none."""

    def blind_intervals(self) -> list[Blind]:
        """Return all blind intervals in order."""

    def quarantine(self, now_ms: int, code: str, message: str, payload: bytes | None, digest: str) -> int:
        """Keep a rejected body within bounds; the same body again only counts. Return how many are kept."""

    def prune(self, before: int, first_device: int) -> int | None:
        """Fold events before `before` (Unix seconds) into bases, for some devices from row `first_device` on.

        Returns the row to go on with, None when done.
        """

    def pruned_before(self) -> int:
        """Return the event time before which events are no longer accepted, 0 if nothing was pruned."""

    def heard_until(self) -> float | None:
        """Return the time of the last heartbeat, Unix seconds; None if there was none."""

    def transact(self, job: Callable[[Transaction], _Result]) -> _Result:
        """Run `job` in one transaction, durable when this returns: for what features keep beside the events."""

    def close(self) -> None:
        """Release the storage."""
