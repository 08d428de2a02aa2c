"""Single numbers of the database, by name. A number that is not there is 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3


def get(connection: sqlite3.Connection, key: str) -> int:
    """Return a number."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return row[0] if row else 0


def put(connection: sqlite3.Connection, key: str, value: int) -> None:
    """Set a number, in the open transaction or in one of its own."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
