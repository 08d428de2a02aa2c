"""A strip of days as inline SVG: one cell a day, its segments as long as their shares of the day. Pure.

From the bottom: down, planned, unknown, up. Hue is never the only sign: the worse the day, the taller its notch at the
bottom; planned time has dots, unknown time a hatch, a day before the first event only an outline.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    def is_known(self) -> bool:
        """Whether there is anything of the device on this day."""
        return bool(self.up or self.down or self.planned or self.unknown)

    @property
    def is_plain(self) -> bool:
        """Whether it was up for some time, and besides down only."""
        return self.up > 0 and not (self.planned or self.unknown)

    @property
    def is_full(self) -> bool:
        """Whether it was up, and nothing else."""
        return self.is_plain and not self.down


def bars(cells: Sequence[Cell], label: str, name: str = "bars", *, first: bool = True, titles: bool = True) -> Markup:
    """Return the strip; `label` says what it shows.

    `name` tells its patterns from others of the same page; strips that come after the `first` of a name use that one's.
    Without `titles` of its days a strip is a fifth as long.
    """
    parts = [_runs(cells)]
    if titles:
        parts += [_cell(place, day, name) for place, day in enumerate(cells) if not day.is_full]
    else:
        parts += _merged(cells, name)
    template = Markup(
        '<svg class="bars" viewBox="0 0 {} {:g}" preserveAspectRatio="none" role="img" aria-label="{}">{}{}</svg>'
    )
    patterns = _patterns(name) if first else ""
    return template.format(len(cells) * STEP, HEIGHT, label, patterns, Markup("").join(parts))


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


def _runs(cells: Sequence[Cell]) -> Markup:
    """Return the days of nothing but time up and down as whole bars, a line for each run; down goes over it.

    The style sheet makes it as wide as the strip is high, with dashes of a day's width.
    """
    runs = [
        [place for place, _ in run] for plain, run in groupby(enumerate(cells), lambda one: one[1].is_plain) if plain
    ]
    middle = HEIGHT / 2
    path = "".join(f"M{run[0] * STEP} {middle:g}h{len(run) * STEP - STEP + WIDE}" for run in runs)
    return Markup('<path class="run" d="{}"/>').format(path)


def _merged(cells: Sequence[Cell], name: str) -> list[Markup]:
    """Return one path for all segments of a kind."""
    paths: dict[str, str] = {}
    for place, cell in enumerate(cells):
        if cell.is_full:
            continue
        if not cell.is_known:
            paths["before"] = f"{paths.get('before', '')}M{place * STEP + 1} 1h{WIDE - 2}v{HEIGHT - 2:g}h{2 - WIDE}z"
            continue
        bottom = HEIGHT
        for kind, tall in heights(cell):
            bottom -= tall
            if kind != "full" or not cell.is_plain:
                box = f"M{place * STEP} {max(0.0, bottom):.3g}h{WIDE}v{tall:.3g}h-{WIDE}z"
                paths[kind] = paths.get(kind, "") + box
    return [Markup('<path class="{}"{} d="{}"/>').format(kind, _fill(kind, name), path) for kind, path in paths.items()]


def _fill(kind: str, name: str) -> Markup:
    """Return the attribute that fills planned and unknown time."""
    return Markup(' fill="url(#{}-{})"').format(name, kind) if kind in ("planned", "unknown") else Markup("")


def _cell(place: int, cell: Cell, name: str) -> Markup:
    if not cell.is_known:
        box = Markup('<rect class="before" x="{}" y="1" width="{}" height="{:g}"/>')
        return _titled(cell.title, [box.format(place * STEP + 1, WIDE - 2, HEIGHT - 2)])
    parts, bottom = [], HEIGHT
    for kind, tall in heights(cell):
        bottom -= tall
        box = Markup('<rect class="{}" x="{}" y="{:.4g}" width="{}" height="{:.4g}"{}/>')
        parts.append(box.format(kind, place * STEP, max(0.0, bottom), WIDE, tall, _fill(kind, name)))
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
