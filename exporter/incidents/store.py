"""The incidents in the journal: jobs for `Recorder.transact`, each inside a transaction.

`apply` may be given the same steps twice, as after a commit of which it is unknown whether it happened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from exporter.incidents import folding
from exporter.incidents.model import (
    ACKNOWLEDGED,
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
    parted,
)
from exporter.incidents.view import ENTRY_COLUMNS, entry_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.incidents.model import Step
    from exporter.journal.port import Transaction

EARLY_FOR: Final = 86400.0
"""How long a line waits for the incident that it belongs to, and how long after its end it takes one, seconds."""
_OF_OUTAGE: Final = "SELECT number FROM incident WHERE device_id = ? AND outage = ?"
_HELD: Final = "outage, started_at, opened_at, resolved_at, resolution"
_ADD_ENTRY: Final = (
    f"INSERT INTO incident_entry (incident, key, {ENTRY_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "  # noqa: S608 - constants
    "ON CONFLICT (incident, key)"
)
_NEW_ENTRY: Final = "at = excluded.at, kind = excluded.kind, text = excluded.text, author = excluded.author"


def begin(transaction: Transaction, since: float) -> tuple[float, int, list[tuple[str, Held]]]:
    """Return since when incidents are kept, the last journal record they know, and the open ones by device id.

    At the very first start that is the argument: what came before it gets no incidents unless it is still down.
    """
    query = "SELECT seq FROM event WHERE received_ms < ? ORDER BY seq DESC LIMIT 1"
    known = transaction.rows(query, (since * 1000,)) or [(0,)]
    statement = "INSERT INTO incident_progress (id, since, seq) VALUES (1, ?, ?) ON CONFLICT DO NOTHING"
    transaction.run(statement, (since, known[0][0]))
    since, seq = transaction.rows("SELECT since, seq FROM incident_progress")[0]
    rows = transaction.rows(f"SELECT device_id, {_HELD} FROM incident WHERE resolved_at IS NULL")  # noqa: S608 - constants
    return since, seq, [(row[0], Held(*row[1:])) for row in rows]


def devices_after(transaction: Transaction, seq: int) -> list[str]:
    """Return the devices that have a journal record after `seq`."""
    query = "SELECT DISTINCT d.device_id FROM event e JOIN device d ON d.id = e.device WHERE e.seq > ?"
    return [row[0] for row in transaction.rows(query, (seq,))]


def save_progress(transaction: Transaction, seq: int) -> None:
    """Remember that the incidents know every journal record up to `seq`."""
    transaction.run("UPDATE incident_progress SET seq = ? WHERE seq < ?", (seq, seq))


def held(transaction: Transaction, device_id: str) -> list[Held]:
    """Return all incidents of a device in the order of their outages."""
    query = f"SELECT {_HELD} FROM incident WHERE device_id = ? ORDER BY outage"  # noqa: S608 - constants
    return [Held(*row) for row in transaction.rows(query, (device_id,))]


def fresh_times(transaction: Transaction, device_id: str, since: float) -> set[int]:
    """Return the times of a device's events that came to us at `since` (Unix seconds) or later."""
    query = (
        "SELECT e.timestamp FROM event e JOIN device d ON d.id = e.device WHERE d.device_id = ? AND e.received_ms >= ?"
    )
    return {row[0] for row in transaction.rows(query, (device_id, since * 1000))}


def apply(transaction: Transaction, steps: Iterable[Step]) -> None:
    """Write steps in their order."""
    for step in steps:
        match step:
            case Open():
                _open(transaction, step)
            case Close():
                _close(transaction, step)
            case Move():
                _move(transaction, step)
            case Merge():
                _merge(transaction, step)
            case Reopen():
                _reopen(transaction, step)
            case Add():
                _add(transaction, step)


def note(transaction: Transaction, number: int, key: str, entry: Entry) -> Entry | None:
    """Add a person's line; None if there is no such incident. The same key again gives the line that is there."""
    if not transaction.rows("SELECT 1 FROM incident WHERE number = ?", (number,)):
        return None
    _entry(transaction, number, key, entry)
    query = f"SELECT {ENTRY_COLUMNS} FROM incident_entry WHERE incident = ? AND key = ?"  # noqa: S608 - constants
    return entry_of(transaction.rows(query, (number, key))[0])


def set_status(transaction: Transaction, number: int, status: str, key: str, entries: list[Entry]) -> str | None:
    """Set the status of an open incident, with its lines; return the one before, None if there is no such incident."""
    rows = transaction.rows("SELECT status FROM incident WHERE number = ?", (number,))
    if not rows:
        return None
    former: str = rows[0][0]
    if former != RESOLVED:
        transaction.run("UPDATE incident SET status = ? WHERE number = ?", (status, number))
        for entry in entries:
            if entry.kind != STATUS or former != status:
                _entry(transaction, number, f"{key}-{entry.kind}", entry)
    return former


def prune(transaction: Transaction, before: float, early_before: float) -> None:
    """Delete what was resolved before a time, and lines whose incident never came."""
    numbers = "SELECT number FROM incident WHERE resolved_at < ?"
    transaction.run(f"DELETE FROM incident_entry WHERE incident IN ({numbers})", (before,))  # noqa: S608 - a constant
    transaction.run("DELETE FROM incident WHERE resolved_at < ?", (before,))
    folding.tidy(transaction)
    transaction.run("DELETE FROM incident_early WHERE at < ?", (early_before,))


def _open(transaction: Transaction, step: Open) -> None:
    who = step.identity
    columns = {
        "device_id": who.device_id,
        "outage": step.outage,
        "started_at": step.outage,
        "opened_at": step.at,
        "status": INVESTIGATING,
        "severity": step.severity,
        "affected": step.affected,
        "waiting": step.waiting,
        "device_name": who.device_name,
        "engine": who.engine,
        "channel_id": who.channel_id,
        "channel_name": who.channel_name,
        "business_id": who.business_id,
        "business_name": who.business_name,
        "gateway": who.gateway,
    }
    made = transaction.rows(
        f"INSERT INTO incident ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}) "  # noqa: S608 - constants
        "ON CONFLICT DO NOTHING RETURNING number",
        tuple(columns.values()),
    )
    if not made:
        return
    number: int = made[0][0]
    _entry(transaction, number, DOWN, Entry(step.outage, DOWN, "", ""))
    _take_early(transaction, number, who.device_id, step.outage)


def _close(transaction: Transaction, step: Close) -> None:
    number = _number(transaction, step.device_id, step.outage)
    if number is None:
        return
    _take_early(transaction, number, step.device_id, step.outage)  # those of other exporters may have come later
    transaction.run(
        "UPDATE incident SET status = ?, resolved_at = ?, resolution = ? WHERE number = ?",
        (RESOLVED, step.end, step.resolution, number),
    )
    if step.resolution == FORGOTTEN:
        _entry(transaction, number, REMOVED, Entry(step.end, REMOVED, "", ""))
        return
    _entry(transaction, number, UP, Entry(step.end, UP, "", ""), replace=True)
    if step.former_end is not None:
        text = f"{step.former_end:.0f} {step.end:.0f}"
        _entry(transaction, number, f"{END_CORRECTED} {text}", Entry(step.at, END_CORRECTED, text, ""))
    if step.resolution == CORRECTED:
        folding.leave(transaction, number)
        _entry(transaction, number, TOO_SHORT, Entry(step.at, TOO_SHORT, "", ""))
    else:
        _withdraw(transaction, number, TOO_SHORT, MERGED)


def _take_early(transaction: Transaction, number: int, device_id: str, since: float) -> None:
    """Put lines that were waiting into the incident that they waited for."""
    transaction.run(
        "INSERT INTO incident_entry (incident, key, at, kind, text, author) "
        "SELECT i.number, e.key, e.at, e.kind, e.text, '' FROM incident i "
        "JOIN incident_early e ON e.device_id = i.device_id WHERE i.number = ? AND e.at >= ? ON CONFLICT DO NOTHING",
        (number, since),
    )
    taken = "SELECT at, text FROM incident_early WHERE device_id = ? AND kind = ? AND at >= ? ORDER BY at"
    for at, text in transaction.rows(taken, (device_id, ACKNOWLEDGED, since)):
        _acknowledge(transaction, number, at, text)
    transaction.run("DELETE FROM incident_early WHERE device_id = ?", (device_id,))


def _move(transaction: Transaction, step: Move) -> None:
    number = _number(transaction, step.device_id, step.outage)
    if number is None:
        return
    transaction.run("UPDATE incident SET started_at = ? WHERE number = ?", (step.start, number))
    text = f"{step.former_start} {step.start}"
    _entry(transaction, number, DOWN, Entry(step.start, DOWN, "", ""), replace=True)
    _entry(transaction, number, f"{START_CORRECTED} {text}", Entry(step.at, START_CORRECTED, text, ""))


def _merge(transaction: Transaction, step: Merge) -> None:
    number = _number(transaction, step.device_id, step.outage)
    if number is None:
        return
    transaction.run(
        "UPDATE incident SET status = ?, resolved_at = ?, resolution = ? WHERE number = ?",
        (RESOLVED, step.end, CORRECTED, number),
    )
    folding.leave(transaction, number)
    _withdraw(transaction, number, UP)
    _entry(transaction, number, MERGED, Entry(step.at, MERGED, "", ""))


def _reopen(transaction: Transaction, step: Reopen) -> None:
    number = _number(transaction, step.device_id, step.outage)
    if number is None:
        return
    transaction.run(
        "UPDATE incident SET status = ?, resolved_at = NULL, resolution = '' WHERE number = ?", (INVESTIGATING, number)
    )
    _withdraw(transaction, number, UP, TOO_SHORT, MERGED)
    _entry(transaction, number, f"{REOPENED} {step.at:.3f}", Entry(step.at, REOPENED, "", ""))


def _add(transaction: Transaction, step: Add) -> None:
    number = _belongs_to(transaction, step)
    if number is not None:
        _entry(transaction, number, step.key, Entry(step.at, step.kind, step.text, ""))
        if step.kind == ACKNOWLEDGED:
            _acknowledge(transaction, number, step.at, step.text)
    elif step.early:
        transaction.run(
            "INSERT INTO incident_early (device_id, key, at, kind, text) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (step.device_id, step.key, step.at, step.kind, step.text),
        )


def _acknowledge(transaction: Transaction, number: int, at: float, text: str) -> None:
    transaction.run(
        "UPDATE incident SET acknowledged_at = COALESCE(acknowledged_at, ?), acknowledged_by = ? WHERE number = ?",
        (at, parted(text)[1], number),
    )


def _belongs_to(transaction: Transaction, step: Add) -> int | None:
    """Return the incident that a line belongs to. One that is early for its exporter another may have opened."""
    if step.outage is not None:
        return _number(transaction, step.device_id, step.outage)
    if step.early:
        query = "SELECT number FROM incident WHERE device_id = ? AND resolved_at IS NULL AND started_at <= ?"
        rows = transaction.rows(query, (step.device_id, step.at))
    else:
        query = (
            "SELECT number FROM incident WHERE device_id = ? AND started_at <= ? "
            "AND (resolved_at IS NULL OR resolved_at >= ?) ORDER BY outage DESC LIMIT 1"
        )
        rows = transaction.rows(query, (step.device_id, step.at, step.at - EARLY_FOR))
    return rows[0][0] if rows else None


def _number(transaction: Transaction, device_id: str, outage: int) -> int | None:
    rows = transaction.rows(_OF_OUTAGE, (device_id, outage))
    return rows[0][0] if rows else None


def _withdraw(transaction: Transaction, number: int, *keys: str) -> None:
    """Take back lines that turned out to be wrong."""
    for key in keys:
        transaction.run("DELETE FROM incident_entry WHERE incident = ? AND key = ?", (number, key))


def _entry(transaction: Transaction, number: int, key: str, entry: Entry, *, replace: bool = False) -> None:
    action = "UPDATE SET " + _NEW_ENTRY if replace else "NOTHING"
    *words, public, next_update_at = msgspec.structs.astuple(entry)
    transaction.run(f"{_ADD_ENTRY} DO {action}", (number, key, *words, int(public), next_update_at))
