"""Devices that disconnect again and again: DeviceFlapping while they do. Pure: times are arguments, Unix seconds."""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING, Final

from exporter.alerting.alert import Alert, device_labels, device_names
from exporter.conventions import ALERT_DEVICE_FLAPPING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.alerting.alert import Key
    from exporter.domain.accounts import Device


FLAPS: Final = 5
FLAP_WINDOW: Final = 1800.0
"""Seconds; a device with more than FLAPS disconnects within them is flapping."""


class Flaps:
    """The last disconnects of each device that had some."""

    def __init__(self) -> None:
        self._times: dict[str, list[float]] = {}

    def add(self, device_id: str, at: float) -> bool:
        """Note a disconnect (event time, in any order); return whether there were more than 5 within 30 minutes."""
        times = self._times.setdefault(device_id, [])
        insort(times, at)
        del times[: -(FLAPS + 1)]
        return len(times) > FLAPS and times[-1] - times[0] <= FLAP_WINDOW

    def quiet_at(self, device_id: str) -> float:
        """Return the time at which the device has been, or will have been, quiet for 30 minutes."""
        times = self._times.get(device_id)
        return times[-1] + FLAP_WINDOW if times else 0.0

    def forget(self, device_id: str) -> None:
        """Drop a device."""
        self._times.pop(device_id, None)

    def drop_quiet(self, now: float) -> None:
        """Drop the devices that have been quiet."""
        for device_id in [known for known, times in self._times.items() if times[-1] + FLAP_WINDOW <= now]:
            del self._times[device_id]


class Flapping:
    """`fire` and `resolve` are called with what begins and ends."""

    def __init__(
        self,
        firing: Mapping[Key, Alert],
        severity: Callable[[Device], str],
        fire: Callable[[Alert], None],
        resolve: Callable[[Key, float, float], None],
    ) -> None:
        self._firing = firing
        self._severity = severity
        self._fire = fire
        self._resolve = resolve
        self._flaps = Flaps()

    def count(self, device: Device, at: int, received_at: float | None, now: float, *, planned: bool = False) -> None:
        """Count a disconnect (event time); planned ones only of what flaps already."""
        device_id = device.identity.device_id
        if planned and (ALERT_DEVICE_FLAPPING, device_id) not in self._firing:
            return
        if not self._flaps.add(device_id, at) or self._flaps.quiet_at(device_id) <= now:
            return
        if (ALERT_DEVICE_FLAPPING, device_id) not in self._firing:
            labels = device_labels(ALERT_DEVICE_FLAPPING, device.identity, self._severity(device))
            self._fire(Alert(labels, min(at, now), at, received_at, device_names(device.identity)))

    def tidy(self, now: float) -> None:
        """End what is quiet."""
        for name, device_id in [key for key in self._firing if key[0] == ALERT_DEVICE_FLAPPING]:
            if self._flaps.quiet_at(device_id) <= now:
                self._resolve((name, device_id), now, now)
        self._flaps.drop_quiet(now)

    def forget(self, device_id: str) -> None:
        """Drop a device."""
        self._flaps.forget(device_id)
