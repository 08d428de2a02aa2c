"""One statement in one call of the server's own library (libpq), for the append, which counts.

A cursor needs the interpreter several times for a statement, and each time the event loop has to let it go; this needs
it before and after. Values are given and returned as the texts that the server writes and reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg import errors
from psycopg.pq import DiagnosticField, ExecStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from psycopg.pq.abc import PGresult

    from exporter.journal.postgres.link import Connection

Row = list[bytes | None]


def call(connection: Connection, statement: bytes, values: Sequence[Any]) -> list[Row]:
    """Run a statement with $1, $2, … and return its rows. psycopg.Error, as from a cursor."""
    given = [None if value is None else str(value).encode() for value in values]
    result = connection.pgconn.exec_params(statement, given)
    if result.status != ExecStatus.TUPLES_OK:
        raise _error(result)
    columns = range(result.nfields)
    return [[result.get_value(row, column) for column in columns] for row in range(result.ntuples)]


def _error(result: PGresult) -> psycopg.Error:
    """Return what the server says; without a code where the connection ended."""
    state = result.error_field(DiagnosticField.SQLSTATE)
    text = result.error_field(DiagnosticField.MESSAGE_PRIMARY) or result.error_message
    try:
        kind = psycopg.OperationalError if state is None else errors.lookup(state.decode())
    except KeyError:  # one that the driver does not know
        kind = psycopg.DatabaseError
    return kind(text.decode(errors="replace"))
