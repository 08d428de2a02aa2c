"""The log in front of the journal: what is on disk here is never lost, and waits for nobody.

An event is acknowledged when its line is in this log and flushed; the journal's thread takes it over into SQLite a
moment later, many at a time. So no acknowledgement waits for a checkpoint, an incident or a reader of the database.

Two files beside the database, used in turn: while one is written, what the other holds is taken over. A line is one
batch of records in JSON, with a checksum and the number of its last record before it. A line that a crash tore off was
never acknowledged, and does not count.

The files have their size before they are used, and are written over from their beginning: so a flush writes a page or
two in place and waits for nothing else of the file system, such as what SQLite has just written. Behind the newest line
stand older ones, which the journal has; their numbers tell.

Not thread-safe: the event loop is the only user, but for `recover`, which is called before it is opened.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from zlib import crc32

import msgspec

from exporter.domain.records import Append
from exporter.errors import JournalUnavailable
from exporter.journal.sqlite.flusher import Syncer
from exporter.lib.files import identify, sync_directory
from exporter.lib.logs import fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from exporter.domain.records import Journal

    Done = Callable[[JournalUnavailable | None], None]

log = logging.getLogger(__name__)

TURN: Final = 4 << 20  # bytes of a file after which the other one is used
_ALLOCATED: Final = TURN + (1 << 20)  # a line may reach beyond
_ZEROS: Final = bytes(1 << 16)


class Batch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Records that were appended together; the first one has the number `first`, the others follow."""

    first: int
    records: Sequence[Append]

    @property
    def last(self) -> int:
        """The number of the last record."""
        return self.first + len(self.records) - 1


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Batch).decode


def paths(database: Path) -> list[Path]:
    """Return the log's files of a database."""
    return [database.with_name(f"{database.name}-log-{name}") for name in ("a", "b")]


def recover(database: Path, after: int = 0) -> Iterator[Batch]:
    """Yield the batches with records beyond number `after`, in order. OSError where a file cannot be read."""
    lines: list[tuple[int, bytes]] = []
    for path in paths(database):
        with contextlib.suppress(FileNotFoundError):
            lines += _lines(path, after)
    for _, text in sorted(lines):
        yield _decode(text)


def take_over(journal: Journal, batches: Iterable[Batch]) -> None:
    """Append to the journal what it does not have yet. JournalUnavailable."""
    for batch in batches:
        if batch.last > journal.appended():
            journal.append(batch.records, range(batch.first, batch.last + 1))


def last_number(database: Path) -> int:
    """Return the number of the last record in the log, 0 if it is empty. OSError where a file cannot be read."""
    newest = 0
    for path in paths(database):
        with contextlib.suppress(FileNotFoundError):
            newest = max([newest, *(last for last, _ in _lines(path, newest))])
    return newest


def _lines(path: Path, after: int) -> Iterator[tuple[int, bytes]]:
    """Yield (number of the last record, JSON) of the lines with records beyond number `after`."""
    previous, damaged = 0, 0
    for number, line in enumerate(path.read_bytes().rstrip(b"\0").split(b"\n"), 1):
        parsed = _parse(line)
        if parsed is None:
            damaged = damaged or number
            continue
        if damaged and parsed[0] > previous:  # or it is where the newest lines end, and older ones are left
            log.error("a damaged line of the log is left out", extra=fields(file=path.name, line=damaged))
        previous, damaged = parsed[0], 0
        if parsed[0] > after:
            yield parsed


def _parse(line: bytes) -> tuple[int, bytes] | None:
    """Return the number of a line's last record and its JSON; None if it is damaged or torn."""
    checksum, _, rest = line.partition(b" ")
    last, _, text = rest.partition(b" ")
    try:
        sound = int(checksum, 16) == crc32(rest)
        return (int(last), text) if sound else None
    except ValueError:
        return None


class Log:
    """The log of one database, open for appending. JournalUnavailable if its files cannot be had."""

    def __init__(self, database: Path) -> None:
        """Open it; what `recover` gives must be in the journal already. Needs a running event loop."""
        self._database = database
        self._paths = paths(database)
        self._files: list[int] = []
        try:
            self._files += [_open(path) for path in self._paths]
            self._known = {path: identify(path) for path in (database, *self._paths)}
            sync_directory(database.parent)
            self._syncer = Syncer(self._files)
        except OSError as error:
            self._close_files()
            raise JournalUnavailable(f"{database}: the log cannot be opened: {error}") from error
        self._sizes = [0] * len(self._files)  # what counts of them
        self._last = [0] * len(self._files)
        self._current = 0
        self._sound = True  # nothing is in the current file behind its known size
        self._busy = False

    @property
    def pid(self) -> int:
        """The process that flushes."""
        return self._syncer.pid

    def append(self, batch: Sequence[Append], first: int, done: Done) -> None:
        """Write a batch and call `done` when it is on disk, or with the reason why not: then nothing of it is kept.

        The first record gets the number `first`, the others follow. One batch at a time. Raises JournalUnavailable,
        with nothing kept, where it cannot even begin.
        """
        last = first + len(batch) - 1
        rest = b"%d %b" % (last, _encode(Batch(first, batch)))
        line = b"%08x %b\n" % (crc32(rest), rest)
        index = self._turn()
        try:
            self._check(index)
            self._sound = False
            _write(self._files[index], line, self._sizes[index])
            self._syncer.sync(index, lambda error: self._synced(index, len(line), last, done, error))
        except OSError as error:
            self._take_back(index)
            raise JournalUnavailable(f"{self._paths[index]}: {error}") from error
        self._busy = True

    def taken_over(self, last: int) -> None:
        """Take note that every record up to number `last` is in the journal's file."""
        for index in range(len(self._files)):
            in_use = index == self._current and (self._busy or not self._sound)
            if self._last[index] <= last and not in_use:
                self._sizes[index] = 0

    def close(self, *, empty: bool = False) -> None:
        """Close it. `empty`: all that it holds is in the journal's file."""
        self._syncer.close()
        if empty:
            for file in self._files:
                with contextlib.suppress(OSError):  # then the next start finds that it has everything already
                    os.ftruncate(file, 0)
        self._close_files()

    def _synced(self, index: int, size: int, last: int, done: Done, error: OSError | None) -> None:
        self._busy = False
        if error is None:
            self._sound = True
            self._sizes[index] += size
            self._last[index] = last
            done(None)
        else:
            self._take_back(index)
            done(JournalUnavailable(f"{self._paths[index]}: {error}"))

    def _turn(self) -> int:
        """Return which file to write: the other one when this one is full and that one was emptied."""
        other = 1 - self._current
        if self._sound and self._sizes[self._current] >= TURN and not self._sizes[other]:
            self._current = other
        return self._current

    def _check(self, index: int) -> None:
        """Refuse files that were removed or replaced: what is written to the former ones nobody will ever read."""
        for path in (self._database, self._paths[index]):
            if identify(path) != self._known[path]:
                raise OSError(f"{path.name} was removed or replaced; put it back, or restart the exporter")
        if not self._sound:
            self._blot(index)

    def _take_back(self, index: int) -> None:
        """Undo what was not acknowledged; where that fails, the next append tries again before anything else."""
        with contextlib.suppress(OSError):
            self._blot(index)
            self._sound = True

    def _blot(self, index: int) -> None:
        _write(self._files[index], b"\0", self._sizes[index])

    def _close_files(self) -> None:
        while self._files:
            os.close(self._files.pop())


def _open(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)  # names of devices and businesses
    with contextlib.suppress(OSError):  # a full disk: then it takes what it can when there is something to write
        for start in range(os.fstat(file).st_size, _ALLOCATED, len(_ZEROS)):
            _write(file, _ZEROS, start)
        os.fsync(file)
    return file


def _write(file: int, line: bytes, start: int) -> None:
    rest = memoryview(line)
    while rest:
        written = os.pwrite(file, rest, start)
        rest, start = rest[written:], start + written
