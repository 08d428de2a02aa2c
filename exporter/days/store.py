"""The daily sums in the journal: their tables, and the rows of a device.

A device that was computed has one row in `day_device`, and one in `day_sum` for each day that was out of the ordinary.
Its newest day is summed up to the second after its last change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from exporter.days.sums import Day, Tail
from exporter.domain.timeline import Kind
from exporter.journal.port import Piece

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from exporter.domain.timeline import Event
    from exporter.journal.port import Rows, Transaction

PIECE: Final = Piece(
    "days",
    (
        """
        CREATE TABLE day_progress (
            id {bigint} PRIMARY KEY CHECK (id = 1), seq {bigint} NOT NULL, built {bigint} NOT NULL,
            oldest {bigint} NOT NULL, zones TEXT NOT NULL, blind TEXT NOT NULL);
        CREATE TABLE day_device (
            device {bigint} PRIMARY KEY, first {bigint} NOT NULL, since {bigint} NOT NULL, observed {bigint} NOT NULL,
            up {bigint} NOT NULL, planned {bigint} NOT NULL, base TEXT);
        CREATE TABLE day_sum (
            device {bigint} NOT NULL, day_start {bigint} NOT NULL, day_end {bigint} NOT NULL,
            observed_ms {bigint} NOT NULL, down_ms {bigint} NOT NULL, planned_ms {bigint} NOT NULL,
            blind_ms {bigint} NOT NULL, outages {bigint} NOT NULL,
            PRIMARY KEY (device, day_start, day_end)) {without_rowid};
        CREATE INDEX day_sum_day ON day_sum (day_start);
        """,
    ),
)
SOME: Final = 400
"""Values in one statement."""
_PROGRESS: Final = ("id", "seq", "built", "oldest", "zones", "blind")
_DEVICE: Final = ("device", "first", "since", "observed", "up", "planned", "base")
_SUM: Final = ("device", "day_start", "day_end", "observed_ms", "down_ms", "planned_ms", "blind_ms", "outages")


class Progress(msgspec.Struct, frozen=True):
    """How far the sums know the journal."""

    seq: int
    """Every record up to this number is in them, of devices up to row `built`."""
    built: int
    oldest: int
    """Days that begin before are not kept."""
    zones: str
    """The time zones whose days are kept, separated by spaces."""
    blind: str
    """The blind intervals that are taken out of them, as JSON."""


class Known(NamedTuple):
    """What is kept of one device beside its days."""

    first: int
    """Its first observed second."""
    tail: Tail
    base: str | None
    """Where the next computation may begin; None: at the device's beginning."""


class Computed(NamedTuple):
    """One device's rows anew: those of days that begin at `since` or later."""

    device: int
    since: int
    known: Known
    days: Sequence[tuple[int, Day]]
    """(end of the whole day, sums)"""


def progress(tables: Rows) -> Progress | None:
    """Return how far the sums are; None: they were never made."""
    rows = tables.rows("SELECT seq, built, oldest, zones, blind FROM day_progress")
    return Progress(*rows[0]) if rows else None


def begin(transaction: Transaction, progress: Progress) -> None:
    """Throw all sums away and begin anew."""
    transaction.run("DELETE FROM day_sum")
    transaction.run("DELETE FROM day_device")
    transaction.many("day_progress", _PROGRESS, [(1, *msgspec.structs.astuple(progress))], key=("id",))


def note(transaction: Transaction, progress: Progress) -> None:
    """Remember how far the sums are."""
    values = (progress.seq, progress.built, progress.blind)
    transaction.run("UPDATE day_progress SET seq = ?, built = ?, blind = ?", values)


def put(transaction: Transaction, computed: Iterable[Computed]) -> None:
    """Replace the rows of devices."""
    computed = list(computed)
    if not computed:
        return
    where, values = _each({one.device: one.since for one in computed}, "day_start")
    transaction.run(f"DELETE FROM day_sum WHERE {where}", values)  # noqa: S608 - constants
    days = [
        (one.device, day.start, end, day.observed_ms, day.down_ms, day.planned_ms, day.blind_ms, day.outages)
        for one in computed
        for end, day in one.days
    ]
    transaction.many("day_sum", _SUM, days, key=_SUM[:3])
    transaction.many("day_device", _DEVICE, [_row(one) for one in computed], key=_DEVICE[:1])


def prune(transaction: Transaction, oldest: int) -> None:
    """Delete the days that begin before a time."""
    transaction.run("DELETE FROM day_sum WHERE day_start < ?", (oldest,))
    transaction.run("UPDATE day_progress SET oldest = ? WHERE oldest < ?", (oldest, oldest))


def touched(tables: Rows, start: float, end: float, margin: int) -> list[int]:
    """Return the devices that have a sum of a day that touches a time; no day is longer than `margin` seconds."""
    query = "SELECT DISTINCT device FROM day_sum WHERE day_start < ? AND day_start > ? AND day_end > ?"
    return [row[0] for row in tables.rows(query, (end, start - margin, start))]


def known(tables: Rows, devices: Sequence[int]) -> dict[int, Known]:
    """Return what is kept of devices; those that were never computed are left out."""
    query = f"SELECT {', '.join(_DEVICE)} FROM day_device WHERE device IN"  # noqa: S608 - constants
    return {
        device: Known(first, Tail(since, bool(observed), bool(up), bool(planned)), base)
        for device, first, since, observed, up, planned, base in _among(tables, query, devices)
    }


def days(tables: Rows, devices: Sequence[int], since: int) -> dict[tuple[int, int, int], Day]:
    """Return the sums of devices by row, begin and end of the day; those of days that begin at `since` or later."""
    query = f"SELECT {', '.join(_SUM)} FROM day_sum WHERE day_start >= {since:d} AND device IN"  # noqa: S608
    return {
        (device, start, end): Day(start, end, *sums) for device, start, end, *sums in _among(tables, query, devices)
    }


def rows_of(tables: Rows, device_ids: Sequence[str]) -> dict[str, int]:
    """Return the journal's rows of devices by their ids."""
    return dict(_among(tables, "SELECT device_id, id FROM device WHERE device_id IN", device_ids))


def devices_after(tables: Rows, row: int, limit: int) -> list[int]:
    """Return the next rows of devices."""
    return [found for (found,) in tables.rows("SELECT id FROM device WHERE id > ? ORDER BY id LIMIT ?", (row, limit))]


def of_journal(tables: Rows, devices: Sequence[int]) -> dict[int, tuple[str, str | None]]:
    """Return the ids of devices, and what retention kept of their old events, by their rows in the journal."""
    found = _among(tables, "SELECT id, device_id, base FROM device WHERE id IN", devices)
    return {row: (device_id, text) for row, device_id, text in found}


def events_since(tables: Rows, since: Mapping[int, int]) -> dict[int, list[Event]]:
    """Return the events of some devices, of each one from a second on."""
    found: dict[int, list[Event]] = {device: [] for device in since}
    if since:
        where, values = _each(since, "timestamp")
        query = f"SELECT device, timestamp, kind FROM event WHERE {where}"  # noqa: S608 - constants
        for device, timestamp, kind in tables.rows(query, values):
            found[device].append((timestamp, Kind(kind)))
    return found


def newest(tables: Rows) -> int:
    """Return the number of the newest record, 0 if there is none."""
    number: int = tables.rows("SELECT coalesce(max(seq), 0) FROM event")[0][0]
    return number


def changed(tables: Rows, seq: int, limit: int) -> tuple[dict[int, int], int]:
    """Return the first event time of each device among the next records, and the number of the last of them."""
    query = "SELECT seq, device, timestamp FROM event WHERE seq > ? ORDER BY seq LIMIT ?"
    found: dict[int, int] = {}
    last = seq
    for number, device, timestamp in tables.rows(query, (seq, limit)):
        found[device] = min(timestamp, found.get(device, timestamp))
        last = number
    return found, last


def _row(one: Computed) -> tuple[object, ...]:
    first, tail, base = one.known
    return (one.device, first, tail.since, int(tail.observed), int(tail.up), int(tail.planned), base)


def _among(tables: Rows, query: str, values: Sequence[object]) -> Iterator[tuple[Any, ...]]:
    for first in range(0, len(values), SOME):
        some = values[first : first + SOME]
        yield from tables.rows(f"{query} ({', '.join('?' * len(some))})", some)


def _each(since: Mapping[int, int], column: str) -> tuple[str, list[int]]:
    """Return a condition and its values: of each device, from a value of a column on. One look into an index each."""
    return " OR ".join([f"device = ? AND {column} >= ?"] * len(since)), [
        value for pair in since.items() for value in pair
    ]
