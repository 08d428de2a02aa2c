"""A journal full of history, written as the exporter would have written it, without taking a day."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from exporter.domain.identity import Identity
from exporter.domain.records import Append
from exporter.domain.timeline import Kind
from exporter.journal.sqlite.database import Database

if TYPE_CHECKING:
    from pathlib import Path

ENGINE = "instagram"
BUSINESSES = 3333
_BATCH = 5000


def identity(number: int) -> Identity:
    """Return the device of this number as load.lua names it."""
    business = number % BUSINESSES
    return Identity(
        device_id=f"device_{number:05}",
        device_name=f"Front desk {number}",
        engine=ENGINE,
        channel_id=f"channel_{number}",
        channel_name="Customer care",
        business_id=f"biz_{business}",
        business_name=f"Toko Makmur {business}",
        user_id=f"merchant_{business}",
        user_name="Ibu Sari",
    )


def write_history(database: Path, devices: int, events: int, *, down: float = 0.01) -> None:
    """Write `events` events, evenly over the devices and over the last 30 days; a share of them is down at the end."""
    received, last = 0, 0
    journal = Database(database, lambda: received)
    identities = [identity(number) for number in range(devices)]
    rounds, now = events // devices, int(time.time())
    for turn in range(rounds):
        left = rounds - turn
        at = now - 3600 - left * (30 * 86_400 // rounds)
        kind = Kind.DISCONNECTED if left % 2 == 0 else Kind.CONNECTED
        chosen = identities if left > 1 else identities[int(devices * down) :]
        for start in range(0, len(chosen), _BATCH):
            some = enumerate(chosen[start : start + _BATCH], start)
            received = at + 900
            last += len(journal.append([Append(one, at + n % 900, kind) for n, one in some], last).numbers)
    journal.close()
