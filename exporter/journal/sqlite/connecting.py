"""How every connection to a database is opened."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

ERRORS: Final = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite raises. Of a damaged schema it tells in its own words, which then are no text."""
BUSY: Final = 0.5
"""Seconds to wait for a lock that another program has on the database; then senders had better try again."""


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open an existing file in autocommit mode, WAL and full synchronisation. ERRORS where that fails."""
    mode = "ro" if read_only else "rw"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY
    )
    try:
        if not read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -32768")
    except BaseException:
        connection.close()
        raise
    return connection
