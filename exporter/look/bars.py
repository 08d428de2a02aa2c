"""A strip of days as inline SVG: one cell a day, its segments as long as their shares of the day. Pure.

From the bottom: down, planned, unknown, up. Hue is never the only sign: the worse the day, the taller its notch at the
bottom; planned time has dots, unknown time a hatch, a day before the first event only an outline.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HEIGHT: Final = 40.0
STEP: Final = 10
WIDE: Final = 8
_LEAST: Final = {"within": 0.15, "below": 0.3, "far": 0.5}
"""Of a cell's height, by the day's grade: seconds can be seen, and grades told apart without their colours."""
_VISIBLE: Final = 0.08
"""The least of any other segment that is there at all."""


class Cell(NamedTuple):
    """One day. The four times are in any unit; without any, the device was not known yet."""

    title: str
    up: float
    down: float
    planned: float
    unknown: float
    grade: str
    """`full`, `within`, `below` or `far` of the objective."""

    @property
    def is_full(self) -> bool:
        """Whether it was up, and nothing else."""
        return self.up > 0 and not (self.down or self.planned or self.unknown)


def bars(cells: Sequence[Cell], label: str, name: str = "bars") -> Markup:
    """Return the strip; `label` says what it shows, `name` tells it from other strips of the same page."""
    parts: list[Markup] = []
    for is_full, run in groupby(enumerate(cells), key=lambda one: one[1].is_full):
        days = list(run)
        parts += [_full(place for place, _ in days)] if is_full else [_cell(place, day, name) for place, day in days]
    template = Markup(
        '<svg class="bars" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}{}</svg>'
    )
    return template.format(len(cells) * STEP, HEIGHT, label, _patterns(name), Markup("").join(parts))


def heights(cell: Cell) -> list[tuple[str, float]]:
    """Return the class and the height of each segment of a day that is known, from the bottom."""
    whole = cell.up + cell.down + cell.planned + cell.unknown
    least = {cell.grade: _LEAST.get(cell.grade, _VISIBLE)}
    shares = [(cell.grade, cell.down), ("planned", cell.planned), ("unknown", cell.unknown)]
    below = [(kind, max(least.get(kind, _VISIBLE), share / whole)) for kind, share in shares if share]
    room = sum(share for _, share in below)
    if room > 1:
        below = [(kind, share / room) for kind, share in below]
    found = [(kind, share * HEIGHT) for kind, share in below]
    rest = HEIGHT - sum(tall for _, tall in found)
    return [*found, ("full", rest)] if cell.up and rest > 0 else found


def _full(places: Iterable[int]) -> Markup:
    path = "".join(f"M{place * STEP} 0h{WIDE}v{HEIGHT:g}h-{WIDE}z" for place in places)
    return Markup('<path class="full" d="{}"/>').format(path)


def _cell(place: int, cell: Cell, name: str) -> Markup:
    if not (cell.up or cell.down or cell.planned or cell.unknown):
        box = Markup('<rect class="before" x="{}" y="1" width="{}" height="{:g}"/>')
        return _titled(cell.title, [box.format(place * STEP + 1, WIDE - 2, HEIGHT - 2)])
    parts, bottom = [], HEIGHT
    for kind, tall in heights(cell):
        bottom -= tall
        box = Markup('<rect class="{}" x="{}" y="{:.4g}" width="{}" height="{:.4g}"{}/>')
        fill = Markup(' fill="url(#{}-{})"').format(name, kind) if kind in ("planned", "unknown") else ""
        parts.append(box.format(kind, place * STEP, max(0.0, bottom), WIDE, tall, fill))
    return _titled(cell.title, parts)


def _titled(title: str, parts: Sequence[Markup]) -> Markup:
    return Markup("<g><title>{}</title>{}</g>").format(title, Markup("").join(parts))


def _patterns(name: str) -> Markup:
    square = Markup('width="4" height="4"')
    return Markup(
        '<defs><pattern id="{0}-planned" {1} patternUnits="userSpaceOnUse"><rect class="planned" {1} opacity=".35"/>'
        '<circle class="planned" cx="2" cy="2" r="1.2"/></pattern>'
        '<pattern id="{0}-unknown" {1} patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect class="unknown" {1} opacity=".3"/><rect class="unknown" width="1.6" height="4"/></pattern></defs>'
    ).format(name, square)
