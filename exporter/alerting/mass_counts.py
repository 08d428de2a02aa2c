"""How many devices of each subject are down, followed change by change. Pure: times are arguments, Unix seconds.

A subject is one value of a label that devices share: a gateway, an engine or a business. Another kind of subject is
another entry of `MASS_KINDS`: its label is an attribute of a device's identity.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from exporter.alerting.alert import SUBJECT_LABELS
from exporter.conventions import ALERT_BUSINESS_OUTAGE, ALERT_ENGINE_OUTAGE, ALERT_GATEWAY_OUTAGE
from exporter.domain.identity import BUILT_IN_GATEWAY

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from exporter.alerting.alert import Key
    from exporter.domain.accounts import Device
    from exporter.domain.fleet import Change, Fleet
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
    beside: tuple[str, ...] = ()
    """Devices of which a mass outage of these kinds speaks are not counted for another one."""


MASS_KINDS: Final[Mapping[str, MassKind]] = {
    ALERT_GATEWAY_OUTAGE: MassKind(0.3, 5, together=20, at_once=True, wait=2.0, beside=(ALERT_ENGINE_OUTAGE,)),
    ALERT_ENGINE_OUTAGE: MassKind(0.3, 5, together=20, at_once=True, beside=(ALERT_GATEWAY_OUTAGE,)),
    ALERT_BUSINESS_OUTAGE: MassKind(0.5, 3, wait=2.0, beside=(ALERT_GATEWAY_OUTAGE, ALERT_ENGINE_OUTAGE)),
}
"""By the name of the alert, in the order in which they are judged: a gateway's outage says more than its engine's."""
_SUBJECTS_OF: Final = attrgetter(*(SUBJECT_LABELS[name] for name in MASS_KINDS))
_NO_SUBJECT: Final = (ALERT_GATEWAY_OUTAGE, BUILT_IN_GATEWAY)
"""What the built-in gateway tells of is what its engines and businesses are about."""


def keys_of(identity: Identity) -> list[Key]:
    """Return what mass outages a device can be part of."""
    return _keys(_SUBJECTS_OF(identity))


def _keys(subjects: Iterable[str]) -> list[Key]:
    return [key for key in zip(MASS_KINDS, subjects, strict=True) if key[1] and key != _NO_SUBJECT]


@dataclass(slots=True)
class _Count:
    """Devices of one subject, engine and gateway.

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
            self._note(timeline.since, sign)

    def _note(self, since: int, sign: int) -> None:
        number = self.since.get(since, 0) + sign
        if number > 0:
            self.since[since] = number
        else:
            self.since.pop(since, None)


class MassCounts:
    """Devices and devices down by subject.

    Planned windows hide what goes down inside of them. What was down before goes on being part of a mass outage of all
    devices, but not of one among the few that are outside. Old news, an outage that is heard of late and whose end may
    be on the way, counts once it was waited for.
    """

    def __init__(self) -> None:
        self._counts: dict[Key, dict[tuple[str, str], _Count]] = {}  # by engine and gateway
        self._old: dict[str, tuple[int, float]] = {}  # device: begin of its outage, when it counts

    def load(self, fleet: Fleet) -> None:
        """Count a fleet in, before its first change."""
        plain = Counter(map(_whose, (device for device in fleet.devices.values() if _is_plain(device.timeline))))
        for (subjects, *part), number in plain.items():
            for key in _keys(subjects):
                self._of(key, *part).devices += number
        for device in fleet.devices.values():
            if not _is_plain(device.timeline):
                self._add(device.identity, device.timeline, 1, old=False)

    def change(self, change: Change, counts_at: float | None) -> None:
        """Count a change of a device; with `counts_at` its outage is old news until then."""
        device, before, after = change.device, change.before, change.after
        device_id = device.identity.device_id
        if before is not None:
            self._add(change.former or device.identity, before, -1, old=self._is_old(device_id, before))
        if after is None or after.up or counts_at is None:
            self._old.pop(device_id, None)
        else:
            self._old[device_id] = after.since, counts_at
        if after is not None:
            self._add(device.identity, after, 1, old=self._is_old(device_id, after))

    def was_waited_for(self, device: Device) -> None:
        """Count the outage of a device although it was old news."""
        if self._is_old(device.identity.device_id, device.timeline):
            self._add(device.identity, device.timeline, -1, old=True)
            self._add(device.identity, device.timeline, 1, old=False)
        self._old.pop(device.identity.device_id, None)

    def count_old(self, fleet: Fleet, now: float) -> None:
        """Count what was old news for long enough."""
        for device_id in [known for known, (_, at) in self._old.items() if at <= now]:
            self.was_waited_for(fleet.devices[device_id])

    def subjects(self) -> list[Key]:
        """Return every subject that has or had devices, in the order of `MASS_KINDS`."""
        return [key for name in MASS_KINDS for key in self._counts if key[0] == name]

    def engines_of(self, key: Key) -> list[Key]:
        """Return the engines that a subject has devices of."""
        return [(ALERT_ENGINE_OUTAGE, engine) for engine, _ in self._counts.get(key, ())]

    def of(self, key: Key, beside: Container[Key] = ()) -> tuple[int, int]:
        """Return (devices, devices down) that a mass outage is judged by, those of `beside` left out."""
        counts = self._without(key, beside)
        outside = _outside(counts)
        if is_mass(key[0], *outside):
            return outside
        down = sum(count.down - count.old - count.excused for count in counts)
        return sum(count.devices for count in counts), down

    def speaks_for(self, key: Key, timeline: Timeline) -> bool:
        """Whether a device of the subject that is down is one of those that `of` counts, old news included."""
        if timeline.planned is None or timeline.planned.since is None:
            return True
        return timeline.planned.waited >= 0 and not is_mass(key[0], *_outside(self._without(key, ())))

    def together(self, key: Key, at: int, beside: Container[Key] = ()) -> int:
        """Return how many went down together with what went down at `at`, and still are."""
        near: dict[int, int] = {}
        for count in self._without(key, beside):
            for since, number in count.since.items():
                if abs(since - at) < TOGETHER:
                    near[since] = near.get(since, 0) + number
        starts = [start for start in near if start <= at]
        return max((sum(near.get(start + second, 0) for second in range(TOGETHER)) for start in starts), default=0)

    def down_since(self, key: Key, at: float) -> int:
        """Return how many went down at `at` or later, and still are."""
        counts = self._counts.get(key, {}).values()
        return sum(number for count in counts for since, number in count.since.items() if since >= at)

    def _add(self, identity: Identity, timeline: Timeline, sign: int, *, old: bool) -> None:
        for key in keys_of(identity):
            self._of(key, identity.engine, identity.gateway).add(timeline, sign, old=old)

    def _of(self, key: Key, engine: str, gateway: str) -> _Count:
        return self._counts.setdefault(key, {}).setdefault((engine, gateway), _Count())

    def _without(self, key: Key, beside: Container[Key]) -> list[_Count]:
        return [
            count
            for (engine, gateway), count in self._counts.get(key, {}).items()
            if (ALERT_ENGINE_OUTAGE, engine) not in beside and (ALERT_GATEWAY_OUTAGE, gateway) not in beside
        ]

    def _is_old(self, device_id: str, timeline: Timeline) -> bool:
        since, _ = self._old.get(device_id, (None, 0.0))
        return not timeline.up and timeline.since == since


def _outside(counts: Iterable[_Count]) -> tuple[int, int]:
    """Return (devices, devices down) outside of planned windows."""
    found = [(one.devices - one.planned, one.down - one.old - one.planned_down) for one in counts]
    return sum(devices for devices, _ in found), sum(down for _, down in found)


def is_mass(name: str, devices: int, down: int) -> bool:
    """Whether so many devices down of so many are a mass outage by their share."""
    kind = MASS_KINDS[name]
    return down >= kind.devices and down >= kind.share * devices


def _is_plain(timeline: Timeline) -> bool:
    return timeline.up and timeline.planned is None


def _whose(device: Device) -> tuple[tuple[str, ...], str, str]:
    identity = device.identity
    return _SUBJECTS_OF(identity), identity.engine, identity.gateway
