"""Numbers, durations and times in Indonesian and English, and the texts of a folder. Pure but for its data.

Durations keep two units. Clock times are local and name their zone.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from exporter.lib.times import local, zone_name

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

Language = Literal["id", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("id", "en")

ENGINE_NAMES: Final = {
    "wa": "WhatsApp",
    "telegram": "Telegram",
    "slack": "Slack",
    "intercom": "Intercom",
    "instagram": "Instagram",
    "facebook": "Facebook",
}


class Words(msgspec.Struct, frozen=True):
    """One language."""

    units: tuple[str, str, str, str]
    """Day, hour, minute, second."""
    clock: str
    separators: str
    """Of thousands, and of decimals."""
    months: tuple[str, ...]
    full_months: tuple[str, ...]


WORDS: Final[dict[Language, Words]] = {
    "id": Words(
        units=("hari", "jam", "mnt", "dtk"),
        clock="%H.%M",
        separators=".,",
        months=("Jan", "Feb", "Mar", "Apr", "Mei", "Jun", "Jul", "Agu", "Sep", "Okt", "Nov", "Des"),
        full_months=(
            *("Januari", "Februari", "Maret", "April", "Mei", "Juni"),
            *("Juli", "Agustus", "September", "Oktober", "November", "Desember"),
        ),
    ),
    "en": Words(
        units=("d", "h", "min", "s"),
        clock="%H:%M",
        separators=",.",
        months=("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
        full_months=(
            *("January", "February", "March", "April", "May", "June"),
            *("July", "August", "September", "October", "November", "December"),
        ),
    ),
}


def read_texts(package: str) -> dict[Language, dict[str, str]]:
    """Return the texts by name that a package has in `texts.json`; tests hold both languages to the same names."""
    content = files(package).joinpath("texts.json").read_bytes()
    return msgspec.json.decode(content, type=dict[Language, dict[str, str]])


def number(value: float, words: Words, digits: int = 0) -> str:
    """Return a number with the language's separators."""
    return f"{value:,.{digits}f}".translate(str.maketrans(",.", words.separators))


def duration(seconds: float, words: Words, *, least: int = 1) -> str:
    """Return a duration in its two largest units, such as `2 jam 5 mnt`; never less than `least` seconds."""
    minutes, second = divmod(max(least, int(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    parts = list(zip((day, hour, minute, second), words.units, strict=True))
    first = next((index for index, (count, _) in enumerate(parts) if count), len(parts) - 1)
    shown = [parts[first], *(part for part in parts[first + 1 : first + 2] if part[0])]
    return " ".join(f"{count} {unit}" for count, unit in shown)


def unbroken(text: str) -> str:
    """Return a duration or a time inside of which no line ends, for pages."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def clock_time(at: float, now: float, zone: tzinfo, words: Words) -> str:
    """Return a local time of day with its zone, and as much of its date as differs from today's."""
    when, today = local(at, zone), local(now, zone)
    if when.year != today.year:
        return date_time(at, zone, words)
    text = when.strftime(words.clock)
    if when.date() != today.date():
        text = f"{when.day} {words.months[when.month - 1]} {text}"
    return f"{text} {zone_name(when)}"


def clock_range(start: float, end: float, now: float, zone: tzinfo, words: Words) -> str:
    """Return one time where both show the same minute, else `10.02-10.07 WIB`."""
    first, last = clock_time(start, now, zone, words), clock_time(end, now, zone, words)
    if first == last:
        return first
    return f"{first.rsplit(' ', 1)[0]}-{last}"


def date_time(at: float, zone: tzinfo, words: Words, *, seconds: bool = False) -> str:
    """Return a local date and time with its zone, such as `28 Jan 2026 16.30 WIB`."""
    when = local(at, zone)
    clock = words.clock + (words.clock[2] + "%S" if seconds else "")
    return f"{when.day} {words.months[when.month - 1]} {when.year} {when.strftime(clock)} {zone_name(when)}"


def full_date(when: datetime, words: Words) -> str:
    """Return the date of a local time, such as `28 Januari 2026`."""
    return f"{when.day} {words.full_months[when.month - 1]} {when.year}"
