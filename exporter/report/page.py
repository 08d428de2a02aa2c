"""A report as one self-contained HTML page: no scripts, no external resources; it prints on A4."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from exporter.report.document import missed
from exporter.report.formats import Columns, reasons_of, verdict_of
from exporter.report.plots import budgets, daily, strip
from exporter.report.texts import METHOD
from exporter.report.wording import Wording

if TYPE_CHECKING:
    from exporter.lib.words import Language
    from exporter.report.availability import Row
    from exporter.report.document import Document

MOST_ROWS = 500
"""Rows on a page; the least available ones stand first."""
MOST_BARS = 12
GROUPED = 20
"""From so many rows of devices or channels on, each business has a part of its own that can be opened."""


def as_html(document: Document, language: Language) -> str:
    """Return the page."""
    wording, total = Wording(language, pages=True), document.total
    columns = Columns(document, wording)
    rows = document.worst_first()
    environment = Environment(
        loader=PackageLoader("exporter.report", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    spent = sorted(rows, key=lambda row: (row.budget_left_ratio is None, row.budget_left_ratio))[:MOST_BARS]
    return environment.get_template("page.html").render(
        language=language,
        text=wording.text,
        window=wording.window(document.period),
        generated=wording.time(document.generated_at, document.period),
        by=wording.text(document.by),
        columns=columns.names,
        method=METHOD,
        figures=_figures(document, wording),
        by_day=daily(document.days, total.objective_ratio, document.period, wording),
        by_budget=budgets(spent, wording) if any(row.budget_left_ratio is not None for row in spent) else None,
        total=columns.cells(total),
        verdict=verdict_of(document, wording),
        reasons=reasons_of(document, wording),
        is_bad=bool(document.missed()),
        parts=_parts(document, rows[:MOST_ROWS], columns, wording),
        more=max(0, len(rows) - MOST_ROWS),
        left_out=document.left_out,
        summed=total.devices > 1,
    )


def _parts(document: Document, rows: list[Row], columns: Columns, wording: Wording) -> list[dict[str, object]]:
    """Return the parts of the table, the worst first: one for each business where there are many rows, else one."""
    by_business: dict[str, list[Row]] = {}
    grouped = document.by in ("channel", "device") and len(rows) > GROUPED
    for row in rows:
        by_business.setdefault((row.business_name or "") if grouped else "", []).append(row)
    found = []
    for name, of in by_business.items():
        bad, count = sum(map(missed, of)), f"{wording.text(document.by)}: {wording.number(len(of))}"
        line = wording.text("group_line" if bad else "group_line_met", devices=count, missed=wording.number(bad))
        made = [
            {
                "name": row.name,
                "key": row.key,
                "owner": _owner(document.by, row.engine, None if grouped else row.business_name),
                "cells": columns.cells(row),
                "days": strip(document.days_by_key[row.key], row.objective_ratio, document.period, wording),
                "missed": missed(row),
            }
            for row in of
        ]
        found.append({"name": name or wording.text("none"), "line": line, "bad": bad, "rows": made})
    return found


def _figures(document: Document, wording: Wording) -> list[tuple[str, str, bool]]:
    """Return (name, value, whether it misses the objective) of what a reader asks first."""
    total = document.total
    is_bad = missed(total)
    return [
        (wording.text("availability"), wording.availability(total.availability_ratio, total.objective_ratio), is_bad),
        (wording.text("objective"), wording.objective(total.objective_ratio), False),
        (wording.text("downtime"), wording.duration(total.downtime_seconds), False),
        (wording.text("outages"), wording.number(total.outages), False),
        (wording.text("mttr_long"), wording.duration(total.mttr_seconds), False),
        (wording.text("longest_long"), wording.duration(total.longest_seconds), False),
        (wording.text("blind_long"), wording.duration(total.blind_seconds), total.blind_seconds > 0),
        (wording.text("devices"), wording.number(total.devices), False),
    ]


def _owner(by: str, engine: str | None, business: str | None) -> str:
    """Return what helps to find the row's device or channel."""
    return " · ".join(part for part in (engine, business) if part) if by in ("channel", "device") else ""
