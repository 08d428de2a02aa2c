"""The plain forms of a report: a table for people, CSV and JSON for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from exporter.lib.safe_text import csv_line, one_line
from exporter.lib.words import read_texts
from exporter.report.availability import Row
from exporter.report.texts import METHOD, METHOD_IN_SHORT
from exporter.report.wording import Wording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from exporter.report.document import Document


def as_json(document: Document) -> str:
    """Return the API's shape and more: total, days, blind intervals and the method. Times are Unix seconds."""
    period = document.period
    content = {
        "start": period.start,
        "end": period.end,
        "timezone": period.timezone,
        "generated_at": document.generated_at,
        "by": document.by,
        "method": [Wording("en").text(name) for name in METHOD],
        "rows": document.shown(),
        "total": document.total,
        "days": document.days,
        "blind": document.blind,
    }
    return msgspec.json.format(msgspec.json.encode(content)).decode() + "\n"


def as_csv(document: Document) -> str:
    """Return one line a row, in the order of keys. Texts that a spreadsheet would run get a ' before them."""
    fields = Row.__struct_fields__
    lines = [csv_line(("by", *fields, "start", "end", "timezone", "method"))]
    period = document.period
    start, end = (period.local(at).isoformat(timespec="seconds") for at in (period.start, period.end))
    for row in document.shown():
        values = (_plain(getattr(row, field)) for field in fields)
        lines.append(csv_line((document.by, *values, start, end, period.timezone, METHOD_IN_SHORT)))
    return "".join(lines)


def print_table(document: Document, console: Console, wording: Wording) -> None:
    """Print the rows, worst first, their total and the method."""
    from rich.table import Table  # noqa: PLC0415 - only this form needs it
    from rich.text import Text  # noqa: PLC0415

    console.print(Text(wording.text("title"), style="bold"))
    console.print(Text(f"{wording.text('period')}: {wording.window(document.period)}"))
    if verdict := verdict_of(document, wording):
        console.print(Text(one_line(verdict), style="bold"))
    if document.rows:
        table = Table(show_footer=True, header_style="bold", footer_style="bold")
        columns = Columns(document, wording)
        hidden = columns.fit(console.width)
        table.add_column(wording.text(document.by), footer=wording.text("total"), overflow="fold", min_width=LEAST_NAME)
        for name, footer in zip(columns.names, columns.cells(document.total), strict=True):
            table.add_column(wording.text(name), footer=footer, justify="right", no_wrap=True)
        for row in document.worst_first():
            table.add_row(Text(one_line(_label(row))), *columns.cells(row))
        console.print(table)
        for note in _notes(document, hidden, wording):
            console.print(Text(note))
    else:
        console.print(wording.text("empty"))
    for name in METHOD:
        console.print(Text(f"• {wording.text(name)}", style="dim"))


def _notes(document: Document, hidden: list[str], wording: Wording) -> Iterator[str]:
    """Yield what a reader of the table must know."""
    if hidden:
        yield wording.text("narrow", columns=", ".join(wording.text(name) for name in hidden))
    if document.left_out:
        yield wording.text("left_out", count=wording.number(document.left_out))
    if document.total.devices > 1:
        yield wording.text("summed")
    if document.total.reasons:
        yield reasons_of(document, wording)


def verdict_of(document: Document, wording: Wording) -> str:
    """Return in one sentence whether the objectives were met; empty where there were none."""
    judged = [row for row in document.rows if row.availability_ratio is not None and row.objective_ratio is not None]
    if not judged:
        return ""
    missed = document.missed()
    if not missed:
        return wording.text("verdict_met")
    worst = missed[0]
    return wording.text(
        "verdict_missed",
        missed=wording.number(len(missed)),
        all=wording.number(len(judged)),
        worst=worst.name or worst.key,
        availability=wording.availability(worst.availability_ratio, worst.objective_ratio),
        objective=wording.objective(worst.objective_ratio),
    )


def reasons_of(document: Document, wording: Wording) -> str:
    """Return in one sentence why outages began, the most frequent reason first; empty where nothing is known."""
    words, reasons = _WORDS[wording.language], document.total.reasons.items()
    told = [f"{words.get(f'reason_{reason}', reason)} {wording.number(count)}" for reason, count in reasons]
    return wording.text("reasons", reasons=", ".join(told)) if told else ""


_WORDS: Final = read_texts("exporter.look")
LEAST_NAME: Final = 16
PRIORITY: Final = (
    *("availability", "budget", "downtime", "outages", "objective", "longest", "mttr", "planned", "blind"),
    "mtbf",
)
"""The columns, what can be left out last."""


class Columns:
    """What rows show people after their name. Planned maintenance has a column only where there was some."""

    def __init__(self, document: Document, wording: Wording) -> None:
        self._wording = wording
        self._rows = [*document.worst_first(), document.total]
        names = ("availability", "objective", "downtime", "outages", "longest", "mttr", "mtbf", "blind")
        self.names = (*names, *(("planned",) if document.total.planned_seconds else ()), "budget")
        """Names of texts."""

    def fit(self, width: int) -> list[str]:
        """Leave out the columns of least priority that so many characters have no room for; return their names."""
        names = {row.key: len(_label(row)) for row in self._rows}
        left = max(LEAST_NAME, min(32, max(names.values(), default=0)))
        wide = {name: self._width(name) for name in self.names}
        hidden: list[str] = []
        for name in reversed(PRIORITY):
            if left + 4 + sum(wide[one] + 3 for one in self.names) <= width:
                break
            if name in self.names:
                self.names = tuple(one for one in self.names if one != name)
                hidden.insert(0, name)
        return hidden

    def _width(self, name: str) -> int:
        texts = [self._wording.text(name), *(self._cell(row, name) for row in self._rows)]
        return max(map(len, texts))

    def cells(self, row: Row) -> list[str]:
        """Return a row's values in the order of the names."""
        return [self._cell(row, name) for name in self.names]

    def _cell(self, row: Row, name: str) -> str:
        wording = self._wording
        values = {
            "availability": wording.availability(row.availability_ratio, row.objective_ratio),
            "objective": wording.objective(row.objective_ratio),
            "downtime": wording.duration(row.downtime_seconds),
            "outages": wording.number(row.outages),
            "longest": wording.duration(row.longest_seconds),
            "mttr": wording.duration(row.mttr_seconds),
            "mtbf": wording.duration(row.mtbf_seconds),
            "blind": wording.duration(row.blind_seconds),
            "planned": wording.duration(row.planned_seconds),
            "budget": wording.near(row.budget_left_ratio, 0.0),
        }
        return values[name]


def _plain(value: object) -> object:
    """Return a cell: `logged_out 3, banned 1` for counts."""
    return ", ".join(f"{name} {count}" for name, count in value.items()) if isinstance(value, dict) else value


def _label(row: Row) -> str:
    return row.key if row.name == row.key else f"{row.name} ({row.key})"
