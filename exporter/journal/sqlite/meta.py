"""Single numbers of the database, by name. A number that is not there is 0."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3

RUN: Final = "run"
"""Of this run of the exporter, by chance; the file has it and so has the log beside it."""
RUN_BEFORE: Final = "run_before"
"""Of the run before it, which the file may have until the present one has got there."""


def get(connection: sqlite3.Connection, key: str) -> int:
    """Return a number. ValueError where it is none."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return whole(row[0]) if row else 0


def whole(value: object) -> int:
    """Return a number that was read. ValueError where it is none: SQLite gives what lies in a damaged file as it is."""
    if not isinstance(value, int):
        raise ValueError(f"expected a number, found {value!r:.40}")  # noqa: TRY004 - it is about the file
    return value


def put(connection: sqlite3.Connection, key: str, value: int) -> None:
    """Set a number, in the open transaction or in one of its own."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def mark(connection: sqlite3.Connection) -> None:
    """Give this run a number, in the file and in its log, so that a log beside another file or an older one is seen."""
    before = get(connection, RUN)
    connection.execute("BEGIN IMMEDIATE")
    put(connection, RUN, secrets.randbits(62) + 1)
    put(connection, RUN_BEFORE, before)
    connection.execute("COMMIT")
    (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if not busy:  # else somebody reads, and the file gets it later
        put(connection, RUN_BEFORE, -1)
