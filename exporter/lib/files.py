"""What the standard library lacks for files that must last."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


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
