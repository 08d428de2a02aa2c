"""What the standard library lacks for files that must last."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_once(path: Path, content: bytes) -> None:
    """Make a file of mode 0600 that is there whole or not at all, also after a crash; its folder is made, too.

    One that is there, by another process in the meantime perhaps, stays as it is. OSError where that fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


def _publish(temporary: Path, path: Path) -> None:
    try:
        path.hardlink_to(temporary)  # unlike a rename it never replaces another process's file
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        temporary.rename(path)


def sync_directory(directory: Path) -> None:
    """Make names that were given or taken away in a directory durable. OSError where that fails."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def identify(path: Path) -> tuple[int, int] | None:
    """Return which file it is, device and inode; None where there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - on the path of every commit, and twice as fast
    except OSError:
        return None
    return status.st_dev, status.st_ino
