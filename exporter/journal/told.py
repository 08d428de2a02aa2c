"""What gateways told of their devices beside events: why outages began, and when nothing was known of one of them.

The same for every storage. Devices of the built-in gateway have none of it, and cost nothing here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from exporter.domain.identity import BUILT_IN_GATEWAY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.domain.records import History
    from exporter.journal.port import Rows


def with_told(rows: Rows, history: History) -> History:
    """Return a device's history with what its gateway told. JournalUnavailable."""
    device_id = history.identity.device_id
    if history.identity.gateway == BUILT_IN_GATEWAY or not _kept(rows):
        return history
    reasons = rows.rows("SELECT start, reason FROM outage_reason WHERE device_id = ?", (device_id,))
    return msgspec.structs.replace(history, blind=blind_of(rows, [device_id]).get(device_id, []), reasons=dict(reasons))


def blind_of(rows: Rows, device_ids: Sequence[str]) -> dict[str, list[tuple[int, int]]]:
    """Return when nothing was known of devices, in order, Unix seconds; most have none. JournalUnavailable."""
    found: dict[str, list[tuple[int, int]]] = {}
    if not device_ids or not _kept(rows):
        return found
    query = f"""SELECT device_id, start, "end" FROM session_blind WHERE device_id IN
                ({", ".join("?" * len(device_ids))}) ORDER BY start"""  # noqa: S608 - placeholders
    for device_id, start, end in rows.rows(query, device_ids):
        found.setdefault(device_id, []).append((start, end))
    return found


def _kept(rows: Rows) -> bool:
    """Whether the journal has the tables: it may be of before there were gateways."""
    return bool(rows.rows("SELECT 1 FROM piece WHERE name = 'sessions'"))
