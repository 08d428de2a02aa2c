"""Keeps a second writer away from a database: the lock is on the file itself, whatever name leads to it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from pathlib import Path
from typing import Final

from exporter.errors import ConfigError, JournalUnavailable
from exporter.lib.files import identify

_LOCKS_APART: Final = sys.platform == "linux"
"""Whether `flock` and the locks that SQLite takes on the same file know nothing of each other."""


class Lock:
    """Held from the beginning until `release`. ConfigError: somebody else has it."""

    def __init__(self, path: Path) -> None:
        """Make the database's file if there is none."""
        self._path = path
        self.lost = ""
        """Why the file was no longer the one under its name when that was looked at last; empty: it was."""
        try:
            # names of devices and businesses; SQLite gives the files beside it the same mode
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except PermissionError as error:
            raise ConfigError(f"storage.url: cannot write {path}: {error.strerror}") from error
        except OSError as error:
            raise JournalUnavailable(f"{path}: {error.strerror}") from error
        self._held = self._file
        try:
            self._refuse_former_version()
            if not _LOCKS_APART:
                lock = path.resolve().with_name(f"{path.resolve().name}.writer")
                self._held = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            _take(self._held, path)
        except BaseException:
            self.release()
            raise

    @property
    def file(self) -> int:
        """The database's open file; close none other of it in this process, or SQLite loses its locks."""
        return self._file

    def check(self) -> None:
        """Refuse a file that was removed or replaced: what is written to the former one nobody will ever read."""
        status = os.fstat(self._file)
        same = identify(self._path) == (status.st_dev, status.st_ino)
        self.lost = "" if same else f"{self._path}: was removed or replaced; put it back, or restart the exporter"
        if self.lost:
            raise JournalUnavailable(self.lost)

    def release(self) -> None:
        """Let go of it. Only once SQLite has closed the file: closing any descriptor of it drops SQLite's locks."""
        for file in {self._file, self._held}:
            os.close(file)

    def _refuse_former_version(self) -> None:
        """Look for a former version, which locks a file beside the database instead."""
        beside = self._path.with_name(f"{self._path.name}.lock")
        with contextlib.suppress(FileNotFoundError):
            file = os.open(beside, os.O_RDWR | os.O_CLOEXEC)
            try:
                _take(file, self._path)
                beside.unlink()
            finally:
                os.close(file)


def _take(file: int, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ConfigError(f"storage.url: another exporter{_holder(file)} is using {path}") from error


def _holder(file: int) -> str:
    """Return which process holds the lock, as far as the system tells; it only helps people."""
    inode = os.fstat(file).st_ino
    with contextlib.suppress(OSError):
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()
            if fields[1] == "FLOCK" and fields[5].endswith(f":{inode}"):
                return f" (pid {fields[4]})"
    return ""
