"""What a page says, in its language: the banner, the days, an incident. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exporter.lib.ratios import percent
from exporter.lib.times import local, zone_of
from exporter.lib.words import WORDS, Language, read_texts, unbroken
from exporter.look.bars import Cell
from exporter.look.wording import Wording
from exporter.report.plots import grade
from exporter.status_pages.picture import ratio_of

if TYPE_CHECKING:
    from exporter.days.sums import Day
    from exporter.status_pages.picture import Component, Picture

TEXTS: Final = read_texts("exporter.status_pages")
LOOKS: Final = {
    "none": "good",
    "minor": "warn",
    "major": "bad",
    "critical": "bad",
    "maintenance": "plan",
    "unknown": "warn",
}
"""How the banner looks for each indicator."""


class PageWords(Wording):
    """The words of one page in one language."""

    def __init__(self, language: Language, picture: Picture) -> None:
        self.at, self.zone = picture.at, zone_of(picture.page.timezone)
        super().__init__(language, self.zone, TEXTS)
        self._months = WORDS[language].months
        self._full_months = WORDS[language].full_months

    def banner(self, picture: Picture) -> str:
        """Return the one sentence that says how it is."""
        down, count = picture.count("down"), len(picture.components)
        match picture.indicator:
            case "unknown":
                return self.text("banner_unknown", time=self.clock(picture.at))
            case "critical":
                return self.text("banner_one" if count == 1 else "banner_critical")
            case "major" | "minor" if down:
                name = f"banner_{picture.indicator}"
                return self.text(name, down=self.number(down), count=self.number(count))
            case "minor":
                return self.text("banner_covered")
            case "maintenance":
                return self._planned(picture)
        return self.text("banner_up" if count else "banner_empty")

    def badge(self, picture: Picture) -> str:
        """Return the same in two words."""
        down, count = picture.count("down"), len(picture.components)
        if picture.indicator in ("major", "minor") and down:
            return self.text("badge_down", down=self.number(down), count=self.number(count))
        names = {"critical": "critical", "minor": "covered", "maintenance": "planned", "unknown": "unknown"}
        return self.text(f"badge_{names.get(picture.indicator, 'up' if count else 'none')}")

    def name(self, component: Component) -> str:
        """Return a device's public name."""
        return component.name or self.text("unnamed")

    def figure(self, days: list[Day]) -> str:
        """Return the downtime, and how much of the time was watched where that was not all."""
        down = sum(day.down_ms for day in days) / 1000
        said = self.text("figure", down=self.duration(down, least=0)) if down else self.text("day_full")
        if not any(day.observed_ms for day in days):
            said = self.text("figure_none")
        blind, known = sum(day.blind_ms for day in days), sum(day.observed_ms + day.planned_ms for day in days)
        if not blind:
            return said
        value, digits = percent(known / (known + blind), 1, limits=(0.0, 1.0))
        return f"{said} · {self.text('figure_blind', share=f'{self.number(value, digits)}%')}"

    def cells(self, days: list[Day], objective: float, now: float) -> list[Cell]:
        """Return the cells of a strip."""
        return [self._cell(day, objective, now) for day in days]

    def strip_label(self, name: str, days: list[Day]) -> str:
        """Return what a strip shows, for who cannot see it."""
        bad = sum(day.down_ms > 0 for day in days)
        if ratio_of(days) is None:
            return self.text("strip_unknown", channel=name)
        full = sum(day.observed_ms > 0 for day in days) - bad
        said = {"full": self.number(full), "bad": self.number(bad)}
        return self.text("strip_label", channel=name, **said)

    def short_day(self, at: float) -> str:
        """Return a local date without its year."""
        when = local(at, self.zone)
        return f"{when.day} {self._months[when.month - 1]}"

    def days(self, first: float, last: float) -> str:
        """Return one local date or a span of them, without the year."""
        if first == last:
            return self.short_day(last)
        return self.text("day_span", first=self.short_day(first), last=self.short_day(last))

    def span(self, start: float, end: float) -> str:
        """Return from when to when, with the zone once where both ends have the same."""
        first, last = self.time(start), self.moment(end, start)
        return self.text("span", start=first.removesuffix(f" {last.rsplit(' ', 1)[1]}"), end=last)

    def month(self, month: str) -> str:
        """Return a month such as `2026-11` in words."""
        year, number = month.split("-")
        return f"{self._full_months[int(number) - 1]} {year}"

    def _planned(self, picture: Picture) -> str:
        ends = [span.end for span, _ in picture.windows if span.start <= picture.at < span.end]
        if not ends:
            return self.text("banner_planned")
        *date, clock, zone = self.moment(max(ends), picture.at).split(" ")
        until = " ".join(unbroken(" ".join(part)) for part in (date, (clock, zone)) if part)
        return self.text("banner_planned_until", time=until)

    def _cell(self, day: Day, objective: float, now: float) -> Cell:
        up, said = day.observed_ms - day.down_ms, self.text("day_before")
        if day.observed_ms and not (day.down_ms or day.planned_ms or day.blind_ms):
            return Cell("", up, 0, 0, 0, "full")
        if day.down_ms:
            down = self.duration(day.down_ms / 1000, least=0)
            said = self.text("day_known", ratio=self.availability(up / day.observed_ms, objective), down=down)
        elif day.observed_ms:
            said = self.text("day_full")
        elif day.planned_ms or day.blind_ms:
            said = self.text("day_planned" if day.planned_ms >= day.blind_ms else "day_unknown")
        if day.end == now:
            said = f"{said} ({self.text('day_so_far', time=self.clock(now))})"
        title = f"{self.short_day(day.start)}: {said}"
        return Cell(title, up, day.down_ms, day.planned_ms, day.blind_ms, grade(day, objective))
