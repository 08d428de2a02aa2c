"""What retention makes of old events, whatever the storage: a base of each device, folded from those that go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from exporter.domain.timeline import Kind, Timeline, fold

if TYPE_CHECKING:
    from exporter.journal.port import Transaction

PRUNE_DEVICES: Final = 200
"""Device rows folded per transaction, so that appends come in between."""
_OLD: Final = (
    "device >= ? AND device < ? AND timestamp < ? AND seq <= ? "
    "AND device NOT IN (SELECT device FROM event WHERE seq > ? AND timestamp < ?)"
)
"""A device that has an old event beyond the checkpoint waits for the next time: a base must be older than all that is
left."""


def fold_old(transaction: Transaction, before: int, first_device: int, checkpoint: int) -> int | None:
    """Fold events before `before` of some devices into their bases (see `Journal.prune`), in the open transaction.

    `checkpoint` is the number of the last record that it covers. Returns the row to go on with, None when done.
    """
    last_device = first_device + PRUNE_DEVICES
    span = (first_device, last_device, before, checkpoint, checkpoint, before)
    events: dict[int, list[tuple[int, Kind]]] = {}
    query = f"SELECT device, timestamp, kind FROM event WHERE {_OLD}"  # noqa: S608 - a constant
    for device, timestamp, kind in transaction.rows(query, span):
        events.setdefault(device, []).append((timestamp, Kind(kind)))
    for device, old in events.items():
        text = transaction.rows("SELECT base FROM device WHERE id = ?", (device,))[0][0]
        state = msgspec.json.encode(fold(old, base(text))).decode()
        transaction.run("UPDATE device SET base = ? WHERE id = ?", (state, device))
    transaction.run(f"DELETE FROM event WHERE {_OLD}", span)  # noqa: S608 - a constant
    newest = transaction.rows("SELECT max(id) FROM device")[0][0] or 0
    return last_device if last_device <= newest else None


def base(text: str | None) -> Timeline | None:
    """Return what retention kept of a device's pruned events."""
    return msgspec.json.decode(text, type=Timeline | None) if text else None
