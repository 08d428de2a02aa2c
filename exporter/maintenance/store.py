"""The windows that operators gave, in the journal. Jobs for `Recorder.transact`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from exporter.journal.port import Piece
from exporter.maintenance.windows import Window

if TYPE_CHECKING:
    from exporter.journal.port import Transaction

PIECE: Final = Piece(
    "maintenance",
    (
        """
        CREATE TABLE maintenance (
            number {serial}, created_at {real} NOT NULL, ended_at {real}, spec TEXT NOT NULL);
        """,
    ),
)


class Stored(msgspec.Struct, frozen=True):
    """A window of an operator. `ended_at` is set where it was ended by hand, Unix seconds."""

    number: int
    window: Window
    ended_at: float | None = None


def load(transaction: Transaction) -> list[Stored]:
    """Return all windows, also those that are over."""
    rows = transaction.rows("SELECT number, spec, ended_at FROM maintenance ORDER BY number")
    return [Stored(number, msgspec.json.decode(spec, type=Window), ended_at) for number, spec, ended_at in rows]


def add(transaction: Transaction, window: Window, now: float) -> int:
    """Keep a window; return its number."""
    spec = msgspec.json.encode(window).decode()
    statement = "INSERT INTO maintenance (created_at, spec) VALUES (?, ?) RETURNING number"
    number: int = transaction.rows(statement, (now, spec))[0][0]
    return number


def end(transaction: Transaction, number: int, now: float) -> None:
    """Note that a window was ended by hand."""
    transaction.run("UPDATE maintenance SET ended_at = ? WHERE number = ? AND ended_at IS NULL", (now, number))
