"""Looks at what a database was left as, before anything is written to it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from exporter.errors import ConfigError, JournalDamaged

if TYPE_CHECKING:
    from pathlib import Path

ADVICE: Final = "stop the exporter and put the newest backup in its place"
_VERSIONS: Final = slice(18, 20)
_WITHOUT_WAL: Final = b"\x01\x01"


def look(path: Path, file: int) -> None:
    """Refuse what an unclean end, a restored backup or a bad disk left damaged. `file` is the open database.

    ConfigError, JournalDamaged, sqlite3.Error. Does nothing after a clean stop, which leaves a single file.
    """
    wal = path.with_name(f"{path.name}-wal")
    if not wal.exists() or not wal.stat().st_size:
        return
    if os.pread(file, 100, 0)[_VERSIONS] == _WITHOUT_WAL:  # as `backup` makes them
        raise ConfigError(
            f"storage.url: {path} is a backup, and what lies beside it belongs to another database: "
            f"delete {wal.name} and {path.name}-shm"
        )
    uri = f"{path.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:  # one that may write would write at its end
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise damaged(path, verdict)


def damaged(path: Path, what: object) -> JournalDamaged:
    """Return the error that says what to do."""
    return JournalDamaged(f"{path}: {str(what).strip()}: {ADVICE}")
