"""Channels with a backup on a page: the days on which at least one of both was connected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.days.sums import days_of, sum_of
from exporter.report.groups import group_history, group_identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exporter.days.sums import Day
    from exporter.domain.identity import Identity
    from exporter.journal.port import Reader
    from exporter.report.groups import Pair


def days_of_pairs(
    reader: Reader, pairs: Iterable[Pair], shown: Sequence[Identity], edges: Sequence[int], now: float
) -> list[Day]:
    """Return the days of all pairs together of which a page shows both channels, each pair as one; none: no days.

    Blocks; JournalUnavailable.
    """
    of_channel: dict[str, list[str]] = {}
    for one in shown:
        of_channel.setdefault(one.channel_id, []).append(one.device_id)
    whole = [pair for pair in pairs if all(channel in of_channel for channel in pair)]
    if not whole:
        return []
    blind, columns = reader.blind_intervals(), []
    for pair in whole:
        ids = [device_id for channel in pair for device_id in of_channel[channel]]
        members = [history for device_id in ids if (history := reader.device(device_id)) is not None]
        group = group_history(group_identity(pair, members), members)
        columns.append(days_of(group, edges, min(now, edges[-1]), blind))
    return [sum_of(column) for column in zip(*columns, strict=True)]
