"""Plots as inline SVG, made of numbers and escaped texts only. Sizes in user units; they scale with the page.

Colours tell apart without hue as well (light to dark), and every plot says its values in titles and labels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.report.availability import Row
    from exporter.report.document import Day
    from exporter.report.windows import Period
    from exporter.report.wording import Wording


class Counted(Protocol):
    """A day's sums."""

    @property
    def observed_seconds(self) -> float:
        """What downtime is a part of."""

    @property
    def downtime_seconds(self) -> float:
        """Downtime that counts."""


WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 760, 210, 52, 26, 14
FAR = 4.0  # times the allowed downtime


def grade(day: Counted, objective: float | None) -> str:
    """Return the class of a day: full, within, below, far or unknown."""
    if not day.observed_seconds:
        return "unknown"
    lost = day.downtime_seconds / day.observed_seconds
    if not lost:
        return "full"
    if objective is None or lost <= 1 - objective:
        return "within"
    return "below" if lost <= FAR * (1 - objective) else "far"


def strip(days: Sequence[Day], objective: float | None, period: Period, wording: Wording) -> Markup:
    """Return one small cell a day."""
    cells = []
    width = 120 / max(1, len(days))
    for number, day in enumerate(days):
        title = f"{wording.date(day.start, period)}: {wording.availability(day.availability_ratio, objective)}"
        cells.append(
            Markup('<rect x="{:.2f}" width="{:.2f}" height="14" class="{}"><title>{}</title></rect>').format(
                number * width, max(0.6, width - 0.8), grade(day, objective), title
            )
        )
    return Markup('<svg class="strip" viewBox="0 0 120 14" preserveAspectRatio="none" role="img">{}</svg>').format(
        Markup("").join(cells)
    )


def daily(days: Sequence[Day], objective: float | None, period: Period, wording: Wording) -> Markup:
    """Return columns of each day's unavailability, from zero, with a line at what the objective allows."""
    lost = [day.downtime_seconds / day.observed_seconds if day.observed_seconds else 0.0 for day in days]
    allowed = None if objective is None else 1 - objective
    top = _ceiling(max([*lost, allowed or 0.0]))
    width, height = WIDTH - LEFT - 8, HEIGHT - BOTTOM - TOP
    step = width / max(1, len(days))
    parts = [_grid(top, wording)]
    for number, (day, share) in enumerate(zip(days, lost, strict=True)):
        title = f"{wording.date(day.start, period)}: {wording.share(share)}, {wording.duration(day.downtime_seconds)}"
        tall = height * share / top
        box = (LEFT + number * step + step * 0.1, TOP + height - tall, step * 0.8, tall)
        parts.append(_bar(box, grade(day, objective), title))
        if number % max(1, -(-len(days) // 10)) == 0:
            when = period.local(day.start)
            parts.append(_text(LEFT + (number + 0.5) * step, HEIGHT - 8, f"{when.day}/{when.month}", "middle"))
    if allowed is not None:
        at = TOP + height * (1 - allowed / top)
        parts.append(_line(LEFT, at, WIDTH - 8, at, "limit"))
        parts.append(_text(WIDTH - 10, TOP - 4, "- - " + wording.text("allowed", value=wording.share(allowed)), "end"))
    return _svg(HEIGHT, wording.text("by_day"), parts)


def budgets(rows: Sequence[Row], wording: Wording) -> Markup:
    """Return a bar of spent error budget for each row that has one; bars that leave the plot are marked."""
    known = [(row, 1 - row.budget_left_ratio) for row in rows if row.budget_left_ratio is not None]
    most = min(4.0, max([1.25, *(spent * 1.1 for _, spent in known)]))
    left, line = 200, 22
    width, height = WIDTH - left - 60, line * len(known) + 24
    parts = []
    for number, (row, spent) in enumerate(known):
        y, long = number * line + 4, max(1.0, width * min(spent, most) / most)
        kind = "within" if spent <= 1 else "below" if spent <= FAR else "far"
        value = wording.near(spent, 1.0)
        parts.append(_text(left - 8, y + 12, _short(row.name), "end"))
        parts.append(_bar((left, y, long, 15), kind, f"{row.name}: {value}"))
        parts.append(_text(left + long + 5, y + 12, value + (" →" if spent > most else ""), "start"))
    at = left + width / most
    parts.insert(0, _line(at, 0, at, height - 18, "limit"))
    parts.append(_text(at, height - 5, wording.near(1.0, 1.0), "middle"))
    return _svg(height, wording.text("by_budget"), parts)


def _grid(top: float, wording: Wording) -> Markup:
    """Return horizontal lines with their values."""
    digits = next(digits for digits in range(12) if round(top * 25, digits) == round(top * 25, 12))
    lines = []
    for quarter in range(5):
        y = TOP + (HEIGHT - BOTTOM - TOP) * (1 - quarter / 4)
        lines.append(_line(LEFT, y, WIDTH - 8, y, "grid"))
        lines.append(_text(LEFT - 6, y + 4, wording.number(top * 25 * quarter, digits) + "%", "end"))
    return Markup("").join(lines)


def _ceiling(value: float) -> float:
    """Return the next of 1, 2, 4, 6, 8 times a power of ten, whose quarters read well."""
    size = 1e-6
    while True:
        for factor in (1, 2, 4, 6, 8):
            if value <= size * factor:
                return size * factor
        size *= 10


def _bar(box: tuple[float, float, float, float], kind: str, title: str) -> Markup:
    """Return a rectangle of (x, y, width, height)."""
    template = Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" class="{}"><title>{}</title></rect>')
    return template.format(*box, kind, title)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return Markup('<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" class="{}"/>').format(x1, y1, x2, y2, kind)


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, text)


def _short(text: str) -> str:
    return text if len(text) <= 30 else f"{text[:29]}…"


def _svg(height: float, label: str, parts: Sequence[Markup]) -> Markup:
    template = Markup('<svg class="plot" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>')
    return template.format(WIDTH, height, escape(label), Markup("").join(parts))
