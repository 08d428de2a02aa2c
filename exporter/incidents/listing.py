"""The list that people look at: what runs first, then by start; one line for what is folded together.

What was found to be no incident is left out, and so is what was over within `least` seconds, unless somebody asks for
all. For jobs of `Recorder.read`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from exporter.incidents.model import CORRECTED, INVESTIGATING, RESOLVED, Incident
from exporter.incidents.view import COLUMNS, Filter, incident_of, where_of

if TYPE_CHECKING:
    from exporter.journal.port import Rows

_RUNNING: Final = "SELECT COALESCE(part_of, number) FROM incident WHERE resolved_at IS NULL"
MOST_PARTS: Final = 200
"""Parts of one incident that its page lists."""


class Place(NamedTuple):
    """Where a line stands: lines come in falling order of their places."""

    running: int
    start: int
    number: int


class Line(NamedTuple):
    """One incident, or several that are one for people."""

    head: Incident
    parts: int
    """How many there are beside the head."""
    devices: int
    running: bool
    until: float
    """Now while it runs, else the last end."""

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(int(self.running), self.head.started_at, self.head.number)

    @property
    def status(self) -> str:
        """The head's status, or what it is while only parts run."""
        return INVESTIGATING if self.running and self.head.status == RESOLVED else self.head.status

    @property
    def seconds(self) -> float:
        """From the first disconnect to the last reconnect."""
        return max(0.0, self.until - self.head.started_at)


class Totals(NamedTuple):
    """How many lines there are."""

    running: int
    critical: int
    """Of those that run."""
    last_day: int
    listed: int
    hidden: int
    """Incidents that were none, or were over too soon to be listed."""


class Listing:
    """The lines. `least` is the shortest outage that is listed, seconds; `everything` lists all."""

    def __init__(self, tables: Rows, now: float, least: float, *, everything: bool = False) -> None:
        self._rows = tables.rows
        self._now = now
        self._least = -1.0 if everything else least
        self._everything = everything

    def page(self, wanted: Filter, after: Place | None, limit: int) -> list[Line]:
        """Return the first lines behind a place."""
        found: list[Incident] = []
        if wanted.status != RESOLVED and (after is None or after.running):
            found = self._heads(f"number IN ({_RUNNING})", [], wanted, after, limit)
        if len(found) < limit and wanted.status != "open":
            rest = after if after is not None and not after.running else None
            where, values = self._over()
            found += self._heads(where, values, wanted, rest, limit - len(found))
        return self._lines(found)

    def line(self, head: Incident) -> Line:
        """Return one line."""
        return self._lines([head])[0]

    def parts(self, number: int) -> list[Incident]:
        """Return the parts of an incident, the newest first."""
        query = f"SELECT {COLUMNS} FROM incident WHERE part_of = ? ORDER BY started_at DESC, number DESC LIMIT ?"  # noqa: S608 - constants
        return [incident_of(row, self._now) for row in self._rows(query, (number, MOST_PARTS))]

    def totals(self) -> Totals:
        """Return the counts of all lines."""
        running = self._count(f"number IN ({_RUNNING})", [])
        critical = self._count(f"number IN ({_RUNNING}) AND severity = 'critical'", [])
        where, values = self._over()
        over, day = self._count(where, values), self._count(f"{where} AND started_at >= ?", [*values, self._day])
        day += self._count(f"number IN ({_RUNNING}) AND started_at >= ?", [self._day])
        heads = self._count(f"part_of IS NULL AND number NOT IN ({_RUNNING})", [])
        return Totals(running, critical, day, running + over, heads - over)

    @property
    def _day(self) -> float:
        return self._now - 86_400

    def _over(self) -> tuple[str, list[object]]:
        """Return what lets the lines through that do not run."""
        where = f"part_of IS NULL AND number NOT IN ({_RUNNING})"
        if self._everything:
            return where, []
        long = "(resolved_at - started_at >= ? OR number IN (SELECT part_of FROM incident WHERE part_of IS NOT NULL))"
        return f"{where} AND resolution <> ? AND {long}", [CORRECTED, self._least]

    def _count(self, where: str, values: list[object]) -> int:
        count: int = self._rows(f"SELECT COUNT(*) FROM incident WHERE {where}", values)[0][0]  # noqa: S608 - constants
        return count

    def _heads(
        self, where: str, values: list[object], wanted: Filter, after: Place | None, limit: int
    ) -> list[Incident]:
        conditions, given = where_of(wanted)
        if conditions:
            where += f" AND number IN (SELECT COALESCE(part_of, number) FROM incident WHERE {' AND '.join(conditions)})"  # noqa: S608 - constants
            values = [*values, *given]
        if after is not None:
            where += " AND (started_at < ? OR (started_at = ? AND number < ?))"
            values = [*values, after.start, after.start, after.number]
        query = f"SELECT {COLUMNS} FROM incident WHERE {where} ORDER BY started_at DESC, number DESC LIMIT ?"  # noqa: S608
        return [incident_of(row, self._now) for row in self._rows(query, [*values, limit])]

    def _lines(self, heads: list[Incident]) -> list[Line]:
        sums = self._sums([head.number for head in heads])
        return [self._line(head, sums.get(head.number)) for head in heads]

    def _sums(self, numbers: list[int]) -> dict[int, tuple[Any, ...]]:
        if not numbers:
            return {}
        places = ", ".join("?" * len(numbers))
        running = "SUM(CASE WHEN resolved_at IS NULL THEN 1 ELSE 0 END)"
        sums = f"COALESCE(part_of, number), COUNT(*), COUNT(DISTINCT device_id), {running}, MAX(resolved_at)"
        query = f"SELECT {sums} FROM incident WHERE number IN ({places}) OR part_of IN ({places}) GROUP BY 1"  # noqa: S608
        return {row[0]: row[1:] for row in self._rows(query, (*numbers, *numbers))}

    def _line(self, head: Incident, sums: tuple[Any, ...] | None) -> Line:
        count, devices, running, last = sums or (1, 1, int(head.resolved_at is None), head.resolved_at)
        until = self._now if running else float(last or head.started_at)
        return Line(head, count - 1, devices, bool(running), until)
