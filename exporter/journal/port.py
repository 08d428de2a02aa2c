"""What the rest of the exporter knows of the storage: protocols, and no database.

`Journal` is for the one that writes and awaits everything; `Reader` for reports beside it. JournalUnavailable means
that the storage cannot be used now and that nothing is known about the outcome: trying again is harmless.

SQL that features hand in is of the subset that SQLite from 3.35 on and PostgreSQL share: `ON CONFLICT`, `RETURNING`,
placeholders `?`; no `INSERT OR`, no scalar `max(a, b)`, no functions of JSON. Beside their own tables features may read
the journal's `device` (id, device_id, identity), `identity` (id and the fields of `Identity`) and `event` (seq, device,
timestamp, kind, identity, received_ms), which have these columns in every database.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from exporter.domain.identity import Identity
    from exporter.domain.records import Append, Blind, Checkpoint, DeviceHistory, History, Record, Rejected

    Numbered = tuple[int, Record]
    """A record and its number."""

Result = TypeVar("Result")

EXPOSING: Final = 2.0
"""Seconds that an exposition lasts unless it is renewed."""


class Appended(NamedTuple):
    """What the journal says to an append, or to an exposition."""

    at_ms: int
    """The journal's time of this call: not before that of any earlier call, after that of every earlier exposition.

    It falls only where the clock was ahead and has been set back.
    """
    numbers: Sequence[int | None]
    """Of each given event, in the given order; None: the journal had it already, or retention has passed it by."""
    missed: Sequence[Numbered]
    """The records after the number that the caller named, in order, without a gap; its own are among them."""
    until: int = 0
    """0: that is all that there was. Else there are more, up to this number at least; ask for them with `tail`."""


class Loaded(NamedTuple):
    """What a start begins from."""

    checkpoint: Checkpoint | None
    identities: Sequence[Identity]
    """The newest of every device."""
    pruned_before: int
    """Event time, Unix seconds, before which events are no longer taken; 0: nothing was pruned."""
    blind: Sequence[Blind]
    at_ms: int
    """The journal's newest time, 0 if it is empty."""
    exposed_ms: int
    """No later record tells of an exposition before this one; 0: none yet."""
    heard_ms: int
    """The time of the last heartbeat, Unix milliseconds; 0: there was none."""
    gaps_until: int
    """Up to this number records may be missing: an earlier version gave numbers to duplicates, too."""
    clock_ms: int = 0
    """What the journal's clock says at that moment; 0: it has none of its own."""


class Stats(NamedTuple):
    """How the journal is."""

    works: bool
    """False: it will not work again before a restart, or not without a person."""
    why: str
    """What is wrong, in a sentence; empty while it works."""
    oldest_wait: float
    """Seconds that its storage has been at one piece of work; 0: nothing waits."""
    standbys: float = math.nan
    """Servers that hold each commit besides the first; NaN: not known, or there is no such thing."""


class Journal(Protocol):
    """A durable journal of numbered records. Numbers rise without gaps, and so do they become visible."""

    @property
    def shared(self) -> bool:
        """Whether several exporters may use it at the same time."""

    async def start(self) -> None:
        """Open it. ConfigError where only a person can help; after JournalUnavailable it may be called again."""

    async def load(self) -> Loaded:
        """Return the saved state, as of one moment."""

    async def append(self, batch: Sequence[Append], after: int) -> Appended:
        """Append events, all or none, durable when this returns; those that it has already are left out.

        `after` is the number of the last record that the caller knows.
        """

    async def expose(self, after: int) -> Appended:
        """Note durably that the state is exposed from now on, for `EXPOSING` seconds or until `exposed`.

        While that lasts each record counts as exposed at its own time: whoever reads the state piece by piece may see
        it, or not.
        """

    def exposed(self) -> None:
        """Tell that nobody reads the state any more. Only a hint that later records can be told apart better."""

    async def tail(self, after: int, limit: int = 5000) -> list[Numbered]:
        """Return the next records after a number, in order; fewer than `limit`: there are no more."""

    async def histories(self, devices: Collection[str], upto: int) -> dict[str, DeviceHistory]:
        """Return the events of devices up to record number `upto`; devices that it does not know are left out."""

    async def heartbeat(self, retry_span_ms: int) -> Blind | None:
        """Note that events are heard; record and return the blind interval before it, if there was one."""

    async def save(self, checkpoint: Checkpoint, epoch: int) -> None:
        """Merge a checkpoint into the saved state: after a crash all of it is there, or nothing."""

    async def prune(self, before: int, first_device: int, epoch: int) -> int | None:
        """Fold events before `before` (Unix seconds) into bases, for some devices from row `first_device` on.

        Returns the row to go on with, None when done. Only events that a checkpoint covers are touched.
        """

    async def quarantine(self, code: str, message: str, payload: bytes | None, digest: str) -> int:
        """Keep a rejected body within bounds; the same body again only counts. Return how many are kept."""

    async def transact(self, job: Callable[[Transaction], Result], *, epoch: int | None = None) -> Result:
        """Run `job` in one transaction, durable when this returns: for what features keep beside the events."""

    async def read(self, job: Callable[[Reader], Result]) -> Result:
        """Run `job` in a thread, on a view in which everything is that was acknowledged before."""

    async def check(self) -> None:
        """Look through the storage, where nobody else does. JournalDamaged: nothing is taken any more from now on."""

    async def lease(self, ttl: float) -> int | None:
        """Ask to lead for `ttl` seconds more. Return the epoch in which we do, None while another exporter leads."""

    async def resign(self) -> None:
        """Let another exporter lead at once."""

    def stats(self) -> Stats:
        """Return how the journal is."""

    async def stop(self) -> None:
        """Release the storage, in bounded time."""


class Rows(Protocol):
    """A view of the tables. JournalUnavailable where they cannot be read."""

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""


class Reader(Rows, Protocol):
    """A view of the journal for reports, the API and features; a context manager.

    Blocks, never writes. Times are Unix seconds.
    """

    def device_count(self) -> int:
        """Return how many devices `histories` yields."""

    def histories(self) -> Iterator[History]:
        """Yield the history of every device, in order of arrival, forgotten ones included. Memory does not grow."""

    def device(self, device_id: str) -> History | None:
        """Return the history of one device, None if the journal does not know it."""

    def disconnects_since(self, start: int) -> list[tuple[str, int]]:
        """Return (device id, event time) of each disconnect since `start` outside planned windows, in order."""

    def blind_intervals(self) -> list[Blind]:
        """Return all blind intervals in order."""

    def rejected(self, number: int | None = None) -> list[Rejected]:
        """Return the quarantine, or one entry of it, oldest first."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Read(Protocol):
    """Runs a job on a view of the journal in which all is that was acknowledged before. JournalUnavailable."""

    async def __call__(self, job: Callable[[Reader], Result], /) -> Result:
        """Return the job's result."""


class Transaction(Rows, Protocol):
    """A transaction that is open: all of it becomes durable, or nothing. Blocks; lives in the journal's thread."""

    def run(self, sql: str, values: Sequence[object] = ()) -> int:
        """Run a statement; return how many rows it changed."""

    def many(
        self,
        table: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[object]],
        *,
        key: Sequence[str],
        replace: bool = True,
    ) -> None:
        """Insert rows of numbers, texts and None, in few statements whatever their number.

        `key` are the columns that tell a row from others; one that is there is replaced, or left as it is.
        """


class Transact(Protocol):
    """Runs a job in one transaction; a failure is counted under `operation`. JournalUnavailable, Overloaded."""

    async def __call__(self, operation: str, job: Callable[[Transaction], Result], /) -> Result:
        """Return the job's result once it is durable."""


class Piece(NamedTuple):
    """What one feature adds to the schema, under its name.

    `migrations` are forward ones, each with statements in the shared subset. Where the databases differ there is a
    placeholder: {serial}, the type of a rising number that is the key; {bigint}, {real} and {bytes}, types;
    {without_rowid}, after the parenthesis of a table that is kept in the order of its key.
    """

    name: str
    migrations: tuple[str, ...]
