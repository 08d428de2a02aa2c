"""`Transaction` (see the port) on a connection of SQLite. Whoever made it begins and commits.

`many` is one INSERT over a JSON array: it runs in one call into SQLite with the interpreter lock released, so that it
does not stall the event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from exporter.journal.upsert import on_conflict

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

SLICE: Final = 500
"""Rows in one statement: while they are encoded the interpreter is not free for the event loop."""


class SqliteTransaction:
    """Raises sqlite3.Error, which the journal turns into JournalUnavailable."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        return self._connection.execute(sql, tuple(values)).fetchall()

    def run(self, sql: str, values: Sequence[object] = ()) -> int:
        """Run a statement; return how many rows it changed."""
        return self._connection.execute(sql, tuple(values)).rowcount

    def many(
        self,
        table: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[object]],
        *,
        key: Sequence[str],
        replace: bool = True,
    ) -> None:
        """Insert rows, some in one statement."""
        statement = _insert(table, columns, key, replace=replace)
        for start in range(0, len(rows), SLICE):
            self.run(statement, (msgspec.json.encode(rows[start : start + SLICE]).decode(),))


def _insert(table: str, columns: Sequence[str], key: Sequence[str], *, replace: bool) -> str:
    values = ", ".join(f"json_extract(value, '$[{place}]')" for place in range(len(columns)))
    # without WHERE, ON would be read as the condition of a join
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM json_each(?) WHERE true "  # noqa: S608
        f"{on_conflict(columns, key, replace=replace)}"
    )
