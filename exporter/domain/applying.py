"""Records onto the fleet: the one place where a journalled event becomes state. Deterministic: no clock, no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exporter.conventions import ACCEPTED, LATE, REDUNDANT
from exporter.domain.accounts import share_until
from exporter.domain.fleet import Change
from exporter.domain.timeline import Kind, advance, fold, outages, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exporter.domain.accounts import Device
    from exporter.domain.fleet import Fleet
    from exporter.domain.identity import Identity
    from exporter.domain.records import DeviceHistory, Record
    from exporter.domain.timeline import Event, Timeline

SET_BACK: Final = 1000
"""Milliseconds by which a record is earlier than the one before where the clock was set back: less is two clocks."""
_CHANGES: Final = frozenset({Kind.DISCONNECTED, Kind.CONNECTED})


class Applier:
    """Applies records in their order and tells the listeners of each change."""

    def __init__(self, fleet: Fleet, listener_failed: Callable[[Change], None]) -> None:
        """`listener_failed` is called while the exception that a listener raised is handled."""
        self._fleet = fleet
        self._listener_failed = listener_failed
        self._exposed_ms = 0
        self._received_ms = 0
        self.listeners: list[Callable[[Change], None]] = []

    def exposed(self, at_ms: int) -> None:
        """Take in when the fleet is, or was last, exposed; a time that comes again tells that the clock was ahead."""
        if 0 < at_ms < self._exposed_ms:
            self._fleet.turn_back(self._exposed_ms / 1000)
            self._fleet.look_ahead(at_ms / 1000)
        self._exposed_ms = at_ms

    def is_late(self, record: Record) -> bool:
        """Whether `apply` needs the device's history: its newest event is not older, or it may have been forgotten."""
        device = self._fleet.devices.get(record.identity.device_id)
        if device is None or record.kind is Kind.FORGOTTEN or record.timestamp <= device.timeline.newest:
            return True
        planned = device.timeline.planned
        return planned is not None and record.timestamp <= planned.newest

    def apply(self, record: Record, history: DeviceHistory | None, *, live: bool) -> str:
        """Apply one record and return its outcome.

        `history` holds all events of the device up to and including this one, and may be None only where the record
        is its newest event. `live` is False in a replay (see `Change`).
        """
        if record.exposed_ms != self._exposed_ms:
            self.exposed(record.exposed_ms)
        if record.received_ms < self._received_ms - SET_BACK:
            self._fleet.look_ahead(record.received_ms / 1000)
        self._received_ms = record.received_ms
        device = self._fleet.devices.get(record.identity.device_id)
        before = device.timeline if device is not None else None
        after: Timeline | None
        if history is not None:
            after = fold(history.events, history.base)
            self._count_corrected(record, history)
            self._correct_former_group(record, history, device, after)
        elif record.kind in _CHANGES or before is None:
            after = advance(before, record.timestamp, up=record.kind is Kind.CONNECTED)
            if before is not None and after.up and not before.up:
                self._count_outages(record, [after.since - before.since])
        else:
            after = plan(before, record.timestamp, record.kind)
        former = device.identity if device is not None else None
        changed = self._put(record, device, after)
        if changed is None:
            return _outcome(record, before, after)
        if former is changed.identity or former is None or _belongs(former) == _belongs(changed.identity):
            former = None
        if after is not before or former is not None:
            self._tell(Change(changed, before, after, record.received_ms / 1000, live, former))
        return _outcome(record, before, after)

    def _put(self, record: Record, device: Device | None, after: Timeline | None) -> Device | None:
        received_at, exposed_at = record.received_ms / 1000, record.exposed_ms / 1000
        if after is not None:
            identity, timestamp = record.identity, record.timestamp
            if device is not None and record.kind not in _CHANGES:
                identity, timestamp = device.identity, device.identity_at  # a window tells nothing about who it is
            return self._fleet.put(identity, timestamp, after, received_at=received_at, exposed_at=exposed_at)
        if device is not None:
            self._fleet.forget(device, received_at=received_at, exposed_at=exposed_at)
        return device

    def _count_outages(self, record: Record, added: list[int], removed: Sequence[int] = ()) -> None:
        """Keep the histogram of finished outages; durations in seconds."""
        histogram = self._fleet.histogram(record.identity.engine)
        histogram.hold(record.exposed_ms / 1000)
        histogram.change(added, removed)

    def _count_corrected(self, record: Record, history: DeviceHistory) -> None:
        """Count what a late event made of the device's outages."""
        if record.kind not in _CHANGES:
            return
        earlier = [event for event in history.events if event != (record.timestamp, record.kind)]
        old, new = _finished(earlier, history.base), _finished(history.events, history.base)
        if old != new:
            self._count_outages(record, new, old)

    def _correct_former_group(
        self, record: Record, history: DeviceHistory, device: Device | None, timeline: Timeline | None
    ) -> None:
        """Book what a late event changes of the time before a device moved or was forgotten where it was then."""
        until = _left_at(record, history, device)
        if until is None:
            return
        identity = record.identity
        moved = device if device is not None and until == device.observed_from else None
        if moved is not None and (moved.group.engine, moved.group.business_id) == (
            identity.engine,
            identity.business_id,
        ):
            return  # it came back, and its timeline has it all
        events = [event for event in history.events if event[0] < until]
        earlier = [event for event in events if event != (record.timestamp, record.kind)]
        after, before = (share_until(fold(some, history.base), until) for some in (events, earlier))
        share = after.less(before)
        if moved is not None and timeline is not None:
            new = timeline.outages - moved.timeline.outages
            share = share._replace(outages=min(new, share.outages))  # one that only begins earlier is not taken away
        if any(share):
            exposed_at = record.exposed_ms / 1000
            group = self._fleet.group(identity.engine, identity.business_id)
            self._fleet.correct(group, share, identity.device_id, moved, exposed_at=exposed_at)

    def _tell(self, change: Change) -> None:
        for listener in self.listeners:
            try:
                listener(change)
            except Exception:  # the journal and the fleet go on whatever a listener does
                self._listener_failed(change)


def _left_at(record: Record, history: DeviceHistory, device: Device | None) -> float | None:
    """Return when the device left the group that it was in at the time of a late event; None: it did not."""
    if record.kind not in _CHANGES:
        return None
    cuts = [at for at, kind in history.events if kind is Kind.FORGOTTEN and at >= record.timestamp]
    if cuts:
        return min(cuts)
    if device is None or record.timestamp > device.timeline.newest:
        return None  # not late: what it changes begins with it, where the device is now
    if not device.timeline.first_seen <= record.timestamp < device.observed_from:
        return None
    return device.observed_from


def _belongs(identity: Identity) -> tuple[str, str, str]:
    return identity.engine, identity.business_id, identity.gateway


def _finished(events: list[Event], base: Timeline | None) -> list[int]:
    return [outage.end - outage.start for outage in outages(events, base) if outage.end is not None]


def _outcome(record: Record, before: Timeline | None, after: Timeline | None) -> str:
    if record.kind not in _CHANGES:
        return ACCEPTED
    if after is None or (before is not None and record.timestamp <= before.newest):
        return LATE
    if before is not None and (after.since, after.outages) == (before.since, before.outages):
        return REDUNDANT
    return ACCEPTED
