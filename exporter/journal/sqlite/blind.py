"""Time in which events could be lost unheard, in the database: statements, no state. Times are Unix milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.domain.records import Blind
from exporter.journal.sqlite import meta

if TYPE_CHECKING:
    import sqlite3


def beat(connection: sqlite3.Connection, now: int, retry_span: int) -> Blind | None:
    """Note that events are heard; return the blind interval before it, if there was one (see `Journal.heartbeat`)."""
    last = meta.get(connection, "heartbeat_ms")
    meta.put(connection, "heartbeat_ms", now)
    if now < last:  # the clock was ahead: that time has not been yet
        connection.execute("UPDATE blind SET end_ms = ?1 WHERE end_ms > ?1", (now,))
        connection.execute("DELETE FROM blind WHERE start_ms >= end_ms")
    if not last or now - last <= retry_span:
        return None
    _note(connection, last, now - retry_span)
    return Blind(last / 1000, (now - retry_span) / 1000)


def lost(connection: sqlite3.Connection, heard: int, now: int) -> None:
    """Count all time since what is left as blind: events that were acknowledged in it are gone."""
    _note(connection, heard, now)
    meta.put(connection, "heartbeat_ms", now)


def _note(connection: sqlite3.Connection, start: int, end: int) -> None:
    connection.execute("INSERT OR REPLACE INTO blind VALUES (?, ?)", (start, end))
