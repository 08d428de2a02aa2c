"""A storage URL to its implementation: the one place that knows which databases there are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from exporter.errors import ConfigError
from exporter.journal.sqlite.backup import backup as sqlite_backup
from exporter.journal.sqlite.contents import open_contents as sqlite_contents
from exporter.journal.sqlite.journal import SqliteJournal
from exporter.journal.sqlite.reader import SqliteReader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from exporter.journal.moving import Contents
    from exporter.journal.port import Journal, Piece, Reader


def open_storage(url: str, clock: Callable[[], float], pieces: Sequence[Piece]) -> Journal:
    """Return the journal of a storage URL, not started, with the features' pieces of the schema. ConfigError.

    `clock` gives Unix seconds.
    """
    return SqliteJournal(Path(storage_path(url)), clock, pieces)


def open_reader(url: str) -> Reader:
    """Open the journal for reading. ConfigError for a bad URL, JournalUnavailable if there is none."""
    return SqliteReader(Path(storage_path(url)))


def backup(url: str, target: Path) -> int:
    """Copy the journal, also while an exporter uses it, to a new file; return its size in bytes. ExporterError."""
    return sqlite_backup(Path(storage_path(url)), target)


def open_contents(url: str, pieces: Sequence[Piece], *, new: bool) -> AbstractContextManager[Contents]:
    """Open a database that no exporter uses, to move what is in it; `new`: it may be made.

    ConfigError, JournalUnavailable.
    """
    return sqlite_contents(Path(storage_path(url)), pieces, new=new)


def storage_path(url: str) -> str:
    """Return the file of a storage URL `sqlite:///relative` or `sqlite:////absolute`. ConfigError for anything else."""
    prefix = "sqlite:///"
    if not url.startswith(prefix) or len(url) == len(prefix):
        raise ConfigError(f"storage.url: expected sqlite:///PATH, got {url!r}")
    return url[len(prefix) :]


def data_directory(url: str) -> Path:
    """Return where generated files are kept, made if need be: beside the database. ConfigError."""
    directory = Path(storage_path(url)).parent
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"storage.url: cannot write beside {storage_path(url)}: {error.strerror}") from error
    return directory
