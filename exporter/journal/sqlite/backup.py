"""Copy the SQLite journal while the exporter writes to it.

The copy is one consistent state that holds every event acknowledged before the call: SQLite's backup API takes it
in one read transaction. The target appears under its name only when it is complete, checked and on disk. It is one
ordinary database file with mode 0600; restoring means to stop the exporter, remove the files whose names begin like
the journal's, put the copy in its place and start it again.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from exporter.errors import ExporterError
from exporter.journal.sqlite.connecting import ERRORS
from exporter.lib.files import sync_directory

if TYPE_CHECKING:
    from pathlib import Path


class BackupFailed(ExporterError):
    """The journal could not be copied; the target does not exist."""


def backup(db: Path, target: Path) -> int:
    """Copy the journal `db` to the new file `target`; return its size in bytes. BackupFailed says what was wrong."""
    if not db.is_file():
        raise BackupFailed(f"{db}: no journal there")
    if target.exists():
        raise BackupFailed(f"{target}: exists already")
    partial = target.with_name(f"{target.name}.partial")
    try:
        _copy(db, partial)
        _sync(partial)
        partial.rename(target)
        sync_directory(target.parent)
    except (OSError, *ERRORS, ExporterError) as error:
        partial.unlink(missing_ok=True)
        raise BackupFailed(f"{target}: {error}") from error
    return target.stat().st_size


def _copy(db: Path, partial: Path) -> None:
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600, exist_ok=False)
    with (
        closing(sqlite3.connect(f"{db.absolute().as_uri()}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(partial)) as copy,
    ):
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
        (verdict,) = copy.execute("PRAGMA quick_check").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"the copy is damaged: {verdict}")


def _sync(partial: Path) -> None:
    with partial.open("rb") as file:
        os.fsync(file.fileno())
