"""`Contents` (see `moving`) of a PostgreSQL database."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec
import psycopg
from psycopg import sql

from exporter.domain.identity import Identity
from exporter.errors import ConfigError
from exporter.journal.moving import PAGE, Marks
from exporter.journal.postgres.address import place
from exporter.journal.postgres.advice import advice
from exporter.journal.postgres.names import digest
from exporter.journal.postgres.schema import migrate
from exporter.journal.postgres.transaction import kept

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from exporter.journal.moving import Page
    from exporter.journal.port import Piece
    from exporter.journal.postgres.link import Connection

_OWN: Final = ["schema_version", "piece", "lock_row", "turn", "saved", "lease"]
"""Tables of the schema itself, of the marks, and of who leads."""
_COLUMNS: Final = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name <> ALL (%s) AND (table_name, column_name) <> ('identity', 'digest')
ORDER BY table_name, ordinal_position
"""
_RISING: Final = """
SELECT column_name FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = %s AND is_identity = 'YES'
"""


@contextmanager
def open_contents(given: Mapping[str, str], pieces: Sequence[Piece]) -> Iterator[PostgresContents]:
    """Open a database, its schema brought up to date; what is written is kept if nothing is raised.

    ConfigError: an exporter uses it. JournalUnavailable.
    """
    try:
        with psycopg.connect(**given, autocommit=True, prepare_threshold=None) as connection:  # type: ignore[arg-type]
            migrate(connection, pieces)
            with connection.transaction():
                connection.execute("SET LOCAL synchronous_commit = on")
                _alone(connection, given)
                yield PostgresContents(connection)
    except psycopg.Error as error:
        raise advice(error, given) from error


def _alone(connection: Connection, given: Mapping[str, str]) -> None:
    """Let nobody append any more. ConfigError where an exporter runs."""
    connection.execute("SET LOCAL lock_timeout = '5s'")
    connection.execute("SELECT FROM lock_row FOR UPDATE")
    if connection.execute("SELECT FROM lease WHERE until > clock_timestamp()").fetchall():
        raise ConfigError(f"storage.url: an exporter is using {place(given)}; stop all of them")


class PostgresContents:
    """See the module."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def tables(self) -> dict[str, list[str]]:
        """Return the columns of every table (see `Contents`)."""
        found: dict[str, list[str]] = {}
        for table, column in self._connection.execute(_COLUMNS, (_OWN,)):
            found.setdefault(table, []).append(column)
        return found

    def count(self, table: str) -> int:
        """Return how many rows a table has."""
        return int(self._one(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))[0])

    def read(self, table: str, columns: Sequence[str]) -> Iterator[Page]:
        """Yield all rows of a table."""
        query = sql.SQL("SELECT {} FROM {}").format(_names(columns), sql.Identifier(table))
        with self._connection.cursor("moving") as cursor:
            cursor.execute(query)
            while page := cursor.fetchmany(PAGE):
                yield page

    def kept(self, rows: Page) -> Page:
        """Return rows as this database can keep them: its texts have no character zero."""
        if b"\\u0000" not in msgspec.json.encode(rows):
            return rows
        return [tuple(map(kept, row)) for row in rows]

    def write(self, table: str, columns: Sequence[str], pages: Iterable[Page]) -> None:
        """Add rows to a table."""
        if table == "identity":
            columns, pages = [*columns, "digest"], _with_digests(columns, pages)
        into = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), _names(columns))
        with self._connection.cursor() as cursor, cursor.copy(into) as copy:
            for page in pages:
                for row in page:
                    copy.write_row(row)
        for (column,) in self._connection.execute(_RISING, (table,)).fetchall():
            newest = sql.SQL("SELECT setval(pg_get_serial_sequence({}, {}), max({})) FROM {}")
            name = sql.Identifier(column)
            self._connection.execute(newest.format(table, column, name, sql.Identifier(table)))

    def marks(self) -> Marks:
        """Return the marks."""
        at_ms, exposing_until, heard = self._one(
            "SELECT at_ms, exposing_until_ms, heard_ms FROM turn ORDER BY number DESC LIMIT 1"
        )
        saved, saved_ms, pruned_before = self._one("SELECT seq, saved_ms, pruned_before FROM saved")
        last, count = self._one("SELECT max(seq), count(*) FROM event WHERE seq > %s", saved)
        last = last or saved
        return Marks(last, last - saved - count, at_ms, exposing_until, heard, saved, saved_ms, pruned_before)

    def set_marks(self, marks: Marks) -> None:
        """Set the marks."""
        self._connection.execute(
            "INSERT INTO turn SELECT max(number) + 1, %s, %s, %s, false, '', %s FROM turn",
            (marks.last, marks.at_ms, marks.exposing_until_ms, marks.heard_ms),
        )
        self._connection.execute(
            "UPDATE saved SET seq = %s, saved_ms = %s, pruned_before = %s",
            (marks.saved_seq, marks.saved_ms, marks.pruned_before),
        )

    def _one(self, query: str | sql.Composed, *values: object) -> tuple[Any, ...]:
        return self._connection.execute(query, values).fetchall()[0]


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _with_digests(columns: Sequence[str], pages: Iterable[Page]) -> Iterator[Page]:
    places = [columns.index(name) for name in Identity.__struct_fields__]
    for page in pages:
        yield [(*row, digest(Identity(*(str(row[place]) for place in places)))) for row in page]
