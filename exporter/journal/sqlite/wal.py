"""What lies in the log beside a database (SQLite's `-wal`): tells one that ends from one that is damaged before that.

SQLite reads it up to the first frame whose checksum is wrong and takes that for the end, as a kill or a power failure
leaves it. Frames of later transactions behind it show that it was not: they were on disk before their senders heard so.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_HEAD: Final = struct.Struct(">16x2I8x")  # two salts, new ones each time the log begins anew
_FRAME: Final = struct.Struct(">4x3I8x")  # the database's size after a commit, else 0; the log's two salts
_KNOWN: Final = struct.Struct("=16xI")  # in the index of the log: the last frame that SQLite takes


def commits(wal: Path, page_size: int) -> list[int]:
    """Return the number, from 1 on, of each frame that ended a transaction since the log last began anew.

    `page_size` as the database's head has it: 1 stands for 65536; 0: there is none yet.
    """
    content = wal.read_bytes()
    if len(content) < _HEAD.size:
        return []
    one, two = _HEAD.unpack_from(content)
    found: list[int] = []
    step = _FRAME.size + {0: 4096, 1: 65_536}.get(page_size, page_size)
    for number, place in enumerate(range(_HEAD.size, len(content) - step + 1, step), 1):
        size, first, second = _FRAME.unpack_from(content, place)
        if size and (first == one or second == two):  # or: a flipped bit in one of them
            found.append(number)
    return found


def known(shm: Path) -> int:
    """Return the last frame that SQLite takes, while it has the database open."""
    frames: int = _KNOWN.unpack_from(shm.read_bytes())[0]
    return frames
