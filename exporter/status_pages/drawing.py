"""A picture as the page, and as the strip and badges that other sites show. Pure; everything of others is escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from exporter.lib.safe_text import harmless
from exporter.look.bars import bars
from exporter.look.rendering import Renderer
from exporter.status_pages.picture import ratio_of
from exporter.status_pages.words import LOOKS, PageWords

if TYPE_CHECKING:
    from exporter.lib.words import Language
    from exporter.status_pages.picture import Component, Picture

MOST: Final = 100
"""Devices on a page; the ones that are down or were, first."""
MOST_BAD_DAYS: Final = 10
FEW: Final = 12
"""Devices whose days have titles under the mouse; on longer pages only the lists below tell of single days."""
STRIP_STYLE: Final = (
    ".run{stroke:#2e9e6b;stroke-dasharray:8 2;stroke-width:40}"
    ".full{fill:#2e9e6b}.within{fill:#9a7d0a}.below{fill:#d1661c}.far{fill:#b3261e}"
    ".before{fill:none;stroke:#8a95a3}pattern .planned{fill:#3b6fd4}pattern .unknown{fill:#8a95a3}"
    "@media(prefers-color-scheme:dark){.run{stroke:#3fb883}.full{fill:#3fb883}.within{fill:#e0b93c}.below{fill:#f08c4a}.far{fill:#ff7b72}"
    "pattern .planned{fill:#7aa7ff}pattern .unknown{fill:#77838f}}"
)
"""Of a strip that stands alone."""
COLOURS: Final = {
    "none": "#2d7d32",
    "minor": "#8a5300",
    "major": "#b3261e",
    "critical": "#b3261e",
    "maintenance": "#0b63c5",
    "unknown": "#5b6775",
}
"""Each at least 4.5 : 1 against white letters."""
LETTER: Final = 6.6
"""The width of a letter of Verdana 11, on the whole; `textLength` makes it exact."""
_RANK: Final = {"down": 0, "covered": 1, "planned": 2, "up": 3}

_renderer: Final = Renderer("exporter.status_pages", lambda _: _never(), remember=False)


def _never() -> PageWords:
    raise AssertionError("a page brings its own words")


def page(picture: Picture, language: Language, base: str, switch: str) -> str:
    """Return the page. `base` is the relative way to its parts, `switch` the way to the other language."""
    words = PageWords(language, picture)
    shown = sorted(picture.components, key=_worst_first if len(picture.components) > MOST else _down_first)[:MOST]
    cells = [words.cells(one.days, one.objective, picture.at) for one in shown]
    few = len(shown) <= FEW
    strips = [
        bars(
            cells[place],
            words.strip_label(words.name(one), one.days),
            first=place == 0,
            titles=few,
        )
        for place, one in enumerate(shown)
    ]
    total, days = picture.total(), len(picture.components[0].days) if picture.components else 0
    return _renderer.fill(
        "status.html",
        words,
        picture=picture,
        page=picture.page,
        banner=words.banner(picture),
        look=LOOKS[picture.indicator],
        base=base,
        other_language_url=switch,
        components=shown,
        strips=strips,
        bad_days=[[cell.title for cell in row[::-1] if cell.down] for row in cells],
        most=MOST_BAD_DAYS if few else MOST_BAD_DAYS // 4,
        more=len(picture.components) - len(shown),
        total=total,
        ratio=ratio_of(total),
        days=words.number(days or round(picture.page.history / 86400)),
        half=words.number(days // 2),
        running=[one for one in picture.incidents if one.resolved_at is None],
        past=[one for one in picture.incidents if one.resolved_at is not None],
    )


def strip(picture: Picture, language: Language) -> str:
    """Return the strip of all devices together, as an image of its own."""
    words, total = PageWords(language, picture), picture.total()
    objective = min((one.objective for one in picture.components), default=0.99)
    label = words.strip_label(harmless(picture.page.title), total)
    drawn = bars(words.cells(total, objective, picture.at), label)
    whole = Markup('<svg xmlns="http://www.w3.org/2000/svg" width="900" height="40" class="bars"')
    head, _, rest = str(drawn).replace('<svg class="bars"', whole, 1).partition(">")
    return f"{head}><style>{STRIP_STYLE}</style>{rest}"


def badge(picture: Picture, language: Language, metric: str) -> str:
    """Return a badge: the state, or the availability of the last days (`90d`, `30d`)."""
    label, said, colour = badge_words(picture, language, metric)
    left, right = _wide(label), _wide(said)
    template = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="20" role="img" aria-label="{label}: {said}">'
        "<title>{label}: {said}</title>"
        '<clipPath id="r"><rect width="{w}" height="20" rx="3"/></clipPath><g clip-path="url(#r)">'
        '<rect width="{left}" height="20" fill="#555"/><rect x="{left}" width="{right}" height="20" fill="{colour}"/>'
        '</g><g fill="#fff" font-family="Verdana,Geneva,DejaVu Sans,sans-serif" font-size="11">'
        '<text x="6" y="14" textLength="{label_long}">{label}</text>'
        '<text x="{said_at}" y="14" textLength="{said_long}">{said}</text></g></svg>'
    )
    return template.format(
        w=left + right,
        label=label,
        said=said,
        left=left,
        right=right,
        colour=colour,
        label_long=left - 12,
        said_at=left + 6,
        said_long=right - 12,
    )


def badge_words(picture: Picture, language: Language, metric: str) -> tuple[str, str, str]:
    """Return what a badge says: label, message and colour."""
    words = PageWords(language, picture)
    label = harmless(picture.page.title)
    label = label if len(label) <= 40 else f"{label[:39]}…"
    if metric == "state":
        return label, words.badge(picture), COLOURS[picture.indicator if picture.components else "unknown"]
    days = picture.total()[-int(metric.removesuffix("d")) :]
    ratio, objective = ratio_of(days), min((one.objective for one in picture.components), default=0.99)
    kept = "unknown" if ratio is None else "none" if ratio >= objective else "major"
    count = words.text("days_count", count=len(days))
    return f"{label} · {count}", words.availability(ratio, objective), COLOURS[kept]


def _wide(text: str) -> int:
    return round(max(1, len(text)) * LETTER) + 12


def _down_first(component: Component) -> int:
    return _RANK[component.state]


def _worst_first(component: Component) -> tuple[int, float, str]:
    ratio = component.ratio
    return _RANK[component.state], 2.0 if ratio is None else ratio, component.name
