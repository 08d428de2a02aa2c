"""The end of an INSERT that SQLite and PostgreSQL share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def on_conflict(columns: Sequence[str], key: Sequence[str], *, replace: bool) -> str:
    """Return what becomes of a row that is there (see `Transaction.many`)."""
    rest = ", ".join(f"{column} = excluded.{column}" for column in columns if column not in key)
    return f"ON CONFLICT ({', '.join(key)}) {f'DO UPDATE SET {rest}' if replace and rest else 'DO NOTHING'}"
