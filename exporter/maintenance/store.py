"""The windows that operators gave, in the journal's file. Jobs for `Engine.transact`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from exporter.maintenance.windows import Window

if TYPE_CHECKING:
    import sqlite3

OPERATION: Final = "maintenance"


class Stored(msgspec.Struct, frozen=True):
    """A window of an operator. `ended_at` is set where it was ended by hand, Unix seconds."""

    number: int
    window: Window
    ended_at: float | None = None


def load(connection: sqlite3.Connection) -> list[Stored]:
    """Return all windows, also those that are over."""
    rows = connection.execute("SELECT number, spec, ended_at FROM maintenance ORDER BY number")
    return [Stored(number, msgspec.json.decode(spec, type=Window), ended_at) for number, spec, ended_at in rows]


def add(connection: sqlite3.Connection, window: Window, now: float) -> int:
    """Keep a window; return its number."""
    spec = msgspec.json.encode(window).decode()
    cursor = connection.execute("INSERT INTO maintenance (created_at, spec) VALUES (?, ?)", (now, spec))
    return cursor.lastrowid or 0


def end(connection: sqlite3.Connection, number: int, now: float) -> None:
    """Note that a window was ended by hand."""
    connection.execute("UPDATE maintenance SET ended_at = ? WHERE number = ? AND ended_at IS NULL", (now, number))


def heard_until(connection: sqlite3.Connection) -> float | None:
    """Return when this journal was last in use, Unix seconds."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'heartbeat_ms'").fetchone()
    return row[0] / 1000 if row else None
