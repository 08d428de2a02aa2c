"""What fires, by whom it is about. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.alerting.alert import Alert
from exporter.domain.thresholds import OF_ALERTS

if TYPE_CHECKING:
    from exporter.alerting.alert import Key


class Firing(dict[tuple[str, str], Alert]):
    """Alerts by their keys. Change it by `begin` and `end` alone."""

    def __init__(self) -> None:
        super().__init__()
        self._of_device: dict[str, dict[Key, None]] = {}

    def begin(self, alert: Alert) -> None:
        """Put an alert in."""
        self[alert.key] = alert
        if alert.name in OF_ALERTS:
            self._of_device.setdefault(alert.labels["device_id"], {})[alert.key] = None

    def end(self, key: Key) -> Alert | None:
        """Take an alert out; None: it is not there."""
        alert = self.pop(key, None)
        if alert is not None and alert.name in OF_ALERTS:
            device_id = alert.labels["device_id"]
            self._of_device[device_id].pop(key, None)
            if not self._of_device[device_id]:
                del self._of_device[device_id]
        return alert

    def about_outage(self, device_id: str) -> list[Key]:
        """Return what fires about the outage of a device, in the order of the begins."""
        return list(self._of_device.get(device_id, ()))
