"""What planned windows take out of a device's account. Part of its timeline, and as pure: times are event times.

A window counts from its begin up to its end, the end excluded: in it neither up nor down time counts. The order of a
window's boundary and a change of the device within one second makes no difference.
"""

from __future__ import annotations

import msgspec


class Planned(msgspec.Struct, frozen=True, gc=False):
    """Sums over the finished pieces of planned time, and the running one. Unix seconds and seconds."""

    since: int | None
    """Begin of the window that runs; None outside of windows."""
    until: int = 0
    """End of the last finished window; 0: none has finished."""
    observed: int = 0
    """Observed time inside finished windows."""
    downtime: int = 0
    """Downtime inside windows, but for the piece that still runs."""
    waited: int = -1
    """The longest stretch that the running outage lasted before a window cut it; -1: it began inside one, or no
    window has touched it."""

    @property
    def newest(self) -> int:
        """The last boundary."""
        return self.until if self.since is None else self.since

    def running_downtime(self, now: float, down_since: int) -> float:
        """Return the downtime inside the running window of an outage that runs since `down_since`."""
        return 0 if self.since is None else max(0, now - max(self.since, down_since))

    def running_observed(self, now: float, first_seen: int) -> float:
        """Return the observed time inside the running window."""
        return 0 if self.since is None else max(0, now - max(self.since, first_seen))


def begin(planned: Planned | None, at: int, down_since: int | None) -> Planned:
    """Return what is planned after a window began; nothing changes inside of one. `down_since` is None while up."""
    if planned is None:
        planned = Planned(None)
    if planned.since is not None:
        return planned
    waited = planned.waited
    if down_since is not None and (stretch := at - max(down_since, planned.until)) > 0:
        waited = max(waited, stretch)
    return Planned(at, planned.until, planned.observed, planned.downtime, waited)


def end(planned: Planned | None, at: int, first_seen: int, down_since: int | None) -> Planned | None:
    """Return what is planned after a window ended; nothing changes outside of one."""
    if planned is None or planned.since is None:
        return planned
    observed = planned.observed + int(planned.running_observed(at, first_seen))
    downtime = planned.downtime
    if down_since is not None:
        downtime += int(planned.running_downtime(at, down_since))
    return Planned(None, at, observed, downtime, planned.waited)


def outage_ended(planned: Planned | None, at: int, down_since: int) -> Planned | None:
    """Return what is planned after an outage ended."""
    if planned is None:
        return None
    downtime = planned.downtime + int(planned.running_downtime(at, down_since))
    return Planned(planned.since, planned.until, planned.observed, downtime)
