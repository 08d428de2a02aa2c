"""Moves everything from one database to another, whatever they are, and proves that all of it has arrived.

Tables go over row by row as they are: the same numbers, times and bases, so that no account changes by a second.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from exporter.errors import ExporterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from exporter.journal.port import Reader

    Row = tuple[int | float | str | bytes | None, ...]
    """The values of a row. JSON is a text."""
    Page = list[Row]
    """Some rows of a table: all is done by pages, as row by row Python would be the slowest of all."""
    Progress = Callable[[int, str], None]
    """Is told how many rows have been written or compared, and of which table."""

COMPARED: Final = 1000
"""Devices, chosen by chance, whose whole history is folded on both sides in the end."""
PAGE: Final = 2_000
"""Rows of a page."""


class MoveFailed(ExporterError):
    """Nothing has been moved; the text says why."""

    code = "migrate"


class Marks(NamedTuple):
    """What a journal knows beside its tables. Times are Unix milliseconds, 0: none."""

    last: int
    """The newest number that a record or the checkpoint has."""
    missing: int
    """How many numbers between the checkpoint and the newest have no record."""
    at_ms: int
    """The newest time that was given."""
    exposing_until_ms: int
    """The state may have been exposed until then."""
    heard_ms: int
    """The last heartbeat."""
    saved_seq: int
    """The number that the checkpoint holds up to; 0: there is no checkpoint."""
    saved_ms: int
    """When the checkpoint was made."""
    pruned_before: int
    """Unix seconds before which events are no longer taken."""


class Contents(Protocol):
    """All that a database holds, in one transaction, while no exporter uses it."""

    def tables(self) -> Mapping[str, Sequence[str]]:
        """Return the columns of every table that holds what `Marks` do not."""

    def count(self, table: str) -> int:
        """Return how many rows a table has."""

    def read(self, table: str, columns: Sequence[str]) -> Iterator[Page]:
        """Yield all rows of a table, in any order. Memory does not grow."""

    def kept(self, rows: Page) -> Page:
        """Return rows as this database can keep them."""

    def write(self, table: str, columns: Sequence[str], pages: Iterable[Page]) -> None:
        """Add rows to a table; numbers that the database gives by itself go on after them."""

    def marks(self) -> Marks:
        """Return the marks."""

    def set_marks(self, marks: Marks) -> None:
        """Set the marks, in a database that has none."""


class Sum:
    """Tells two sets of rows apart, in whatever order they come. Of Python's own hashes, the same in one process."""

    def __init__(self) -> None:
        self.rows = 0
        self.value = 0

    def over(self, pages: Iterable[Page]) -> Iterator[Page]:
        """Yield the pages again, their rows added up."""
        for page in pages:
            self.rows += len(page)
            self.value += sum(map(hash, page))
            yield page


def move(old: Contents, new: Contents, progress: Progress) -> dict[str, int]:
    """Write all of `old` into the empty `new` and compare; return the rows of each table.

    MoveFailed: the caller rolls `new` back.
    """
    if old.marks().missing:
        raise MoveFailed("--from: a former version left gaps in it; start and stop this version on it once")
    tables = _tables(old, new)
    done = 0
    sums: dict[str, Sum] = {}
    for table, columns in tables.items():
        sums[table] = Sum()
        pages = map(new.kept, old.read(table, columns))
        new.write(table, columns, _told(sums[table].over(pages), table, done, progress))
        done += sums[table].rows
    new.set_marks(old.marks())
    for table, columns in tables.items():
        arrived = Sum()
        for _ in _told(arrived.over(new.read(table, columns)), table, done, progress):
            pass
        done += arrived.rows
        if (arrived.rows, arrived.value) != (sums[table].rows, sums[table].value):
            raise MoveFailed(f"table {table}: what has arrived is not what was sent; nothing was moved")
    _compare(old.marks(), new.marks())
    return {table: sums[table].rows for table in tables}


def compare_accounts(old: Reader, new: Reader, progress: Progress = lambda *_: None) -> int:
    """Compare the blind time and the folded histories of some devices; return of how many. MoveFailed."""
    if old.blind_intervals() != new.blind_intervals():
        raise MoveFailed("the blind intervals differ: do not use the new database")
    ids = [device_id for (device_id,) in old.rows("SELECT device_id FROM device ORDER BY id")]
    chosen = Random().sample(ids, min(COMPARED, len(ids)))  # noqa: S311 - not for secrets
    for done, device_id in enumerate(chosen):
        progress(done, "histories")
        if old.device(device_id) != new.device(device_id):
            raise MoveFailed(f"the history of device {device_id} differs: do not use the new database")
    return len(chosen)


def _tables(old: Contents, new: Contents) -> dict[str, Sequence[str]]:
    """Return the tables to move with their columns. MoveFailed where `new` cannot take them."""
    there, here = old.tables(), new.tables()
    if filled := [table for table in here if new.count(table)]:
        raise MoveFailed(f"--to: the database is not empty ({', '.join(filled)}); give one that is")
    for table, columns in there.items():
        if lacking := set(columns) - set(here.get(table, ())):
            if not old.count(table):
                continue
            raise MoveFailed(f"--to: the database cannot take {table} ({', '.join(sorted(lacking))})")
    return {table: columns for table, columns in there.items() if table in here}


def _compare(old: Marks, new: Marks) -> None:
    later = {name: max(getattr(old, name), getattr(new, name)) for name in ("at_ms", "exposing_until_ms")}
    safe = old._replace(**later)  # these may be later: a clock that was set back
    if wrong := [name for name, one, other in zip(Marks._fields, safe, new, strict=True) if one != other]:
        raise MoveFailed(f"the marks differ ({', '.join(wrong)}); nothing was moved")


def _told(pages: Iterator[Page], table: str, done: int, progress: Progress) -> Iterator[Page]:
    for page in pages:
        progress(done, table)
        done += len(page)
        yield page
