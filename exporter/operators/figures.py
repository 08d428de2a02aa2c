"""A device's figures, by the same arithmetic as reports: for each span the row of a report about it. Pure.

The last 24 hours are those up to now; 7, 30 and 90 days are local days, today as far as it has come.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from exporter.lib.times import local
from exporter.report.availability import Account
from exporter.report.device_account import Window

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from exporter.report.availability import Row
    from exporter.report.history import History

DAY: Final = 86_400.0
DAYS: Final = (7, 30, 90)


def begin_of(days: int, now: float, zone: tzinfo) -> float:
    """Return when the first of so many local days begins, of which today is the last."""
    today = local(now, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return (today - timedelta(days=days - 1)).timestamp()


def spans(now: float, zone: tzinfo) -> list[tuple[str, float]]:
    """Return the name and the begin of each span up to now."""
    return [("24h", now - DAY), *((f"{days}d", begin_of(days, now, zone)) for days in DAYS)]


def row_of(
    history: History, blind: Sequence[tuple[float, float]], start: float, now: float, objective: float
) -> Row | None:
    """Return the account of a device in [start, now); None where nothing is known of it."""
    device = Window(start, now, blind=blind).account(history)
    if not (device.counted or device.blind_ms or device.planned_ms):
        return None
    account = Account(history.identity.device_id, history.identity.device_name)
    account.add(device, objective)
    return account.row()
