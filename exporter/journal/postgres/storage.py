"""PostgreSQL as a `Storage` (see there)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.errors import ConfigError
from exporter.journal.postgres.address import parameters
from exporter.journal.postgres.contents import open_contents
from exporter.journal.postgres.journal import PostgresJournal
from exporter.journal.postgres.reader import open_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from exporter.journal.moving import Contents
    from exporter.journal.port import Journal, Piece, Reader


def check(url: str) -> None:
    """Look at a URL `postgresql://…`."""
    parameters(url)


def journal(url: str, _clock: Callable[[], float], pieces: Sequence[Piece]) -> Journal:
    """Return the journal of a database, whose clock is the one of its server."""
    return PostgresJournal(url, pieces)


def reader(url: str) -> Reader:
    """Open a database for reading."""
    return open_reader(parameters(url))


def contents(url: str, pieces: Sequence[Piece], *, new: bool) -> AbstractContextManager[Contents]:  # noqa: ARG001
    """Open a database, which must be there in any case, to move what is in it."""
    return open_contents(parameters(url), pieces)


def backup(_url: str, _target: Path) -> int:
    """Refuse: the server has better means."""
    raise ConfigError("backup: a PostgreSQL database is backed up by its own means: pg_dump, or its operator's")


def folder(_url: str) -> Path | None:
    """Return None: several exporters share the database, on whatever machine."""
    return None
