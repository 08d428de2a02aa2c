"""A storage URL to its implementation: the one place that knows which databases there are.

A database is a folder beside this module with a module `storage`, and a line in `_SCHEMES`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from exporter.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from exporter.journal.moving import Contents
    from exporter.journal.port import Journal, Piece, Reader


class Storage(Protocol):
    """One kind of database. All raise ConfigError for a URL that they cannot use."""

    def check(self, url: str) -> None:
        """Look at a URL, and at nothing else. ConfigError says what is allowed."""

    def journal(self, url: str, clock: Callable[[], float], pieces: Sequence[Piece]) -> Journal:
        """See `open_storage`."""

    def reader(self, url: str) -> Reader:
        """See `open_reader`."""

    def contents(self, url: str, pieces: Sequence[Piece], *, new: bool) -> AbstractContextManager[Contents]:
        """See `open_contents`."""

    def backup(self, url: str, target: Path) -> int:
        """See `backup`."""

    def folder(self, url: str) -> Path | None:
        """See `data_directory`; need not exist."""


def _sqlite() -> Storage:
    from exporter.journal.sqlite import storage  # noqa: PLC0415 - each is loaded by those who use it

    return storage


def _postgres() -> Storage:
    try:
        from exporter.journal.postgres import storage  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        extra = "pip install 'chat-device-exporter[postgres]'"
        raise ConfigError(f"storage.url: PostgreSQL needs a package that is not installed: {extra}") from None
    return storage


_SCHEMES: Final = {"sqlite": _sqlite, "postgresql": _postgres, "postgres": _postgres}
EXPECTED: Final = "expected sqlite:///path/of/file.db or postgresql://USER:PASSWORD@HOST/DATABASE"


def check(url: str) -> None:
    """Look whether a URL names a database, without looking for it. ConfigError says what is allowed."""
    _storage(url).check(url)


def open_storage(url: str, clock: Callable[[], float], pieces: Sequence[Piece]) -> Journal:
    """Return the journal of a storage URL, not started, with the features' pieces of the schema. ConfigError.

    `clock` gives Unix seconds; a database with a clock of its own goes by that.
    """
    return _storage(url).journal(url, clock, pieces)


def open_reader(url: str) -> Reader:
    """Open the journal for reading. ConfigError for a bad URL, JournalUnavailable if there is none."""
    return _storage(url).reader(url)


def open_contents(url: str, pieces: Sequence[Piece], *, new: bool) -> AbstractContextManager[Contents]:
    """Open a database that no exporter uses, to move what is in it; `new`: it may be made.

    ConfigError, JournalUnavailable.
    """
    return _storage(url).contents(url, pieces, new=new)


def backup(url: str, target: Path) -> int:
    """Copy the journal, also while an exporter uses it, to a new file; return its size in bytes. ExporterError."""
    return _storage(url).backup(url, target)


def storage_folder(url: str) -> Path | None:
    """Return the folder in which the database and generated files are; None: it is elsewhere, and shared."""
    return _storage(url).folder(url)


def data_directory(url: str) -> Path | None:
    """Return where generated files are kept, made if need be; None: nowhere, as others must know them, too.

    ConfigError.
    """
    directory = storage_folder(url)
    try:
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"storage.url: cannot write in {directory}: {error.strerror}") from error
    return directory


def _storage(url: str) -> Storage:
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise ConfigError(f"storage.url: {EXPECTED}")
    return _SCHEMES[scheme]()
