"""Looks at what a database was left as, before anything is written to it; and through all of it, while it is in use."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from exporter.errors import ConfigError, JournalDamaged, JournalUnavailable
from exporter.journal.sqlite import meta, wal
from exporter.journal.sqlite.connecting import ERRORS

if TYPE_CHECKING:
    from pathlib import Path

ADVICE: Final = "stop the exporter and put the newest backup in its place"
_BROKEN: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PAGE_SIZE: Final = slice(16, 18)
_VERSIONS: Final = slice(18, 20)
_WITHOUT_WAL: Final = b"\x01\x01"
_MISTAKEN: Final = """
SELECT count(*) FROM event e LEFT JOIN device d ON d.id = e.device LEFT JOIN identity i ON i.id = e.identity
WHERE d.device_id IS NULL OR d.device_id IS NOT i.device_id
"""


def look(path: Path, file: int) -> int:
    """Refuse what an unclean end, a restored backup or a bad disk left damaged. `file` is the open database.

    Returns how many transactions are lost since the log beside it is damaged before its end. ConfigError,
    JournalDamaged, sqlite3.Error. Does nothing after a clean stop, which leaves a single file.
    """
    log = path.with_name(f"{path.name}-wal")
    if not log.exists() or not log.stat().st_size:
        return 0
    head = os.pread(file, 100, 0)
    if head[_VERSIONS] == _WITHOUT_WAL:  # as `backup` makes them
        raise _foreign(path, "is a backup")
    ended = wal.commits(log, int.from_bytes(head[_PAGE_SIZE]))
    with closing(_read(path)) as connection:  # one that may write would write at its end
        _check(path, connection)
        if not _is_its_log(path, connection):
            raise _foreign(path, "is an older or another database")
        known = wal.known(path.with_name(f"{path.name}-shm"))
    return sum(number > known for number in ended)


def check(path: Path) -> None:
    """Look through the whole database: tables against their indices, events against their devices.

    JournalDamaged, JournalUnavailable.
    """
    try:
        with closing(_read(path)) as connection:
            _check(path, connection)
            (mistaken,) = connection.execute(_MISTAKEN).fetchone()
            if mistaken:
                raise damaged(path, f"{mistaken} events are of no device, or of two")
    except ERRORS as error:
        raise damaged(path, error) if is_damage(error) else JournalUnavailable(f"{path}: {error}") from error


def _check(path: Path, connection: sqlite3.Connection) -> None:
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise damaged(path, verdict)


def _is_its_log(path: Path, connection: sqlite3.Connection) -> bool:
    """Whether the log was written beside this file: both have the number of the same run of the exporter."""
    try:
        with closing(_read(path, "&immutable=1")) as alone:  # without the log
            mark = meta.get(alone, meta.RUN)
    except ERRORS:  # too young, or a kill left it half written: it needs its log
        return True
    return mark in (meta.get(connection, meta.RUN), meta.get(connection, meta.RUN_BEFORE))


def _read(path: Path, more: str = "") -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{more}", uri=True)


def _foreign(path: Path, what: str) -> ConfigError:
    return ConfigError(
        f"storage.url: {path} {what}, and what lies beside it belongs to another one: "
        f"delete {path.name}-wal and {path.name}-shm"
    )


def is_damage(error: sqlite3.Error | UnicodeDecodeError) -> bool:
    """Whether SQLite says that the file's content is not what it wrote."""
    broken = getattr(error, "sqlite_errorcode", 0) & 0xFF in _BROKEN or "decode to UTF-8" in str(error)
    return broken or isinstance(error, UnicodeDecodeError)


def damaged(path: Path, what: object) -> JournalDamaged:
    """Return the error that says in one line what was found and what to do."""
    return JournalDamaged(f"{path}: {' '.join(str(what).split())}: {ADVICE}")
