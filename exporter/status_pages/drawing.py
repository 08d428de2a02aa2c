"""A picture as the page, and as the strip and badges that other sites show. Pure; everything of others is escaped."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from markupsafe import Markup

from exporter.days.sums import last_days
from exporter.lib.safe_text import harmless
from exporter.look.bars import bars
from exporter.look.rendering import Renderer
from exporter.status_pages.past import by_month, months
from exporter.status_pages.picture import PLANNED, ratio_of
from exporter.status_pages.words import LOOKS, PageWords

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.lib.words import Language
    from exporter.status_pages.past import Past
    from exporter.status_pages.picture import Component, Picture, PublicIncident

MOST: Final = 100
"""Devices on a page; where there are more, those that were not always fine are listed, so many on each of several."""
MOST_BAD_DAYS: Final = 10
MOST_INCIDENTS: Final = 50
"""Incidents that are listed; where there are more, days before the oldest of them are left out."""
LISTED_DAYS: Final = 14
"""Days whose incidents are on the page; older ones are on those of their months."""
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


class Row(NamedTuple):
    """A device on the page."""

    one: Component
    strip: Markup
    bad_days: list[str]
    """Newest first."""


def page(picture: Picture, language: Language, base: str, switch: str, url: str, number: int = 1) -> str:
    """Return the page, or another one of its numbered pages.

    `base` is the relative way to its parts, `switch` the way to the other language, `url` its own address.
    """
    words, listed = PageWords(language, picture), listed_of(picture)
    shown = listed[(number - 1) * MOST : number * MOST]
    few = len(shown) <= FEW
    rows = [_row(one, picture, words, first=place == 0, titles=few) for place, one in enumerate(shown)]
    total, days = picture.total(), len(picture.components[0].days) if picture.components else 0
    zone = words.zone
    return _filled(
        "status.html",
        words,
        picture,
        base=base,
        back="",
        switch=switch,
        banner=words.banner(picture),
        look=LOOKS[picture.indicator] if picture.components else "none",
        url=url,
        groups=[(engine, [row for row in rows if row.one.engine == engine]) for engine in _engines(shown)],
        most=MOST_BAD_DAYS if few else MOST_BAD_DAYS // 4,
        fine=len(picture.components) - len(listed),
        pages=pages_of(picture),
        number_of_page=number,
        total=total,
        ratio=ratio_of(total),
        together=ratio_of(picture.together),
        days=words.number(days or round(picture.page.history / 86400)),
        half=words.number(days // 2),
        running=[one for one in picture.incidents if one.running],
        in_maintenance=[one for one in picture.incidents if one.status == PLANNED],
        history=history(picture.incidents, last_days(LISTED_DAYS, picture.at, zone), picture.at, words),
        months=months(
            picture.at, zone, min((one.watched[1].first_seen for one in picture.components), default=picture.at)
        ),
        home=base.removesuffix("/") or "./",
    )


def listed_of(picture: Picture) -> list[Component]:
    """Return the devices that are listed, what is down first."""
    if len(picture.components) <= MOST:
        return sorted(picture.components, key=_down_first)
    return sorted((one for one in picture.components if one.state != "up" or one.ratio != 1.0), key=_worst_first)


def pages_of(picture: Picture) -> int:
    """Return on how many pages they are listed."""
    return max(1, -(-len(listed_of(picture)) // MOST))


def month_page(picture: Picture, past: Past, month: str, language: Language, base: str, switch: str) -> str:
    """Return the page of one month: its figure and its incidents."""
    words = PageWords(language, picture)
    return _filled(
        "month.html",
        words,
        picture,
        base=base,
        back=base.removesuffix("/") or "./",
        switch=switch,
        month=month,
        past=past,
        ratio=ratio_of(past.days),
        objective=min((one.objective for one in past.components), default=1.0),
        history=history(past.incidents, past.edges, picture.at, words, running=True),
    )


def device_page(picture: Picture, past: Past, language: Language, home: str, switch: str) -> str:
    """Return the page of one device: its months and its incidents. `home` is the way to the page that shows it."""
    words, [one] = PageWords(language, picture), past.components
    zone, objective = words.zone, one.objective
    cells = words.cells(one.days, objective, picture.at)
    return _filled(
        "channel.html",
        words,
        picture,
        base="./",
        back=home,
        switch=switch,
        one=one,
        strip=bars(cells, words.strip_label(words.name(one), one.days)),
        special_days=[cell.title for cell in cells[::-1] if cell.is_known and not cell.is_full],
        days=words.number(len(one.days)),
        half=words.number(len(one.days) // 2),
        months=[(month, ratio_of(days), days) for month, days in by_month(past, zone)],
        running=[incident for incident in past.incidents if incident.running],
        in_maintenance=[incident for incident in past.incidents if incident.status == PLANNED],
        past=[incident for incident in past.incidents if incident.resolved_at is not None][:MOST_INCIDENTS],
    )


def history(
    incidents: Sequence[PublicIncident], edges: Sequence[int], now: float, words: PageWords, *, running: bool = False
) -> list[tuple[str, list[PublicIncident]]]:
    """Return days, newest first, with the incidents that began on them; of days without any, runs.

    Incidents that go on are left out unless `running`: they stand above.
    """
    shown = list(incidents)[:MOST_INCIDENTS]
    oldest = shown[-1].started_at if len(shown) < len(incidents) else 0
    found: list[tuple[str, list[PublicIncident]]] = []
    clean: list[int] = []
    for start, end in list(pairwise(edges))[::-1]:
        if start > now or end <= oldest:
            continue
        begun = [one for one in shown if start <= one.started_at < end]
        touched = any(one.started_at < end and (one.resolved_at or now) >= start for one in shown)
        if touched and clean:
            found.append((words.days(clean[-1], clean[0]), []))
            clean = []
        if told := [one for one in begun if running or one.resolved_at is not None]:
            found.append((words.short_day(start), told))
        if not touched:
            clean.append(start)
    return [*found, (words.days(clean[-1], clean[0]), [])] if clean else found


def _row(one: Component, picture: Picture, words: PageWords, *, first: bool, titles: bool) -> Row:
    cells = words.cells(one.days, one.objective, picture.at)
    strip = bars(cells, words.strip_label(words.name(one), one.days), first=first, titles=titles)
    return Row(one, strip, [cell.title for cell in cells[::-1] if cell.down])


def _engines(shown: Sequence[Component]) -> list[str]:
    """Return the engines, the one whose worst is worst first."""
    return list(dict.fromkeys(one.engine for one in shown))


def _filled(
    template: str, words: PageWords, picture: Picture, *, base: str, back: str, switch: str, **values: object
) -> str:
    """Return a page for people with what all of them have; `back` is the way to the page that it belongs to."""
    kept = "" if words.language == picture.page.language else f"lang={words.language}"  # what the page speaks by itself
    common = {"picture": picture, "page": picture.page, "kept": kept, "base": base, "back": back}
    return _renderer.fill(template, words, other_language_url=switch, **common, **values)


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
