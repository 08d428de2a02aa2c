"""When the running outage of each device is due for an alert. No clock: `now` is an argument, Unix seconds.

It knows since when we have heard of an outage, which a policy and a planned window do not say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from exporter.domain.thresholds import OLD_NEWS, OLD_NEWS_WAIT, Thresholds
from exporter.lib.agenda import Agenda

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from exporter.alerting.alert import Key
    from exporter.domain.accounts import Device
    from exporter.domain.fleet import Fleet
    from exporter.domain.policy import Policies
    from exporter.domain.thresholds import Rung


class Due(NamedTuple):
    """An alert that fires at a time if the outage still runs then."""

    device_id: str
    since: int
    rung: Rung
    received_at: float | None


class DueOutages:
    """What is scheduled. `firing` are the alerts that fire already."""

    def __init__(
        self,
        fleet: Fleet,
        policies: Callable[[], Policies],
        planned_until: Callable[[Device, float], float | None],
        firing: Container[Key],
    ) -> None:
        """`postponed` may be set: it puts off a rung of a device that is due at a time, or leaves it out with None."""
        self._fleet = fleet
        self._firing = firing
        self._planned_until = planned_until
        self.postponed: Callable[[Device, Rung, float | None], float | None] = lambda _device, _rung, at: at
        self.thresholds = Thresholds(policies)
        self._agenda: Agenda[Due] = Agenda()
        self._heard: dict[str, tuple[int, float]] = {}  # device: begin of its outage, when we heard of it

    def heard(self, device: Device, since: int, at: float) -> None:
        """Note when we heard that an outage began."""
        self._heard[device.identity.device_id] = since, at

    def over(self, device_id: str) -> None:
        """Drop a device whose outage is over."""
        self._heard.pop(device_id, None)

    def heard_at(self, device: Device) -> float | None:
        """Return when we heard of the running outage; None: before this process started."""
        since, at = self._heard.get(device.identity.device_id, (None, None))
        return at if since == device.timeline.since else None

    def turned_back(self, now: float) -> None:
        """Take what was heard by a clock that was ahead as heard now, when it has been set right."""
        self._heard = {device_id: (since, min(at, now)) for device_id, (since, at) in self._heard.items()}

    def counts_at(self, device: Device, now: float) -> float | None:
        """Return until when the outage of a device is old news, whose end may be on the way; None: it is not."""
        heard_at = self.heard_at(device)
        if device.timeline.up or heard_at is None or heard_at - device.timeline.since <= OLD_NEWS:
            return None
        return heard_at + OLD_NEWS_WAIT if now < heard_at + OLD_NEWS_WAIT else None

    def is_planned(self, device: Device, now: float) -> bool:
        """Whether a device is inside a planned window."""
        return device.timeline.in_window or self._planned_until(device, now) is not None

    def reached(self, device: Device, now: float) -> dict[str, float | None]:
        """Return when a device is due for each of its alerts, whoever has its outage; None: not now."""
        return {rung.key: self._reached_at(device, rung, now) for rung in self.thresholds.rungs(device)}

    def schedule(self, device: Device, now: float, received_at: float | None) -> None:
        """Put down when the alerts of a device that is down have to fire."""
        device_id = device.identity.device_id
        for rung in self.thresholds.rungs(device):
            at = self._at(device, rung, now)
            if at is not None and (rung.key, device_id) not in self._firing:
                self._agenda.add(at, Due(device_id, device.timeline.since, rung, received_at))

    def clear(self) -> None:
        """Drop what is scheduled."""
        self._agenda.clear()

    def pop(self, now: float) -> tuple[Due, Device, float] | None:
        """Take out what has to fire: the alert, its device, and since when it is due; None: nothing more."""
        while (due := self._agenda.pop_due(now)) is not None:
            device = self._still(due)
            at = None if device is None else self._at(device, due.rung, now)
            if device is None or at is None:
                continue
            if at <= now:
                return due, device, at
            self._agenda.add(at, due)  # a planned window began in the meantime
        return None

    def next_at(self) -> float | None:
        """Return when `pop` has something next."""
        return self._agenda.next_at()

    def drop_old(self) -> None:
        """Forget outages that were scheduled and are over, where they are many."""
        if len(self._agenda) > 1000 + 4 * len(self._fleet.down):
            self._agenda.thin(lambda due: (due.device_id, due.rung.key) if self._still(due) is not None else None)

    def _at(self, device: Device, rung: Rung, now: float) -> float | None:
        return self.postponed(device, rung, self._reached_at(device, rung, now))

    def _reached_at(self, device: Device, rung: Rung, now: float) -> float | None:
        planned_until, heard_at = self._planned_until(device, now), self.heard_at(device)
        return self.thresholds.due(device, rung.after, planned_until=planned_until, heard_at=heard_at)

    def _still(self, due: Due) -> Device | None:
        """Return the device if the outage that was scheduled still runs and its alert does not fire yet."""
        device = self._fleet.down.get(due.device_id)
        if device is None or device.timeline.since != due.since or (due.rung.key, due.device_id) in self._firing:
            return None
        return device
