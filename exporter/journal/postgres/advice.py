"""What the driver or the server says, as a sentence that says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import errors

from exporter.errors import JournalUnavailable
from exporter.journal.postgres.address import hidden, place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from psycopg import Error


class Hopeless(JournalUnavailable):
    """Trying again does not help: a person must change something."""


_REFUSED: Final = (
    ("password authentication failed", "the password is wrong, or there is no such user: see storage.url"),
    ("no password supplied", "a password is needed: put it into the URL, and the URL into storage.url_file"),
    ("no pg_hba.conf entry", "the server does not let this user in from here: add a line to its pg_hba.conf"),
    ("does not exist", "there is no such user or database: create it, or correct storage.url"),
    ("permission denied for database", "the user may not connect: GRANT CONNECT ON DATABASE … TO …"),
)
"""What a server answers to a connection, by its own words: the driver keeps no code of it."""
_READ_ONLY: Final = "takes no writes: it is a standby, or default_transaction_read_only is on"


def advice(error: Error, given: Mapping[str, str]) -> JournalUnavailable:
    """Return what to tell; Hopeless where trying again cannot help."""
    text, where = hidden(error, given), place(given)
    if isinstance(error, errors.InsufficientPrivilege):
        user = given.get("user", "the user")
        return Hopeless(f"{where}: {user} has not the rights: GRANT CREATE, USAGE ON SCHEMA public TO {user} ({text})")
    if error.sqlstate is None:
        for words, what in _REFUSED:
            if words in text:
                return Hopeless(f"{where}: {what} ({text})")
        if "read-only" in text or "not accepting" in text or "hot standby" in text:
            return JournalUnavailable(f"{where}: {_READ_ONLY} ({text})")
        return JournalUnavailable(f"{where}: cannot be reached: see storage.url, and whether it runs ({text})")
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return JournalUnavailable(f"{where}: {_READ_ONLY} ({text})")
    return JournalUnavailable(f"{where}: {text}")
