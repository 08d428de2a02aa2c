"""When an outage is due: its alert fires, its incident opens. Pure: times are arguments, Unix seconds.

The one place for it: `DeviceDown` and incidents are due `alert_after` seconds after the outage began,
`DeviceDownEscalated` at each step of the escalation. An alert counts from when we heard of the outage where that is
earlier: a clock may be ahead. Only time in one stretch outside planned windows counts: an outage that outlasts a window
counts from the window's end, unless it had passed the threshold before the window.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from exporter.conventions import ALERT_DEVICE_DOWN, ALERT_DEVICE_DOWN_ESCALATED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from exporter.domain.accounts import Device
    from exporter.domain.policy import Policies, Policy
    from exporter.domain.timeline import Timeline

OLD_NEWS: Final = 600.0
"""An outage that we hear of so many seconds after it began is old news: the sender's own tries are over by then."""
OLD_NEWS_WAIT: Final = 120.0
"""Its end is often on the way, too: people are told only if that does not come for so long."""

OF_ALERTS: Final = (ALERT_DEVICE_DOWN, ALERT_DEVICE_DOWN_ESCALATED)
"""The alerts about an outage."""


class Rung(NamedTuple):
    """An alert about an outage, and how long that lasts before it is due."""

    alert: str
    after: float
    to: str = ""
    """Of an escalation: who is told."""
    unless_taken: bool = False
    """Whether it is left out while somebody has the outage."""

    @property
    def key(self) -> str:
        """What tells it from the other rungs of a device."""
        return rung_key(self.alert, self.to)


def rung_key(alert: str, to: str) -> str:
    """Return what tells an alert of a device from its others: its name, and for an escalation whom it is for."""
    return f"{alert} {to}" if to else alert


def rungs(policy: Policy) -> list[Rung]:
    """Return the alerts about an outage that a policy asks for."""
    steps = (
        Rung(ALERT_DEVICE_DOWN_ESCALATED, step.after, step.to, step.unless == "acknowledged") for step in policy.steps
    )
    return [Rung(ALERT_DEVICE_DOWN, policy.alert_after), *steps]


def counts_from(timeline: Timeline, after: float) -> int | None:
    """Return from when on the running outage of a timeline counts for a threshold of `after` seconds.

    None inside a window that cut it short, and for a device that is up.
    """
    planned = timeline.planned
    if timeline.up:
        return None
    if planned is None or planned.waited >= after:
        return timeline.since
    return None if planned.since is not None else max(timeline.since, planned.until)


def running_due(timeline: Timeline, after: float) -> float | None:
    """Return when the running outage of a timeline is due, past or ahead; None as with `counts_from`."""
    start = counts_from(timeline, after)
    return None if start is None else _due(start, after)


def due(start: int, after: float, windows: Iterable[tuple[int, int | None]]) -> float | None:
    """Return when any outage is due, by its start and the planned windows in order.

    What `running_due` says of a running outage, this says of one that is over, too. None inside a window that runs.
    """
    for begin, end in windows:
        if end is not None and end <= start:
            continue
        if begin > start and begin - start >= after:
            break
        if end is None:
            return None
        start = end
    return _due(start, after)


def _due(start: float, after: float) -> float:
    return start + after


def _as_heard(at: float, since: int, after: float, heard_at: float) -> float:
    if heard_at < since:
        return at - (since - heard_at)
    return max(at, heard_at + OLD_NEWS_WAIT) if heard_at - since > max(OLD_NEWS, after) else at


class Thresholds:
    """What the policies that hold now say of devices."""

    def __init__(self, policies: Callable[[], Policies]) -> None:
        self._policies = policies

    def severity(self, device: Device) -> str:
        """Return the severity of alerts and incidents of a device."""
        return self._policy(device).severity

    def alert_after(self, device: Device) -> float:
        """Return the seconds down after which people are told of a device."""
        return self._policy(device).alert_after

    def rungs(self, device: Device) -> list[Rung]:
        """Return the alerts that there are about outages of a device."""
        return rungs(self._policy(device))

    def due(
        self, device: Device, after: float, *, planned_until: float | None = None, heard_at: float | None = None
    ) -> float | None:
        """Return when the running outage of a device has lasted `after` seconds as alerts count; None: not now.

        `heard_at` is when we heard that the outage began; None: before this process started.
        `planned_until` is the end of a planned window that the device is in and whose begin the timeline may not have
        yet; the end of a window that it has is a change of the device, after which this is to be asked again.
        """
        at = running_due(device.timeline, after)
        if at is None:
            return None
        if planned_until is not None and not device.timeline.in_window:
            at = max(at, _due(planned_until, after))
        return at if heard_at is None else _as_heard(at, device.timeline.since, after, heard_at)

    def _policy(self, device: Device) -> Policy:
        return self._policies().for_engine(device.identity.engine)
