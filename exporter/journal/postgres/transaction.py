"""`Transaction` (see the port) on a connection of PostgreSQL. Whoever made it begins and commits."""

from __future__ import annotations

import contextlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import psycopg

from exporter.errors import NotLeading
from exporter.journal.upsert import on_conflict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exporter.journal.port import Transaction
    from exporter.journal.postgres.link import Connection

_Result = TypeVar("_Result")
_Value = TypeVar("_Value")

SLICE: Final = 500
"""Rows in one statement, as in SQLite."""
_FENCE: Final = "SELECT 1 FROM lease WHERE name = 'leader' AND epoch = %s AND holder = %s FOR SHARE"


class PostgresTransaction:
    """Raises psycopg.Error, which the journal turns into JournalUnavailable."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        return self._connection.execute(translated(sql), [kept(value) for value in values]).fetchall()

    def run(self, sql: str, values: Sequence[object] = ()) -> int:
        """Run a statement; return how many rows it changed."""
        return self._connection.execute(translated(sql), [kept(value) for value in values]).rowcount

    def many(
        self,
        table: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[object]],
        *,
        key: Sequence[str],
        replace: bool = True,
    ) -> None:
        """Insert rows, some in one statement, whose types are the table's own."""
        statement = _insert(table, columns, key, replace=replace)
        for start in range(0, len(rows), SLICE):
            some = [dict(zip(columns, row, strict=True)) for row in rows[start : start + SLICE]]
            once = {tuple(row[column] for column in key): row for row in (some if replace else reversed(some))}
            self._connection.execute(statement, (msgspec.json.encode(list(once.values())).decode(),))


def in_transaction(
    connection: Connection, level: str, job: Callable[[Transaction], _Result], fence: tuple[int, str] | None = None
) -> _Result:
    """Run a job in one transaction. `fence`, epoch and holder: NotLeading, and nothing done, where another leads."""
    # one message; a paused exporter must not keep others from what it has locked
    connection.execute(
        f"BEGIN; SET LOCAL synchronous_commit = {level}; SET LOCAL idle_in_transaction_session_timeout = '5s'"
    )
    try:
        if fence is not None:
            _check(connection, *fence)
        result = job(PostgresTransaction(connection))
    except BaseException:
        with contextlib.suppress(psycopg.Error):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return result


def _check(connection: Connection, epoch: int, holder: str) -> None:
    if not connection.execute(_FENCE, (epoch, holder)).fetchall():
        raise NotLeading("another exporter leads")


@lru_cache(maxsize=512)
def translated(sql: str) -> str:
    """Return a statement with the driver's placeholders."""
    return sql.replace("%", "%%").replace("?", "%s")


def kept(value: _Value) -> _Value | str:
    """Return a value as the server can keep it: a text there has no character zero."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value


def _insert(table: str, columns: Sequence[str], key: Sequence[str], *, replace: bool) -> str:
    names = ", ".join(columns)
    return (
        f"INSERT INTO {table} ({names}) SELECT {names} FROM json_populate_recordset(NULL::{table}, %s::json) "  # noqa: S608
        f"{on_conflict(columns, key, replace=replace)}"
    )
