"""The incidents in the journal's file: what runs in the writer's thread, inside a transaction.

`apply` may be given the same steps twice, as after a commit of which it is unknown whether it happened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from exporter.incidents.model import (
    CORRECTED,
    DOWN,
    END_CORRECTED,
    FORGOTTEN,
    INVESTIGATING,
    MERGED,
    REMOVED,
    REOPENED,
    RESOLVED,
    START_CORRECTED,
    STATUS,
    TOO_SHORT,
    UP,
    Add,
    Close,
    Entry,
    Held,
    Merge,
    Move,
    Open,
    Reopen,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from exporter.incidents.model import Step

OPERATION: Final = "incidents"
_SEQ: Final = "incidents_seq"
_SINCE: Final = "incidents_since"
EARLY_FOR: Final = 86400.0
"""How long a line waits for the incident that it belongs to, and how long after its end it takes one, seconds."""
_OF_OUTAGE: Final = "SELECT number FROM incident WHERE device_id = ? AND outage = ?"
_HELD: Final = "outage, started_at, opened_at, resolved_at, resolution"


def begin(connection: sqlite3.Connection, since: float) -> tuple[float, int, list[tuple[str, Held]]]:
    """Return since when incidents are kept, the last journal record they know, and the open ones by device id.

    At the very first start that is the argument: what came before it gets no incidents unless it is still down.
    """
    query = "SELECT seq FROM event WHERE received_ms < ? ORDER BY seq DESC LIMIT 1"
    known = connection.execute(query, (since * 1000,)).fetchone() or (0,)
    connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?), (?, ?)", (_SINCE, since, _SEQ, known[0]))
    since = connection.execute("SELECT value FROM meta WHERE key = ?", (_SINCE,)).fetchone()[0]
    seq = connection.execute("SELECT value FROM meta WHERE key = ?", (_SEQ,)).fetchone()[0]
    rows = connection.execute(f"SELECT device_id, {_HELD} FROM incident WHERE resolved_at IS NULL")  # noqa: S608 - constants
    return since, seq, [(row[0], Held(*row[1:])) for row in rows]


def devices_after(connection: sqlite3.Connection, seq: int) -> list[str]:
    """Return the devices that have a journal record after `seq`."""
    query = "SELECT DISTINCT d.device_id FROM event e JOIN device d ON d.id = e.device WHERE e.seq > ?"
    return [row[0] for row in connection.execute(query, (seq,))]


def save_progress(connection: sqlite3.Connection, seq: int) -> None:
    """Remember that the incidents know every journal record up to `seq`."""
    connection.execute("UPDATE meta SET value = max(value, ?) WHERE key = ?", (seq, _SEQ))


def held(connection: sqlite3.Connection, device_id: str) -> list[Held]:
    """Return all incidents of a device in the order of their outages."""
    query = f"SELECT {_HELD} FROM incident WHERE device_id = ? ORDER BY outage"  # noqa: S608 - constants
    return [Held(*row) for row in connection.execute(query, (device_id,))]


def fresh_times(connection: sqlite3.Connection, device_id: str, since: float) -> set[int]:
    """Return the times of a device's events that came to us at `since` (Unix seconds) or later."""
    query = (
        "SELECT e.timestamp FROM event e JOIN device d ON d.id = e.device WHERE d.device_id = ? AND e.received_ms >= ?"
    )
    return {row[0] for row in connection.execute(query, (device_id, since * 1000))}


def apply(connection: sqlite3.Connection, steps: Iterable[Step]) -> None:
    """Write steps in their order."""
    for step in steps:
        match step:
            case Open():
                _open(connection, step)
            case Close():
                _close(connection, step)
            case Move():
                _move(connection, step)
            case Merge():
                _merge(connection, step)
            case Reopen():
                _reopen(connection, step)
            case Add():
                _add(connection, step)


def note(connection: sqlite3.Connection, number: int, key: str, entry: Entry) -> Entry | None:
    """Add a person's line; None if there is no such incident. The same key again gives the line that is there."""
    if connection.execute("SELECT 1 FROM incident WHERE number = ?", (number,)).fetchone() is None:
        return None
    _entry(connection, number, key, entry)
    query = "SELECT at, kind, text, author FROM incident_entry WHERE incident = ? AND key = ?"
    return Entry(*connection.execute(query, (number, key)).fetchone())


def set_status(connection: sqlite3.Connection, number: int, status: str, key: str, entries: list[Entry]) -> str | None:
    """Set the status of an open incident, with its lines; return the one before, None if there is no such incident."""
    row = connection.execute("SELECT status FROM incident WHERE number = ?", (number,)).fetchone()
    if row is None:
        return None
    if row[0] != RESOLVED:
        connection.execute("UPDATE incident SET status = ? WHERE number = ?", (status, number))
        for entry in entries:
            if entry.kind != STATUS or row[0] != status:
                _entry(connection, number, f"{key}-{entry.kind}", entry)
    return str(row[0])


def prune(connection: sqlite3.Connection, before: float, early_before: float) -> None:
    """Delete what was resolved before a time, and lines whose incident never came."""
    numbers = "SELECT number FROM incident WHERE resolved_at < ?"
    connection.execute(f"DELETE FROM incident_entry WHERE incident IN ({numbers})", (before,))  # noqa: S608 - a constant
    connection.execute("DELETE FROM incident WHERE resolved_at < ?", (before,))
    connection.execute("DELETE FROM incident_early WHERE at < ?", (early_before,))


def _open(connection: sqlite3.Connection, step: Open) -> None:
    who = step.identity
    made = connection.execute(
        "INSERT INTO incident (device_id, outage, started_at, opened_at, status, severity, affected, waiting, "
        "device_name, engine, channel_id, channel_name, business_id, business_name) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            *(who.device_id, step.outage, step.outage, step.at, INVESTIGATING, step.severity),
            *(step.affected, step.waiting, who.device_name, who.engine, who.channel_id, who.channel_name),
            *(who.business_id, who.business_name),
        ),
    )
    if not made.rowcount:
        return
    number = made.lastrowid
    _entry(connection, number, DOWN, Entry(step.outage, DOWN, "", ""))
    connection.execute(
        "INSERT OR IGNORE INTO incident_entry SELECT ?, key, at, kind, text, '' FROM incident_early "
        "WHERE device_id = ? AND at >= ?",
        (number, who.device_id, step.outage),
    )
    connection.execute("DELETE FROM incident_early WHERE device_id = ?", (who.device_id,))


def _close(connection: sqlite3.Connection, step: Close) -> None:
    number = _number(connection, step.device_id, step.outage)
    if number is None:
        return
    connection.execute(
        "UPDATE incident SET status = ?, resolved_at = ?, resolution = ? WHERE number = ?",
        (RESOLVED, step.end, step.resolution, number),
    )
    if step.resolution == FORGOTTEN:
        _entry(connection, number, REMOVED, Entry(step.end, REMOVED, "", ""))
        return
    _entry(connection, number, UP, Entry(step.end, UP, "", ""), replace=True)
    if step.former_end is not None:
        text = f"{step.former_end:.0f} {step.end:.0f}"
        _entry(connection, number, f"{END_CORRECTED} {text}", Entry(step.at, END_CORRECTED, text, ""))
    if step.resolution == CORRECTED:
        _entry(connection, number, TOO_SHORT, Entry(step.at, TOO_SHORT, "", ""))
    else:
        _withdraw(connection, number, TOO_SHORT, MERGED)


def _move(connection: sqlite3.Connection, step: Move) -> None:
    number = _number(connection, step.device_id, step.outage)
    if number is None:
        return
    connection.execute("UPDATE incident SET started_at = ? WHERE number = ?", (step.start, number))
    text = f"{step.former_start} {step.start}"
    _entry(connection, number, DOWN, Entry(step.start, DOWN, "", ""), replace=True)
    _entry(connection, number, f"{START_CORRECTED} {text}", Entry(step.at, START_CORRECTED, text, ""))


def _merge(connection: sqlite3.Connection, step: Merge) -> None:
    number = _number(connection, step.device_id, step.outage)
    if number is None:
        return
    connection.execute(
        "UPDATE incident SET status = ?, resolved_at = ?, resolution = ? WHERE number = ?",
        (RESOLVED, step.end, CORRECTED, number),
    )
    _withdraw(connection, number, UP)
    _entry(connection, number, MERGED, Entry(step.at, MERGED, "", ""))


def _reopen(connection: sqlite3.Connection, step: Reopen) -> None:
    number = _number(connection, step.device_id, step.outage)
    if number is None:
        return
    connection.execute(
        "UPDATE incident SET status = ?, resolved_at = NULL, resolution = '' WHERE number = ?", (INVESTIGATING, number)
    )
    _withdraw(connection, number, UP, TOO_SHORT, MERGED)
    _entry(connection, number, f"{REOPENED} {step.at:.3f}", Entry(step.at, REOPENED, "", ""))


def _add(connection: sqlite3.Connection, step: Add) -> None:
    entry = Entry(step.at, step.kind, step.text, "")
    if step.early:
        connection.execute(
            "INSERT OR IGNORE INTO incident_early VALUES (?, ?, ?, ?, ?)",
            (step.device_id, step.key, step.at, step.kind, step.text),
        )
        return
    if step.outage is not None:
        number = _number(connection, step.device_id, step.outage)
    else:
        query = (
            "SELECT number FROM incident WHERE device_id = ? AND started_at <= ? "
            "AND (resolved_at IS NULL OR resolved_at >= ?) ORDER BY outage DESC LIMIT 1"
        )
        row = connection.execute(query, (step.device_id, step.at, step.at - EARLY_FOR)).fetchone()
        number = row[0] if row else None
    if number is not None:
        _entry(connection, number, step.key, entry)


def _number(connection: sqlite3.Connection, device_id: str, outage: int) -> int | None:
    row = connection.execute(_OF_OUTAGE, (device_id, outage)).fetchone()
    return row[0] if row else None


def _withdraw(connection: sqlite3.Connection, number: int, *keys: str) -> None:
    """Take back lines that turned out to be wrong."""
    for key in keys:
        connection.execute("DELETE FROM incident_entry WHERE incident = ? AND key = ?", (number, key))


def _entry(
    connection: sqlite3.Connection, number: int | None, key: str, entry: Entry, *, replace: bool = False
) -> None:
    connection.execute(
        f"INSERT OR {'REPLACE' if replace else 'IGNORE'} INTO incident_entry VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608
        (number, key, *msgspec.structs.astuple(entry)),
    )
