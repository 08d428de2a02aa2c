"""The plain forms of a report: a table for people, CSV and JSON for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from exporter.lib.safe_text import csv_line, one_line
from exporter.report.availability import Row
from exporter.report.texts import METHOD, METHOD_IN_SHORT
from exporter.report.wording import Wording

if TYPE_CHECKING:
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
        "rows": document.rows,
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
    for row in document.rows:
        values = (getattr(row, field) for field in fields)
        lines.append(csv_line((document.by, *values, start, end, period.timezone, METHOD_IN_SHORT)))
    return "".join(lines)


def print_table(document: Document, console: Console, wording: Wording) -> None:
    """Print the rows, worst first, their total and the method."""
    from rich.table import Table  # noqa: PLC0415 - only this form needs it
    from rich.text import Text  # noqa: PLC0415

    console.print(Text(wording.text("title"), style="bold"))
    console.print(Text(f"{wording.text('period')}: {wording.window(document.period)}"))
    if document.rows:
        table = Table(show_footer=True, header_style="bold", footer_style="bold")
        columns = Columns(document, wording)
        table.add_column(wording.text(document.by), footer=wording.text("total"), overflow="fold", min_width=12)
        for name, footer in zip(columns.names, columns.cells(document.total), strict=True):
            table.add_column(wording.text(name), footer=footer, justify="right", overflow="fold")
        for row in document.worst_first():
            table.add_row(Text(one_line(_label(row))), *columns.cells(row))
        console.print(table)
    else:
        console.print(wording.text("empty"))
    for name in METHOD:
        console.print(Text(f"• {wording.text(name)}", style="dim"))


class Columns:
    """What rows show people after their name. Planned maintenance has a column only where there was some."""

    def __init__(self, document: Document, wording: Wording) -> None:
        self._wording = wording
        names = ("availability", "objective", "downtime", "outages", "longest", "mttr", "mtbf", "blind")
        self.names = (*names, *(("planned",) if document.total.planned_seconds else ()), "budget")
        """Names of texts."""

    def cells(self, row: Row) -> list[str]:
        """Return a row's values in the order of the names."""
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
        return [values[name] for name in self.names]


def _label(row: Row) -> str:
    return row.key if row.name == row.key else f"{row.name} ({row.key})"
