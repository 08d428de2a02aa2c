"""How many devices of each subject are down, followed change by change. Pure: times are arguments, Unix seconds.

A subject is one value of a label that devices share, an engine or a business. Another kind of subject is another entry
of `MASS_KINDS`: its label is an attribute of a device's identity and of the fleet's groups.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from exporter.alerting.alert import SUBJECT_LABELS
from exporter.conventions import ALERT_BUSINESS_OUTAGE, ALERT_ENGINE_OUTAGE

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from exporter.alerting.alert import Key
    from exporter.domain.accounts import Device, Group
    from exporter.domain.fleet import Fleet
    from exporter.domain.identity import Identity
    from exporter.domain.timeline import Timeline

TOGETHER: Final = 60
"""Devices that went down within so many seconds of each other went down together."""


@dataclass(frozen=True)
class MassKind:
    """What makes a mass outage of a subject."""

    share: float
    """Of its devices are down,"""
    devices: int
    """and at least so many."""
    together: int | None = None
    """So many that went down together are enough, whatever their share."""
    at_once: bool = False
    """The share is judged at each change; otherwise when a device is about to speak."""
    wait: float = 0.0
    """Seconds to wait whether it is part of a larger one."""


MASS_KINDS: Final[Mapping[str, MassKind]] = {
    ALERT_ENGINE_OUTAGE: MassKind(share=0.3, devices=5, together=20, at_once=True),
    ALERT_BUSINESS_OUTAGE: MassKind(share=0.5, devices=3, wait=2.0),
}
"""By the name of the alert."""


def keys_of(of: Identity | Group) -> list[Key]:
    """Return what mass outages a device can be part of."""
    return [(name, subject) for name in MASS_KINDS if (subject := getattr(of, SUBJECT_LABELS[name]))]


@dataclass(slots=True)
class _Count:
    """Devices of one subject and engine.

    `planned` are inside a planned window, `excused` went down inside of it. `old` are down by old news. `since` has how
    many of the others went down in which second.
    """

    devices: int = 0
    down: int = 0
    planned: int = 0
    planned_down: int = 0
    excused: int = 0
    old: int = 0
    since: dict[int, int] = field(default_factory=dict)

    def add(self, timeline: Timeline, sign: int, *, old: bool) -> None:
        down = sign * (not timeline.up)
        self.devices += sign
        self.down += down
        excused = False
        if timeline.planned is not None and timeline.planned.since is not None:
            excused = timeline.planned.waited < 0
            self.planned += sign
            self.planned_down += down
            self.excused += down * excused
        elif old:
            self.old += down
        if down and not excused and not old:
            self.note(timeline.since, sign)

    def note(self, since: int, sign: int) -> None:
        number = self.since.get(since, 0) + sign
        if number > 0:
            self.since[since] = number
        else:
            self.since.pop(since, None)

    def add_group(self, group: Group) -> None:
        self.devices += group.up + group.down
        self.down += group.down
        self.planned += group.paused
        self.planned_down += group.paused_down
        self.excused += group.paused_down - group.paused_while_down


class MassCounts:
    """Devices and devices down by subject.

    Planned windows hide what goes down inside of them. What was down before goes on being part of a mass outage of all
    devices, but not of one among the few that are outside. Old news, an outage that is heard of late and whose end may
    be on the way, counts once it was waited for.
    """

    def __init__(self) -> None:
        self._counts: dict[Key, dict[str, _Count]] = {}
        self._old: dict[str, tuple[int, float]] = {}  # device: begin of its outage, when it counts

    def recount(self, fleet: Fleet, now: float) -> None:
        """Start from the fleet's own sums; corrects what devices that moved to another subject did to the counts."""
        self._counts = {}
        for group in fleet.groups.values():
            for key in keys_of(group):
                self._of(key, group.engine).add_group(group)
        self._old = {id_: old for id_, old in self._old.items() if old[1] > now and id_ in fleet.down}
        for device in fleet.down.values():
            self._recount_down(device)

    def _recount_down(self, device: Device) -> None:
        timeline, old = device.timeline, self._is_old(device, device.timeline)
        is_excused = timeline.planned is not None and timeline.planned.since is not None and timeline.planned.waited < 0
        for key in keys_of(device.identity):
            count = self._of(key, device.identity.engine)
            if old:
                count.old += not timeline.in_window
            elif not is_excused:
                count.note(timeline.since, 1)

    def change(self, device: Device, before: Timeline | None, after: Timeline | None, counts_at: float | None) -> None:
        """Count a change of a device; with `counts_at` its outage is old news until then."""
        old_before = before is not None and self._is_old(device, before)
        if after is None or after.up or counts_at is None:
            self._old.pop(device.identity.device_id, None)
        else:
            self._old[device.identity.device_id] = after.since, counts_at
        old_after = after is not None and self._is_old(device, after)
        for key in keys_of(device.identity):
            count = self._of(key, device.identity.engine)
            if before is not None:
                count.add(before, -1, old=old_before)
            if after is not None:
                count.add(after, 1, old=old_after)

    def was_waited_for(self, device: Device) -> None:
        """Count the outage of a device although it was old news."""
        if device.identity.device_id in self._old:
            self.change(device, device.timeline, device.timeline, None)

    def subjects(self, name: str) -> list[Key]:
        """Return every subject of a kind that has devices, or had some at the last recount."""
        return [key for key in self._counts if key[0] == name]

    def of(self, key: Key, without: Container[str] = ()) -> tuple[int, int]:
        """Return (devices, devices down) that a mass outage is judged by; `without` are engines that are left out."""
        counts = self._without(key, without)
        devices, down = sum(count.devices for count in counts), sum(count.down - count.old for count in counts)
        planned, planned_down = sum(count.planned for count in counts), sum(count.planned_down for count in counts)
        outside = devices - planned, down - planned_down
        if is_mass(key[0], *outside):
            return outside
        return devices, down - sum(count.excused for count in counts)

    def together(self, key: Key, at: int, without: Container[str] = ()) -> int:
        """Return how many went down together with what went down at `at`, and still are."""
        near: dict[int, int] = {}
        for count in self._without(key, without):
            for since, number in count.since.items():
                if abs(since - at) < TOGETHER:
                    near[since] = near.get(since, 0) + number
        starts = [start for start in near if start <= at]
        return max((sum(near.get(start + second, 0) for second in range(TOGETHER)) for start in starts), default=0)

    def down_since(self, key: Key, at: float) -> int:
        """Return how many went down at `at` or later, and still are."""
        counts = self._counts.get(key, {}).values()
        return sum(number for count in counts for since, number in count.since.items() if since >= at)

    def _of(self, key: Key, engine: str) -> _Count:
        return self._counts.setdefault(key, {}).setdefault(engine, _Count())

    def _without(self, key: Key, engines: Container[str]) -> Iterable[_Count]:
        return [count for engine, count in self._counts.get(key, {}).items() if engine not in engines]

    def _is_old(self, device: Device, timeline: Timeline) -> bool:
        since, _ = self._old.get(device.identity.device_id, (None, 0.0))
        return not timeline.up and timeline.since == since


def is_mass(name: str, devices: int, down: int) -> bool:
    """Whether so many devices down of so many are a mass outage by their share."""
    kind = MASS_KINDS[name]
    return down >= kind.devices and down >= kind.share * devices
