"""What the driver or the server says, as a sentence that says what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from psycopg import errors

from exporter.errors import JournalUnavailable
from exporter.journal.postgres.address import hidden, place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from psycopg import Error


class Hopeless(JournalUnavailable):
    """Trying again does not help: a person must change something."""


_READ_ONLY: Final = "takes no writes: it is a standby, or default_transaction_read_only is on"
_CONNECTING: Final = (
    (Hopeless, r"invalid \S+ value", "storage.url has a setting with a value that there is not"),
    (
        Hopeless,
        "does not support SSL",
        "it speaks no TLS: turn it on there (ssl = on), or take sslmode out of storage.url",
    ),
    (
        Hopeless,
        "certificate verify|root cert|server cert",
        "its certificate is not to be trusted: see sslmode and sslrootcert in storage.url",
    ),
    (Hopeless, "password auth", "the password is wrong, or there is no such user: see storage.url"),
    (Hopeless, "no password", "a password is needed: put it into the URL, and the URL into storage.url_file"),
    (Hopeless, "pg_hba.conf", "the server does not let this user in from here: add a line to its pg_hba.conf"),
    (Hopeless, "does not exist", "there is no such user or database: create it, or correct storage.url"),
    (Hopeless, "denied for database", "the user may not connect: GRANT CONNECT ON DATABASE … TO …"),
    (JournalUnavailable, "too many|connection slots", "it has no connection left: raise max_connections there"),
    (JournalUnavailable, "read-only|not accepting|hot standby", _READ_ONLY),
    (JournalUnavailable, "", "cannot be reached: see storage.url, and whether it runs"),
)
"""What the driver or a server says to a connection has no code: some of its words, and what to tell; the first fits."""
_WORKING: Final = (
    (errors.ReadOnlySqlTransaction, _READ_ONLY),
    (
        errors.LockNotAvailable,
        (
            "somebody holds the journal's lock, a commit that waits for its standby or another program: "
            "pg_blocking_pids tells who"
        ),
    ),
    (
        (errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedFunction),
        "a part of the journal is missing there: stop all exporters and restore a backup",
    ),
)


def advice(error: Error, given: Mapping[str, str]) -> JournalUnavailable:
    """Return what to tell; Hopeless where trying again cannot help."""
    text, where = hidden(error, given), place(given)
    if isinstance(error, errors.InsufficientPrivilege):
        user = given.get("user", "the user")
        return Hopeless(f"{where}: {user} has not the rights: GRANT CREATE, USAGE ON SCHEMA public TO {user} ({text})")
    if error.sqlstate is None:
        kind, what = next((kind, what) for kind, words, what in _CONNECTING if re.search(words, text))
        return kind(f"{where}: {what} ({text})")
    for errors_, what in _WORKING:
        if isinstance(error, errors_):
            return JournalUnavailable(f"{where}: {what} ({text})")
    return JournalUnavailable(f"{where}: {text}")
