"""Devices that disconnect again and again: DeviceFlapping while they do. No clock: `now` is an argument."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.alerting.alert import Alert, device_labels, device_names
from exporter.alerting.bursts import Flaps
from exporter.conventions import ALERT_DEVICE_FLAPPING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.alerting.alert import Key
    from exporter.domain.accounts import Device


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
