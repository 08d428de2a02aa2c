"""Acknowledgements in the journal, with their lines in the timelines of incidents: one transaction each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from exporter.incidents import store as incidents
from exporter.journal.port import Piece

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.incidents.model import Add
    from exporter.journal.port import Rows, Transaction

PIECE: Final = Piece(
    "acknowledge",
    (
        """
        CREATE TABLE acknowledgement (
            number {serial}, alert TEXT NOT NULL, subject TEXT NOT NULL, anchor {bigint} NOT NULL, at {real} NOT NULL,
            author TEXT NOT NULL, note TEXT NOT NULL, until {real} NOT NULL, ended_at {real},
            ending TEXT NOT NULL DEFAULT '');
        CREATE INDEX acknowledgement_of ON acknowledgement (alert, subject);
        """,
    ),
)

OVER: Final = "over"
"""The outage ended."""
TAKEN_OVER: Final = "taken_over"
UNDONE: Final = "undone"
EXPIRED: Final = "expired"
_COLUMNS: Final = "number, alert, subject, anchor, at, author, note, until, ended_at, ending"


class Acknowledgement(msgspec.Struct, frozen=True):
    """Somebody has, or had, an outage."""

    number: int
    alert: str
    subject: str
    anchor: int
    at: float
    author: str
    note: str
    until: float
    ended_at: float | None = None
    ending: str = ""
    """Why they do not have it any more: one of the four above, or empty."""

    def says(self, author: str, note: str, seconds: float) -> bool:
        """Return whether it says the same as another form."""
        return (self.author, self.note) == (author, note) and abs(self.until - self.at - seconds) < 1


def take(transaction: Transaction, given: Acknowledgement, lines: Sequence[Add]) -> Acknowledgement:
    """Let somebody have an outage, whoever has it; return it with its number."""
    _end(transaction, given.alert, given.subject, given.at, TAKEN_OVER)
    # who is asked again answers: what ran out before is no reminder any more
    transaction.run(
        "UPDATE acknowledgement SET ending = ? WHERE alert = ? AND subject = ? AND ending = ?",
        (TAKEN_OVER, given.alert, given.subject, EXPIRED),
    )
    rows = transaction.rows(
        "INSERT INTO acknowledgement (alert, subject, anchor, at, author, note, until) VALUES (?, ?, ?, ?, ?, ?, ?) "
        "RETURNING number",
        (given.alert, given.subject, given.anchor, given.at, given.author, given.note, given.until),
    )
    incidents.apply(transaction, lines)
    return msgspec.structs.replace(given, number=rows[0][0])


def end(transaction: Transaction, number: int, at: float, ending: str, lines: Sequence[Add]) -> bool:
    """End an acknowledgement; False if it was over before. One that ran out can be over, too."""
    before = "(ended_at IS NULL OR ending = ?)" if ending == OVER else "(ended_at IS NULL AND ending <> ?)"
    changed = transaction.run(
        f"UPDATE acknowledgement SET ended_at = COALESCE(ended_at, ?), ending = ? WHERE number = ? AND {before}",  # noqa: S608 - constants
        (at, ending, number, EXPIRED if ending == OVER else OVER),
    )
    if changed:
        incidents.apply(transaction, lines)
    return changed > 0


def load(transaction: Transaction) -> list[Acknowledgement]:
    """Return what somebody has, and what ran out and nobody has yet."""
    where = "ended_at IS NULL OR ending = ?"
    rows = transaction.rows(f"SELECT {_COLUMNS} FROM acknowledgement WHERE {where} ORDER BY number", (EXPIRED,))  # noqa: S608
    return [_read(row) for row in rows]


def last(tables: Rows, alert: str, subject: str, anchor: int) -> Acknowledgement | None:
    """Return who had an outage last."""
    where = "alert = ? AND subject = ? AND anchor = ? AND ending <> ? ORDER BY number DESC LIMIT 1"
    query = f"SELECT {_COLUMNS} FROM acknowledgement WHERE {where}"  # noqa: S608 - constants
    rows = tables.rows(query, (alert, subject, anchor, UNDONE))
    return _read(rows[0]) if rows else None


def undone_at(tables: Rows, number: int) -> float | None:
    """Return when somebody took an acknowledgement back; None: nobody did."""
    rows = tables.rows("SELECT ended_at FROM acknowledgement WHERE number = ? AND ending = ?", (number, UNDONE))
    return rows[0][0] if rows else None


def prune(transaction: Transaction, before: float) -> None:
    """Delete what ended before a time."""
    transaction.run("DELETE FROM acknowledgement WHERE ended_at < ? AND ending <> ?", (before, EXPIRED))


def _end(transaction: Transaction, alert: str, subject: str, at: float, ending: str) -> None:
    transaction.run(
        "UPDATE acknowledgement SET ended_at = ?, ending = ? WHERE alert = ? AND subject = ? AND ended_at IS NULL",
        (at, ending, alert, subject),
    )


def _read(row: tuple[Any, ...]) -> Acknowledgement:
    return Acknowledgement(*row)
