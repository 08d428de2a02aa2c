"""Soft states in memory: what waits for each device, and what an `up` makes of it. Pure.

A few are kept for each device, because webhooks come in any order: an `up` ends those before it and none after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.sessions.store import Soft

LIMIT: Final = 4
"""Kept for one device; beyond it only the newest is replaced, so that thousands cost nothing."""


class Waiting:
    """All soft states that wait."""

    def __init__(self, found: Iterable[Soft] = ()) -> None:
        self._of: dict[str, list[Soft]] = {}
        for soft in found:
            self.add(soft)

    def __len__(self) -> int:
        """Return of how many devices some wait."""
        return len(self._of)

    def of(self, device_id: str) -> list[Soft]:
        """Return those of a device, the earliest first."""
        return list(self._of.get(device_id, ()))

    def devices(self) -> list[str]:
        """Return the devices of which some wait."""
        return list(self._of)

    def add(self, soft: Soft) -> bool:
        """Add one; False if it is known, or takes the place of another."""
        found = self._of.setdefault(soft.device_id, [])
        if any(one.at_ms == soft.at_ms for one in found):
            return False
        if len(found) >= LIMIT:
            if soft.at_ms > found[-1].at_ms:
                found[-1] = soft._replace(deadline=found[-1].deadline)
            return False
        found.append(soft)
        found.sort(key=lambda one: one.at_ms)
        return True

    def bring_forward(self, device_id: str, latest: float) -> None:
        """Let none of a device's wait longer than until then."""
        found = self._of.get(device_id, [])
        found[:] = [soft._replace(deadline=min(soft.deadline, latest)) for soft in found]

    def remove(self, device_id: str, until_ms: int) -> list[Soft]:
        """Take out those of a device up to a time, and return them."""
        found = self._of.get(device_id, [])
        over = [soft for soft in found if soft.at_ms <= until_ms]
        rest = [soft for soft in found if soft.at_ms > until_ms]
        if rest:
            self._of[device_id] = rest
        else:
            self._of.pop(device_id, None)
        return over
