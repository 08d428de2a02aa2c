"""`Contents` (see `moving`) of a SQLite file."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from exporter.errors import JournalUnavailable
from exporter.journal.moving import PAGE, Marks
from exporter.journal.port import EXPOSING
from exporter.journal.sqlite import meta
from exporter.journal.sqlite.database import Database
from exporter.journal.sqlite.events import newest_ms
from exporter.journal.sqlite.saved import settle

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from exporter.journal.moving import Page
    from exporter.journal.port import Piece

_OWN: Final = ("meta", "piece")
"""Tables of the schema itself and of the marks."""
_CACHE: Final = 256  # MiB: of a table whose rows come in any order, pages are written once
_INDICES: Final = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL"


@contextmanager
def open_contents(path: Path, pieces: Sequence[Piece], *, new: bool) -> Iterator[SqliteContents]:
    """Open a file, its schema brought up to date; what is written is kept if nothing is raised. `new`: it may be made.

    ConfigError: an exporter uses it. JournalUnavailable.
    """
    if not new and not path.is_file():
        raise JournalUnavailable(f"{path}: no such journal")
    database = Database(path, time.time, pieces)
    try:
        with database.transaction() as connection:
            connection.execute(f"PRAGMA cache_size = {-1024 * _CACHE}")
            settle(connection)
            yield SqliteContents(connection)
    finally:
        database.close()


class SqliteContents:
    """See the module."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def tables(self) -> dict[str, list[str]]:
        """Return the columns of every table (see `Contents`)."""
        found = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        names = [name for (name,) in self._connection.execute(found) if name not in _OWN]
        columns = "SELECT name FROM pragma_table_info(?) WHERE name <> 'generation'"  # of checkpoints, all settled
        return {name: [column for (column,) in self._connection.execute(columns, (name,))] for name in names}

    def count(self, table: str) -> int:
        """Return how many rows a table has."""
        count: int = self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - from the schema
        return count

    def read(self, table: str, columns: Sequence[str]) -> Iterator[Page]:
        """Yield all rows of a table."""
        found = self._connection.execute(f"SELECT {_names(columns)} FROM {table}")  # noqa: S608 - from the schema
        while page := found.fetchmany(PAGE):
            yield page

    def kept(self, rows: Page) -> Page:
        """Return rows as this database can keep them: as they are."""
        return rows

    def write(self, table: str, columns: Sequence[str], pages: Iterable[Page]) -> None:
        """Add rows to a table. Its indices are made anew in the end: row by row they would be written all over."""
        indices = self._connection.execute(_INDICES, (table,)).fetchall()
        for name, _ in indices:
            self._connection.execute(f"DROP INDEX {name}")
        places = ", ".join("?" * len(columns))
        statement = f"INSERT INTO {table} ({_names(columns)}) VALUES ({places})"  # noqa: S608 - from the schema
        for page in pages:
            self._connection.executemany(statement, page)
        for _, made in indices:
            self._connection.execute(made)

    def marks(self) -> Marks:
        """Return the marks. As at a start of the exporter: all that was known before may have been exposed."""
        number, newest = self._number, newest_ms(self._connection)
        saved = number("checkpoint_seq")
        last, count = self._connection.execute(
            "SELECT max(seq), count(*) FROM event WHERE seq > ?", (saved,)
        ).fetchone()
        return Marks(
            last or saved,
            (last or saved) - saved - count,
            newest,
            max(number("exposed_until_ms"), newest + 1) if newest else 0,
            number("heartbeat_ms"),
            saved,
            number("checkpoint_ms"),
            number("pruned_before"),
        )

    def set_marks(self, marks: Marks) -> None:
        """Set the marks."""
        numbers = {
            "exposed_until_ms": max(
                marks.exposing_until_ms, marks.at_ms + round(EXPOSING * 1000) if marks.at_ms else 0
            ),
            "heartbeat_ms": marks.heard_ms,
            "checkpoint_seq": marks.saved_seq,
            "checkpoint_ms": marks.saved_ms,
            "pruned_before": marks.pruned_before,
        }
        for name, value in numbers.items():
            if value:
                meta.put(self._connection, name, value)

    def _number(self, name: str) -> int:
        return meta.get(self._connection, name)


def _names(columns: Sequence[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)
