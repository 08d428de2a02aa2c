"""Reads incidents: lists, timelines and counts. For jobs of `Recorder.read`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from exporter.incidents.model import CORRECTED, KINDS, TYPE, Entry, Incident

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from exporter.journal.port import Rows

_RANK: Final = {kind: rank for rank, kind in enumerate(KINDS)}
COLUMNS: Final = (
    "number, status, resolution, severity, device_id, device_name, engine, channel_id, channel_name, business_id, "
    "business_name, started_at, opened_at, resolved_at, affected, waiting, part_of, shared, gateway, "
    "acknowledged_at, acknowledged_by"
)
ENTRY_COLUMNS: Final = "at, kind, text, author, public, next_update_at"
_NAMES: Final = COLUMNS.split(", ")
_AT_ONCE: Final = 400


class Filter(msgspec.Struct, frozen=True):
    """Which incidents. `open` stands for every status but resolved; `since` is the least start, Unix seconds."""

    status: str | None = None
    engine: str | None = None
    business_id: str | None = None
    device_id: str | None = None
    since: float | None = None
    severity: str | None = None
    search: str | None = None
    """Part of a name of device or business, or of the device's id, in any case."""


class View:
    """The incidents of one journal. Methods block, and raise JournalUnavailable where it cannot be read."""

    def __init__(self, tables: Rows) -> None:
        self._rows = tables.rows

    def page(self, wanted: Filter, now: float, *, before: int | None = None, limit: int = 100) -> list[Incident]:
        """Return incidents, newest numbers first, those below the number `before`."""
        where, values = where_of(wanted)
        if before is not None:
            where, values = [*where, "number < ?"], [*values, before]
        condition = f"WHERE {' AND '.join(where)}" if where else ""
        query = f"SELECT {COLUMNS} FROM incident {condition} ORDER BY number DESC LIMIT ?"  # noqa: S608 - constants
        return [incident_of(row, now) for row in self._rows(query, (*values, limit))]

    def one(self, number: int, now: float) -> tuple[Incident, list[Entry]] | None:
        """Return an incident and its timeline in order of time; None if there is no such incident."""
        rows = self._rows(f"SELECT {COLUMNS} FROM incident WHERE number = ?", (number,))  # noqa: S608 - constants
        return (incident_of(rows[0], now), self.timelines([number])[number]) if rows else None

    def of_outage(self, device_id: str, start: int, now: float) -> Incident | None:
        """Return the incident of the outage that began, or once seemed to begin, at a time; None: there is none."""
        where = "device_id = ? AND (outage = ? OR started_at = ?) ORDER BY number DESC LIMIT 1"
        query = f"SELECT {COLUMNS} FROM incident WHERE {where}"  # noqa: S608 - constants
        rows = self._rows(query, (device_id, start, start))
        return incident_of(rows[0], now) if rows else None

    def begins(self, resolved_after: float) -> list[tuple[str, int, int]]:
        """Return (device, outage, start) of what is open or was resolved after a time."""
        query = "SELECT device_id, outage, started_at FROM incident WHERE resolved_at IS NULL OR resolved_at > ?"
        return [(row[0], row[1], row[2]) for row in self._rows(query, (resolved_after,))]

    def timelines(self, numbers: list[int]) -> dict[int, list[Entry]]:
        """Return the timelines of several incidents."""
        found: dict[int, list[Entry]] = {number: [] for number in numbers}
        if not numbers:
            return found
        places = ", ".join("?" * len(numbers))
        query = f"SELECT incident, {ENTRY_COLUMNS} FROM incident_entry WHERE incident IN ({places})"  # noqa: S608
        for number, *row in self._rows(query, numbers):
            found[number].append(entry_of(row))
        for entries in found.values():
            entries.sort(key=lambda entry: (entry.at, _RANK.get(entry.kind, len(_RANK))))
        return found

    def published(
        self,
        device_ids: Sequence[str],
        span: tuple[float, float],
        now: float,
        *,
        business_id: str = "",
        least: float = 0.0,
        limit: int,
    ) -> list[tuple[Incident, list[Entry]]]:
        """Return incidents of devices that began in a span of time, newest first, with their published notes.

        If the span goes up to now, open ones of before are among them. Those that turned out to be none or lasted less
        than `least` seconds are left out, and so are those of another business, where one is given.
        """
        since, until = span
        found: list[Incident] = []
        for some, places in _some(device_ids):
            query = (
                f"SELECT {COLUMNS} FROM incident WHERE device_id IN ({places}) "  # noqa: S608
                "AND resolution <> ? AND (started_at >= ? OR (resolved_at IS NULL AND ? = 1)) AND started_at < ? "
                "AND coalesce(resolved_at, ?) - started_at >= ? "
                "AND (? = '' OR business_id = ?) ORDER BY started_at DESC LIMIT ?"
            )
            which = (CORRECTED, since, int(until >= now), until, now, least, business_id, business_id, limit)
            rows = self._rows(query, (*some, *which))
            found += [incident_of(row, now) for row in rows]
        newest = sorted(found, key=lambda incident: -incident.started_at)[:limit]
        entries = self.timelines([incident.number for incident in newest])
        return [(one, [entry for entry in entries[one.number] if entry.public]) for one in newest]

    def open_numbers(self, device_ids: Sequence[str]) -> dict[str, int]:
        """Return the number of the open incident of each of these devices that has one."""
        found: dict[str, int] = {}
        for some, places in _some(device_ids):
            query = f"SELECT device_id, number FROM incident WHERE resolved_at IS NULL AND device_id IN ({places})"  # noqa: S608
            found |= {row[0]: row[1] for row in self._rows(query, some)}
        return found

    def choices(self, column: str) -> list[tuple[str, str]]:
        """Return (id, newest name) of the engines or businesses that have incidents, at most 500."""
        name = {"engine": "engine", "business_id": "business_name"}[column]
        newest = f"SELECT max(number) FROM incident GROUP BY {column}"  # noqa: S608 - constants
        query = f"SELECT {column}, {name} FROM incident WHERE number IN ({newest}) ORDER BY 1 LIMIT 500"  # noqa: S608
        return [(row[0], row[1]) for row in self._rows(query)]


def _some(device_ids: Sequence[str]) -> Iterator[tuple[Sequence[str], str]]:
    """Yield devices, as many as one query may name, and the places for their ids in it."""
    for first in range(0, len(device_ids), _AT_ONCE):
        some = device_ids[first : first + _AT_ONCE]
        yield some, ", ".join("?" * len(some))


def where_of(wanted: Filter) -> tuple[list[str], list[Any]]:
    """Return conditions, and their values."""
    where: list[str] = []
    values: list[Any] = []
    if wanted.status == "open":
        where.append("resolved_at IS NULL")
    elif wanted.status is not None:
        where.append("status = ?")
        values.append(wanted.status)
    for name in ("engine", "business_id", "device_id", "severity"):
        value = getattr(wanted, name)
        if value is not None:
            where.append(f"{name} = ?")
            values.append(value)
    if wanted.search:
        places = ("device_name", "business_name", "device_id")
        where.append(f"({' OR '.join(f'LOWER({place}) LIKE ? ESCAPE ?' for place in places)})")
        values += [_part(wanted.search), "\\"] * len(places)
    if wanted.since is not None:
        where.append("started_at >= ?")
        values.append(wanted.since)
    return where, values


def _part(text: str) -> str:
    """Return the pattern of what has a text in it."""
    for letter in "\\%_":
        text = text.replace(letter, f"\\{letter}")
    return f"%{text.lower()}%"


def entry_of(row: Sequence[Any]) -> Entry:
    """Return a row of ENTRY_COLUMNS as an entry."""
    at, kind, text, author, public, next_update_at = row
    return Entry(at, kind, text, author, bool(public), next_update_at)


def incident_of(row: tuple[Any, ...], now: float) -> Incident:
    """Return a row of COLUMNS as an incident."""
    known = dict(zip(_NAMES, row, strict=True))
    until = now if known["resolved_at"] is None else known["resolved_at"]
    duration = round(max(0.0, until - known["started_at"]), 3)
    affected, waiting = known.pop("affected"), known.pop("waiting")
    return Incident(
        type=TYPE, duration_seconds=duration, affected_conversations=affected, waiting_conversations=waiting, **known
    )
