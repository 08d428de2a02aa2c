"""The states of all pairs, and the sums of their groups, in the journal's file. One row a pair; ids and times only.

Rows of pairs that the configuration does not name any more stay: named again, a pair goes on where it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import msgspec

from exporter.failover.accounts import Sums
from exporter.failover.machine import State

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection

_Result = TypeVar("_Result")

OPERATION: Final = "failover"

Pair = tuple[str, str]
"""(channel id, backup channel id)"""


class Transact(Protocol):
    """Runs a job in one transaction of the journal's writer thread; raises JournalUnavailable or Overloaded."""

    async def __call__(self, operation: str, job: Callable[[sqlite3.Connection], _Result], /) -> _Result:
        """Return the job's result once it is durable."""


class Store:
    """Every method is one transaction, durable when it returns. All raise JournalUnavailable."""

    def __init__(self, transact: Transact) -> None:
        self._transact = transact

    async def states(self) -> dict[Pair, State]:
        """Return the state of every pair that ever had one."""
        rows = await self._transact(OPERATION, lambda connection: _rows(connection, "failover_state"))
        return {(channel, backup): msgspec.json.decode(text, type=State) for channel, backup, text in rows}

    async def save_state(self, pair: Pair, state: State) -> None:
        """Keep a pair's state."""
        text = msgspec.json.encode(state).decode()
        await self._transact(OPERATION, lambda connection: _put(connection, "failover_state", [(*pair, text)]))

    async def sums(self) -> dict[Pair, Sums]:
        """Return the settled sums of every pair that ever had some."""
        rows = await self._transact(OPERATION, lambda connection: _rows(connection, "failover_group"))
        return {(channel, backup): msgspec.json.decode(text, type=Sums) for channel, backup, text in rows}

    async def save_sums(self, sums: dict[Pair, Sums]) -> None:
        """Keep the sums of some pairs."""
        rows = [(*pair, msgspec.json.encode(found).decode()) for pair, found in sums.items()]
        await self._transact(OPERATION, lambda connection: _put(connection, "failover_group", rows))

    async def devices_of(self, channels: Collection[str]) -> list[tuple[str, str]]:
        """Return (channel id, device id) of every device whose newest identity is in one of these channels."""
        return await self._transact(OPERATION, lambda connection: _devices(connection, list(channels)))


def _rows(connection: sqlite3.Connection, table: str) -> list[tuple[str, str, str]]:
    return connection.execute(f"SELECT channel_id, backup_channel_id, state FROM {table}").fetchall()  # noqa: S608


def _put(connection: sqlite3.Connection, table: str, rows: list[tuple[str, str, str]]) -> None:
    connection.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)", rows)  # noqa: S608


def _devices(connection: sqlite3.Connection, channels: list[str]) -> list[tuple[str, str]]:
    query = (
        "SELECT i.channel_id, d.device_id FROM device d JOIN identity i ON i.id = d.identity "
        "WHERE i.channel_id IN (SELECT value FROM json_each(?)) ORDER BY d.id"
    )
    return connection.execute(query, (msgspec.json.encode(channels).decode(),)).fetchall()
