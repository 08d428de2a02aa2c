"""One connection to the server, used by one thread at a time, with deadlines.

A deadline shuts the socket down and never asks the server to cancel: a commit that waits for its standby would be cut
short by that, and look done. What the server was at then goes on there; nobody knows its outcome.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg

from exporter.errors import JournalUnavailable
from exporter.journal.postgres.address import hidden, place
from exporter.journal.postgres.advice import Hopeless, advice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Connection = psycopg.Connection[tuple[Any, ...]]

_Result = TypeVar("_Result")

AGAIN: Final = 1.0
"""Seconds until a server that could not be reached is tried again; meanwhile everything fails at once."""
PREPARATION: Final = 5.0
"""Seconds for what is done with a new connection first."""
_ISOLATION: Final = "read committed"
_LOST: Final = frozenset({None, "57P01", "57P02", "57P03", "25006", "08000", "08003", "08006"})
"""SQLSTATEs of a connection that is no use any more; None: the driver noticed it."""


class Lost(JournalUnavailable):
    """The connection ended, or leads to a server that takes no writes any more."""


class Link:
    """See the module. `begun` is called with each new connection before anything else uses it."""

    def __init__(
        self, given: Mapping[str, str], begun: Callable[[Connection], None] = lambda _connection: None
    ) -> None:
        self._given = given
        self._begun = begun
        self._connection: Connection | None = None
        self._guard = threading.Lock()  # between the thread that works and whoever looks at the deadline
        self._due: float | None = None
        self._cut = False
        self._trouble = ""
        self._again = 0.0
        self._connecting = False
        self.level = "on"
        """How durable a transaction has to be made."""

    @property
    def trouble(self) -> str:
        """Why there is no connection, in a sentence; empty while there is one, or before the first."""
        return self._trouble

    @property
    def away(self) -> str:
        """Why it is no use to wait for a connection now; empty: it may be tried."""
        return self._trouble if self._connecting or time.monotonic() < self._again else ""

    def run(self, job: Callable[[Connection], _Result], patience: float | None, *, again: bool = False) -> _Result:
        """Run a job for so many seconds. JournalUnavailable: the outcome is unknown.

        `again`: the job may be run twice, so that a connection that ended while nobody used it does no harm.
        """
        try:
            return self._run(job, patience)
        except Lost:
            if not again:
                raise
        return self._run(job, patience)

    def look(self) -> None:
        """Shut the socket down if a deadline has passed. From any thread."""
        with self._guard:
            if self._due is not None and time.monotonic() >= self._due and self._connection is not None:
                _shut_down(self._connection.pgconn.socket)
                self._due, self._cut = None, True

    def drop(self) -> None:
        """Close the connection, without a word to a server that may not answer."""
        with self._guard:
            connection, self._connection, self._due = self._connection, None, None
        if connection is not None:
            connection.pgconn.finish()

    def _run(self, job: Callable[[Connection], _Result], patience: float | None) -> _Result:
        connection = self._connection or self._connect()
        with self._guard:
            self._due, self._cut = (None if patience is None else time.monotonic() + patience), False
        try:
            result = job(connection)
        except psycopg.Error as error:
            self.drop()  # so that the next one finds nothing half done
            raise self._failed(error) from error
        except BaseException:
            if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                self.drop()
            raise
        finally:
            with self._guard:
                self._due = None
        if self._cut:  # too late to matter
            self.drop()
        return result

    def _connect(self) -> Connection:
        self._connecting, self._cut = True, False
        try:
            connection = psycopg.connect(**self._given, autocommit=True, prepare_threshold=None)  # type: ignore[arg-type]
            with self._guard:
                self._connection, self._due = connection, time.monotonic() + PREPARATION
            self._look_at(connection)
            self._begun(connection)
        except psycopg.Error as error:
            self.drop()
            failure = self._failed(error) if self._cut else advice(error, self._given)
            self._trouble, self._again = str(failure), time.monotonic() + AGAIN
            raise failure from error
        except BaseException:
            self.drop()
            raise
        finally:
            self._connecting = False
        self._trouble, self._again = "", 0.0
        return connection

    def _look_at(self, connection: Connection) -> None:
        """See what the server promises by itself."""
        query = "SELECT current_setting('synchronous_commit'), current_setting('default_transaction_isolation')"
        level, isolation = connection.execute(query).fetchall()[0]
        if isolation != _ISOLATION:
            raise Hopeless(
                f"{place(self._given)}: default_transaction_isolation is '{isolation}' there: "
                f"ALTER ROLE {self._given.get('user', 'exporter')} SET default_transaction_isolation = '{_ISOLATION}'"
            )
        self.level = "remote_apply" if level == "remote_apply" else "on"

    def _failed(self, error: psycopg.Error) -> JournalUnavailable:
        if self._cut:
            self._trouble = f"{place(self._given)}: does not answer"
            return JournalUnavailable(self._trouble)
        if error.sqlstate in _LOST:
            return Lost(f"{place(self._given)}: {hidden(error, self._given)}")
        return advice(error, self._given)


def _shut_down(number: int) -> None:
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(number)) as found:
        found.shutdown(socket.SHUT_RDWR)
