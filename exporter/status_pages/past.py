"""What lies further back than a page shows: a device over twelve months, one month of a page. Read when asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Final

from exporter.days.reading import read_days
from exporter.days.sums import Day, midnights, sum_of
from exporter.lib.times import local, zone_of
from exporter.status_pages.picture import incidents_of, planned_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from exporter.journal.port import Reader
    from exporter.status_pages.picture import Component, Picture, PublicIncident

MONTHS: Final = 12
"""So many months can be looked at, this one among them."""
_MONTH: Final = re.compile(r"(\d{4})-(\d{2})", re.ASCII)


@dataclass(frozen=True)
class Past:
    """Some of a page's devices over some time."""

    components: Sequence[Component]
    edges: list[int]
    """Local midnights."""
    days: list[Day]
    """The sums of its devices, from the first day on which there is any."""
    incidents: list[PublicIncident]
    """Newest first."""


def months(now: float, zone: tzinfo, first: float) -> list[str]:
    """Return the months up to now, such as `2026-11`, newest first, that do not lie before a time."""
    when, begin = local(now, zone), local(first, zone)
    count = (when.year - begin.year) * 12 + when.month - begin.month + 1
    numbers = (when.year * 12 + when.month - 1 - place for place in range(max(1, min(MONTHS, count))))
    return [f"{number // 12:04}-{number % 12 + 1:02}" for number in numbers]


def is_month(text: str, now: float, zone: tzinfo) -> bool:
    """Return whether a text names one of the last twelve months."""
    return text in months(now, zone, 0.0)


def month_edges(month: str, now: float, zone: tzinfo) -> list[int]:
    """Return the local midnights of a month, up to today's end where it is this one."""
    year, number = (int(part) for part in _MONTH.fullmatch(month).groups())  # type: ignore[union-attr]  # is_month said so
    first = datetime(year, number, 1, tzinfo=zone).timestamp()
    edges = midnights(first, min(now, first + 40 * 86_400), zone)
    return [edge for edge in edges if f"{local(edge - 1, zone):%Y-%m}" <= month]


def of_month(reader: Reader, picture: Picture, month: str) -> Past:
    """Return one month of a page. Blocks; JournalUnavailable."""
    return _past(reader, picture, picture.components, month_edges(month, picture.at, zone_of(picture.page.timezone)))


def of_device(reader: Reader, picture: Picture, key: str) -> Past:
    """Return twelve months of the device that a page shows under a key. Blocks; JournalUnavailable."""
    zone = zone_of(picture.page.timezone)
    first = month_edges(months(picture.at, zone, 0.0)[-1], picture.at, zone)[0]
    shown = [one for one in picture.components if one.key == key]
    return _past(reader, picture, shown, midnights(first, picture.at, zone))


def by_month(past: Past, zone: tzinfo) -> list[tuple[str, list[Day]]]:
    """Return the days of each month in which there is any, newest first."""
    known = [day for day in past.days if day.observed_ms or day.planned_ms or day.blind_ms]
    found = groupby(known, key=lambda day: f"{local(day.start, zone):%Y-%m}")
    return [(month, list(days)) for month, days in found][::-1]


def _past(reader: Reader, picture: Picture, components: Sequence[Component], edges: list[int]) -> Past:
    names = {one.watched[0].identity.device_id: one.name for one in components}
    moved = {one.watched[0].identity.device_id: one.counted_from for one in components if one.counted_from}
    days = read_days(reader, list(names), edges, picture.at, picture.page.timezone, moved)
    columns = zip(*(row for row in days.values() if row), strict=False)
    span = (float(edges[0]), float(edges[-1]))
    incidents = incidents_of(reader, picture.slug, picture.page, names, planned_of(components), span, picture.at)
    return Past(components, edges, [sum_of(column) for column in columns], incidents)
