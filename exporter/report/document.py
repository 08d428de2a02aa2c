"""A report before it has a form: rows, their total, and what each day was like. One pass over the devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from exporter.report.availability import Accounts, Row
from exporter.report.device_account import DeviceAccount, Window
from exporter.report.intervals import milliseconds, spread
from exporter.report.windows import Period

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.report.availability import Objective
    from exporter.report.history import Source


class Day(msgspec.Struct, frozen=True):
    """One local day, or the part of it that lies in the window. Times Unix seconds, durations seconds."""

    start: float
    end: float
    observed_seconds: float
    downtime_seconds: float

    @property
    def availability_ratio(self) -> float | None:
        """None where nothing was observed."""
        return 1 - self.downtime_seconds / self.observed_seconds if self.observed_seconds else None


class Document(msgspec.Struct, frozen=True):
    """The content of a report."""

    generated_at: float
    period: Period
    by: str
    rows: list[Row]
    """Sorted by key."""
    total: Row
    days: list[Day]
    days_by_key: dict[str, list[Day]]
    blind: list[tuple[float, float]]
    """The blind intervals that touch the window."""
    top: int | None = None
    """How many rows are shown, the least available ones; None: all."""

    def worst_first(self) -> list[Row]:
        """Return the rows that are shown, least available first, those without an answer last."""
        rows = sorted(self.rows, key=lambda row: (row.availability_ratio is None, row.availability_ratio, row.key))
        return rows[: self.top]

    def shown(self) -> list[Row]:
        """Return the rows that are shown, by key unless they are chosen."""
        return self.rows if self.top is None else self.worst_first()

    @property
    def left_out(self) -> int:
        """How many rows are not shown."""
        return 0 if self.top is None else max(0, len(self.rows) - self.top)

    def missed(self) -> list[Row]:
        """Return the rows that missed their objective, the worst first."""
        rows = sorted(self.rows, key=lambda row: row.availability_ratio or 0.0)
        return [row for row in rows if missed(row)]


def missed(row: Row) -> bool:
    """Whether a row missed its objective."""
    ratio, objective = row.availability_ratio, row.objective_ratio
    return ratio is not None and objective is not None and ratio < objective


def compile_report(
    source: Source,
    period: Period,
    by: str,
    *,
    now: float,
    objective: Objective | None = None,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Document:
    """Return the report of a period. `on_progress` gets the number of devices done. Raises JournalUnavailable."""
    blind = list(source.blind_intervals())
    window = Window(period.start, period.end, blind=blind)
    accounts, daily = Accounts(by, objective), _Daily(period)
    for number, history in enumerate(source.histories()):
        device = window.account(history)
        accounts.add(device)
        daily.add(accounts.key_of(history.identity), device)
        on_progress(number)
    rows = accounts.rows()
    return Document(
        generated_at=now,
        period=period,
        by=by,
        rows=rows,
        total=accounts.total(),
        days=daily.total(),
        days_by_key={row.key: daily.of(row.key) for row in rows},
        blind=[(start, end) for start, end in blind if end > period.start and start < period.end],
    )


class _Daily:
    """Observed time and downtime by key and day, in milliseconds."""

    def __init__(self, period: Period) -> None:
        self._days = list(period.days())
        self._edges = [milliseconds(edge) for edge in self._days]
        self._sums: dict[str, tuple[list[int], list[int]]] = {}

    def add(self, key: str, device: DeviceAccount) -> None:
        if not device.counted:
            return
        empty = [0] * (len(self._edges) - 1)
        observed, down = self._sums.setdefault(key, (list(empty), list(empty)))
        for sums, intervals in ((observed, device.counted), (down, device.down)):
            if intervals:
                for index, value in enumerate(spread(intervals, self._edges)):
                    sums[index] += value

    def of(self, key: str) -> list[Day]:
        """Return the days of a key, in order; days without observation have no observed time."""
        empty = [0] * (len(self._edges) - 1)
        return self._made(*self._sums.get(key, (empty, empty)))

    def total(self) -> list[Day]:
        """Return the days of all keys together."""
        observed, down = [0] * (len(self._edges) - 1), [0] * (len(self._edges) - 1)
        for sums in self._sums.values():
            for index in range(len(observed)):
                observed[index] += sums[0][index]
                down[index] += sums[1][index]
        return self._made(observed, down)

    def _made(self, observed: list[int], down: list[int]) -> list[Day]:
        spans = zip(self._days, self._days[1:], observed, down, strict=False)
        return [Day(start, end, total / 1000, lost / 1000) for start, end, total, lost in spans]
