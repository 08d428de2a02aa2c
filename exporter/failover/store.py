"""The states of all pairs, and the sums of their groups, in the journal. One row a pair; ids and times only.

Rows of pairs that the configuration does not name any more stay: named again, a pair goes on where it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from exporter.failover.accounts import Sums
from exporter.failover.machine import State
from exporter.journal.port import Piece

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from exporter.journal.port import Transact, Transaction

_TABLE: Final = """
CREATE TABLE {name} (
    channel_id TEXT NOT NULL, backup_channel_id TEXT NOT NULL, state TEXT NOT NULL,
    PRIMARY KEY (channel_id, backup_channel_id)) {{without_rowid}};
"""
PIECE: Final = Piece("failover", (_TABLE.format(name="failover_state") + _TABLE.format(name="failover_group"),))

_DEVICES: Final = "SELECT i.channel_id, d.device_id FROM device d JOIN identity i ON i.id = d.identity"
CHANNELS: Final = 500
"""Channels that one query asks for."""

Pair = tuple[str, str]
"""(channel id, backup channel id)"""


class Store:
    """Every method is one transaction, durable when it returns. All raise JournalUnavailable.

    `transact_leading` refuses to write where another exporter leads.
    """

    def __init__(self, transact: Transact, transact_leading: Transact) -> None:
        self._transact = transact
        self._transact_leading = transact_leading

    async def states(self) -> dict[Pair, State]:
        """Return the state of every pair that ever had one."""
        rows = await self._transact(PIECE.name, lambda transaction: _rows(transaction, "failover_state"))
        return {(channel, backup): msgspec.json.decode(text, type=State) for channel, backup, text in rows}

    async def save_state(self, pair: Pair, state: State) -> None:
        """Keep a pair's state."""
        text = msgspec.json.encode(state).decode()
        await self._transact_leading(
            PIECE.name, lambda transaction: _put(transaction, "failover_state", [(*pair, text)])
        )

    async def sums(self) -> dict[Pair, Sums]:
        """Return the settled sums of every pair that ever had some."""
        rows = await self._transact(PIECE.name, lambda transaction: _rows(transaction, "failover_group"))
        return {(channel, backup): msgspec.json.decode(text, type=Sums) for channel, backup, text in rows}

    async def save_sums(self, sums: dict[Pair, Sums]) -> None:
        """Keep the sums of some pairs."""
        rows = [(*pair, msgspec.json.encode(found).decode()) for pair, found in sums.items()]
        await self._transact_leading(PIECE.name, lambda transaction: _put(transaction, "failover_group", rows))

    async def devices_of(self, channels: Collection[str]) -> list[tuple[str, str]]:
        """Return (channel id, device id) of every device whose newest identity is in one of these channels."""
        return await self._transact(PIECE.name, lambda transaction: _devices(transaction, list(channels)))


def _rows(transaction: Transaction, table: str) -> list[tuple[str, str, str]]:
    return transaction.rows(f"SELECT channel_id, backup_channel_id, state FROM {table}")  # noqa: S608 - a constant


def _put(transaction: Transaction, table: str, rows: Sequence[tuple[str, str, str]]) -> None:
    pair = ("channel_id", "backup_channel_id")
    transaction.many(table, (*pair, "state"), rows, key=pair)


def _devices(transaction: Transaction, channels: list[str]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for start in range(0, len(channels), CHANNELS):
        some = channels[start : start + CHANNELS]
        places = ", ".join("?" * len(some))
        found += transaction.rows(f"{_DEVICES} WHERE i.channel_id IN ({places}) ORDER BY d.id", some)
    return found
