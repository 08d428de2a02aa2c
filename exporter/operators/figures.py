"""A device's figures, by the same arithmetic as reports: for each span the row of a report about it. Pure.

The last 24 hours are those up to now; 7, 30 and 90 days are local days, today as far as it has come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exporter.days.sums import days_of, last_days
from exporter.domain.records import Blind
from exporter.look.bars import Cell
from exporter.report.availability import Account
from exporter.report.device_account import Window
from exporter.report.plots import grade

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from exporter.days.sums import Day
    from exporter.look.wording import Wording
    from exporter.report.availability import Row
    from exporter.report.history import History

DAY: Final = 86_400.0
DAYS: Final = (7, 30, 90)


def spans(now: float, zone: tzinfo) -> list[tuple[str, float]]:
    """Return the name and the begin of each span up to now."""
    return [("24h", now - DAY), *((f"{days}d", float(last_days(days, now, zone)[0])) for days in DAYS)]


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


def cells(
    history: History,
    blind: Sequence[tuple[float, float]],
    now: float,
    *,
    zone: tzinfo,
    objective: float,
    words: Wording,
) -> list[Cell]:
    """Return the last 90 days, each with its title."""
    days = days_of(history, last_days(max(DAYS), now, zone), now, [Blind(*span) for span in blind])
    return [_cell(day, objective, words) for day in days]


def _cell(day: Day, objective: float, words: Wording) -> Cell:
    up = day.observed_ms - day.down_ms
    said = words.text("day_before")
    if day.observed_ms:
        ratio = up / day.observed_ms
        down = words.duration(day.down_ms / 1000, least=0)
        said = words.text("day_known", ratio=words.availability(ratio, objective), down=down)
    elif day.planned_ms or day.blind_ms:
        said = words.text("state_planned" if day.planned_ms >= day.blind_ms else "state_unknown")
    return Cell(f"{words.day(day.start)}: {said}", up, day.down_ms, day.planned_ms, day.blind_ms, grade(day, objective))
