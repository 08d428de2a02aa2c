"""What is counted of one device, of one group and of one engine's finished outages.

Guarantees: the exposed counters never decrease, whatever a late event corrects. Where a correction lowers the true
downtime below what was last exposed, the exposed counter stands still at that value, its floor, until the true downtime
has caught up.

Only `Fleet` changes what is here. No clock: times are arguments, in Unix seconds. `exposed_at` is the time of the last
exposition before a change, 0 if there was none.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from exporter.conventions import OUTAGE_BUCKETS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.domain.identity import Identity
    from exporter.domain.planned import Planned
    from exporter.domain.timeline import Timeline


class Share(NamedTuple):
    """What a device has added to the sums of a group until it left. Milliseconds, planned windows excluded."""

    downtime_ms: int
    observed_ms: int
    outages: int

    def less(self, other: Share) -> Share:
        """Return the difference."""
        return Share(*(mine - theirs for mine, theirs in zip(self, other, strict=True)))


def share_until(timeline: Timeline | None, until: float) -> Share:
    """Return the share of a device with this timeline, from its first event on."""
    if timeline is None or until <= timeline.first_seen:
        return Share(0, 0, 0 if timeline is None else timeline.outages)
    observed_ms = _ms(until - timeline.first_seen) - _ms(timeline.planned_time(until))
    return Share(_ms(timeline.counted_downtime(until)), observed_ms, timeline.outages)


class Device:
    """One device. Read it freely; only `Fleet` changes it."""

    __slots__ = (
        "base_downtime",
        "base_outages",
        "base_planned",
        "downtime_floor",
        "group",
        "held_at",
        "identity",
        "identity_at",
        "observed_from",
        "slot",
        "timeline",
    )

    def __init__(self, identity: Identity, identity_at: int, timeline: Timeline, group: Group) -> None:
        self.identity = identity
        self.group = group
        """The one of its engine and business."""
        self.identity_at = identity_at
        """Event time of the event that gave the identity."""
        self.timeline: Timeline = timeline
        self.downtime_floor = 0.0
        """The exposed downtime is never below this."""
        self.held_at = 0.0
        """The exposition that the floor takes into account, and all before it."""
        self.observed_from: float = timeline.first_seen
        """Since when the device counts in its present group; what it was before stays in the former group's sums."""
        self.base_downtime = 0.0
        """The downtime that counted before the device came into its group; likewise the next two."""
        self.base_outages = 0
        self.base_planned = 0.0
        self.slot = -1
        """The exposition's place for this device; -1: none."""

    def exposed_downtime(self, now: float) -> float:
        """Return the counter `device_downtime_seconds_total`: monotone, unlike `timeline.downtime`."""
        return max(self.downtime_floor, self.timeline.downtime(now))

    def hold(self, exposed_at: float) -> None:
        """Remember what was exposed, so that the change that follows cannot lower the counter."""
        if exposed_at > self.held_at:
            self.downtime_floor = self.exposed_downtime(exposed_at)
            self.held_at = exposed_at


class Group:
    """The sums over the devices of one engine and business. All sums are exact integers of milliseconds.

    A device inside a planned window is paused: its part of the downtime and the observed time stands still.
    """

    __slots__ = (
        "business_id",
        "closed_ms",
        "down",
        "down_since_ms",
        "downtime_floor_ms",
        "engine",
        "future",
        "held_at",
        "observed_floor_ms",
        "observed_from_ms",
        "observed_ms",
        "outages",
        "paused",
        "paused_down",
        "paused_while_down",
        "up",
    )

    def __init__(self, engine: str, business_id: str) -> None:
        self.engine = engine
        self.business_id = business_id
        self.up = 0
        self.down = 0
        self.paused = 0
        self.paused_down = 0
        self.paused_while_down = 0  # of those, which were down when their window began
        self.outages = 0
        self.closed_ms = 0  # finished outages, paused devices, and the frozen sums of devices that left
        self.down_since_ms = 0  # sum over devices that are down and not paused
        self.observed_ms = 0  # paused devices, and the frozen sums of devices that left
        self.observed_from_ms = 0  # sum over devices that are not paused
        self.downtime_floor_ms = 0
        self.observed_floor_ms = 0
        self.held_at = 0.0  # see Device
        self.future: set[Device] = set()  # devices with a time ahead of our clock

    def add(self, device: Device, sign: int = 1) -> None:
        """Count a device in; with sign -1 count the same device, unchanged since, out."""
        timeline = device.timeline
        self.outages += sign * (timeline.outages - device.base_outages)
        self.closed_ms += sign * (timeline.closed_downtime * 1000 - _ms(device.base_downtime))
        if timeline.up:
            self.up += sign
        else:
            self.down += sign
        if timeline.planned is not None:
            self._add_planned(device, timeline.planned, sign)
        if not timeline.in_window:
            self.observed_from_ms += sign * _ms(device.observed_from)
            self.down_since_ms += 0 if timeline.up else sign * timeline.since * 1000

    def move(self, before: Timeline, after: Timeline) -> None:
        """Count a device out and in again whose timeline changed and nothing else, and without planned windows."""
        self.outages += after.outages - before.outages
        self.closed_ms += (after.closed_downtime - before.closed_downtime) * 1000
        if not before.up:
            self.down -= 1
            self.down_since_ms -= before.since * 1000
        if not after.up:
            self.down += 1
            self.down_since_ms += after.since * 1000
        self.up += after.up - before.up

    def _add_planned(self, device: Device, planned: Planned, sign: int) -> None:
        timeline = device.timeline
        self.closed_ms -= sign * planned.downtime * 1000
        self.observed_ms -= sign * (planned.observed * 1000 - _ms(device.base_planned))
        if planned.since is None:
            return
        self.paused += sign
        self.observed_ms += sign * (max(planned.since, timeline.first_seen) * 1000 - _ms(device.observed_from))
        if not timeline.up:
            self.paused_down += sign
            self.paused_while_down += sign * (planned.waited >= 0)
            self.closed_ms += sign * (max(planned.since, timeline.since) - timeline.since) * 1000

    def true_downtime_ms(self, now: float) -> int:
        """Return the summed downtime up to `now` as it is known today; a correction can lower it."""
        ms = self.closed_ms + (self.down - self.paused_down) * _ms(now) - self.down_since_ms
        for device in self.future:
            if not device.timeline.up and device.timeline.since > now and not device.timeline.in_window:
                ms += device.timeline.since * 1000 - _ms(now)
        return ms

    def true_observed_ms(self, now: float) -> int:
        """Return the summed observed time up to `now`."""
        ms = self.observed_ms + (self.up + self.down - self.paused) * _ms(now) - self.observed_from_ms
        for device in self.future:
            if device.observed_from > now and not device.timeline.in_window:
                ms += _ms(device.observed_from) - _ms(now)
        return ms

    def downtime(self, now: float) -> float:
        """Return the counter `fleet_downtime_seconds_total`: monotone."""
        return max(self.downtime_floor_ms, self.true_downtime_ms(now)) / 1000

    def observed(self, now: float) -> float:
        """Return the counter `fleet_observed_seconds_total`: monotone."""
        return max(self.observed_floor_ms, self.true_observed_ms(now)) / 1000

    def downtime_known(self, now: float) -> float:
        """Return the gauge `fleet_downtime_known_seconds`: what a correction took away is gone at once."""
        return self.true_downtime_ms(now) / 1000

    def observed_known(self, now: float) -> float:
        """Return the gauge `fleet_observed_known_seconds`."""
        return self.true_observed_ms(now) / 1000

    def hold(self, exposed_at: float) -> None:
        """Remember what was exposed, so that the change that follows cannot lower a counter."""
        if exposed_at > self.held_at:
            self.downtime_floor_ms = max(self.downtime_floor_ms, self.true_downtime_ms(exposed_at))
            self.observed_floor_ms = max(self.observed_floor_ms, self.true_observed_ms(exposed_at))
            self.held_at = exposed_at

    def freeze(self, device: Device, now: float) -> None:
        """Keep what a device contributed up to `now` when it leaves."""
        timeline = device.timeline
        self.closed_ms += _ms(timeline.counted_downtime(now)) - _ms(device.base_downtime)
        planned_ms = _ms(timeline.planned_time(now)) - _ms(device.base_planned)
        self.observed_ms += max(0, _ms(now) - _ms(device.observed_from)) - planned_ms
        self.outages += timeline.outages - device.base_outages

    def correct(self, share: Share) -> None:
        """Add to what devices that left have contributed."""
        self.closed_ms += share.downtime_ms
        self.observed_ms += share.observed_ms
        self.outages += share.outages


class OutageHistogram:
    """Durations of finished outages of one engine: cumulative buckets that never decrease."""

    __slots__ = ("counts", "floor", "floor_sum", "held_at", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(OUTAGE_BUCKETS) + 1)  # per bucket, not cumulative
        self.total = 0  # seconds
        self.floor = [0] * len(self.counts)  # cumulative
        self.floor_sum = 0
        self.held_at = 0.0  # see Device

    def hold(self, exposed_at: float) -> None:
        """Remember what was exposed, so that the change that follows cannot lower a count."""
        if exposed_at > self.held_at:
            self.floor = self.cumulative()
            self.floor_sum = self.exposed_sum()
            self.held_at = exposed_at

    def change(self, added: Iterable[int], removed: Iterable[int] = ()) -> None:
        """Count finished outages in, and those that a correction took away out; durations in seconds."""
        for durations, sign in ((added, 1), (removed, -1)):
            for seconds in durations:
                self.counts[bisect_left(OUTAGE_BUCKETS, seconds)] += sign
                self.total += sign * seconds

    def cumulative(self) -> list[int]:
        """Return the exposed cumulative counts, one a bucket of OUTAGE_BUCKETS and the last for +Inf."""
        running, found = 0, []
        for count, floor in zip(self.counts, self.floor, strict=True):
            running += count
            found.append(max(floor, running))
        return found

    def exposed_sum(self) -> int:
        """Return the exposed sum of durations in seconds."""
        return max(self.floor_sum, self.total)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
