"""SQLite as a `Storage` (see there)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from exporter.errors import ConfigError
from exporter.journal.sqlite.backup import backup as backup_file
from exporter.journal.sqlite.contents import open_contents
from exporter.journal.sqlite.journal import SqliteJournal
from exporter.journal.sqlite.reader import SqliteReader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from exporter.journal.moving import Contents
    from exporter.journal.port import Journal, Piece, Reader

_PREFIX = "sqlite:///"


def check(url: str) -> None:
    """Look at a URL `sqlite:///relative` or `sqlite:////absolute`."""
    file(url)


def journal(url: str, clock: Callable[[], float], pieces: Sequence[Piece]) -> Journal:
    """Return the journal of a file."""
    return SqliteJournal(file(url), clock, pieces)


def reader(url: str) -> Reader:
    """Open a file for reading."""
    return SqliteReader(file(url))


def contents(url: str, pieces: Sequence[Piece], *, new: bool) -> AbstractContextManager[Contents]:
    """Open a file to move what is in it."""
    return open_contents(file(url), pieces, new=new)


def backup(url: str, target: Path) -> int:
    """Copy a file."""
    return backup_file(file(url), target)


def folder(url: str) -> Path:
    """Return where the file is."""
    return file(url).parent


def file(url: str) -> Path:
    """Return the file of a URL. ConfigError."""
    path = url.removeprefix(_PREFIX)
    if path == url or not path.strip("/"):
        raise ConfigError("storage.url: expected sqlite:///path/of/file.db")
    return Path(path)
