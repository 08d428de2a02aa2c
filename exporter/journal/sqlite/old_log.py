"""Takes over what former versions left in a log beside the database. They acknowledged events that are only there.

Two files of lines; a line is one batch of records in JSON, with a checksum and the number of its last record before it.
Behind the newest line stand older ones that the database has; their numbers tell. A torn or damaged line was never
acknowledged or is lost, and is left out.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Final
from zlib import crc32

import msgspec

from exporter.domain.identity import Identity
from exporter.domain.records import Append, Record
from exporter.domain.timeline import Kind
from exporter.errors import ConfigError, JournalUnavailable
from exporter.lib.files import sync_directory
from exporter.lib.logs import fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from exporter.journal.port import Numbered

log = logging.getLogger(__name__)


class _Line(msgspec.Struct, frozen=True, array_like=True):
    """Records that were appended together; the first one has the number `first`, the others follow."""

    first: int
    records: list[tuple[tuple[Identity, int, Kind, int, int], bool]]

    def numbered(self) -> list[Numbered]:
        return [(number, Record(*record)) for number, (record, _) in enumerate(self.records, self.first)]


_decode: Final = msgspec.json.Decoder(_Line).decode


def take_over(database: Path, last: int, put: Callable[[Sequence[Append], Sequence[Numbered]], None]) -> None:
    """Give `put` what the log has beyond record number `last`, then delete its files. ConfigError: it is not ours.

    `put` must have made it durable when it returns.
    """
    paths = [path for name in ("a", "b") if (path := database.with_name(f"{database.name}-log-{name}")).exists()]
    if not paths:
        return
    try:
        lines = sorted((line for path in paths for line in _lines(path, last)), key=lambda line: line.first)
    except OSError as error:
        raise JournalUnavailable(f"{database}: the log of a former version cannot be read: {error}") from error
    for line in lines:
        if line.first <= last:
            names = ", ".join(path.name for path in paths)
            raise ConfigError(
                f"storage.url: {database} and the log beside it do not belong together: delete {names}, or put the "
                "database back that was there"
            )
        if line.first > last + 1:
            log.warning("records are missing in the log", extra=fields(after=last, before=line.first))
        records = line.numbered()
        put([Append(record.identity, record.timestamp, record.kind) for _, record in records], records)
        last = records[-1][0]
    for path in paths:
        path.unlink()
    with contextlib.suppress(OSError):  # the next start deletes them again
        sync_directory(database.parent)
    log.info("the log of a former version was taken over", extra=fields(records=sum(len(one.records) for one in lines)))


def _lines(path: Path, last: int) -> Iterator[_Line]:
    """Yield the sound lines that end beyond record number `last`."""
    for number, text in enumerate(path.read_bytes().rstrip(b"\0").split(b"\n"), 1):
        checksum, _, rest = text.partition(b" ")
        ends_with, _, batch = rest.partition(b" ")
        try:
            if int(checksum, 16) == crc32(rest) and int(ends_with) > last:
                yield _decode(batch)
        except msgspec.MsgspecError:
            log.warning("a line of the log that cannot be read is left out", extra=fields(file=path.name, line=number))
        except ValueError:  # no line: torn off by a crash
            continue
