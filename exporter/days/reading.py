"""Days of devices for pages: from the daily sums where they are up to date, from the events where they are not.

So the answer is always what a report says of the journal as it is, however far the sums are behind.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import msgspec

from exporter.days import store
from exporter.days.sums import Day, days_of
from exporter.report.intervals import merge, milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from exporter.days.store import Known
    from exporter.domain.records import Blind, History
    from exporter.journal.port import Reader
    from exporter.report.intervals import Interval


_ALL: Final[Mapping[str, int]] = {}


def read_days(
    reader: Reader,
    device_ids: Sequence[str],
    edges: Sequence[int],
    now: float,
    zone: str,
    counted_from: Mapping[str, int] = _ALL,
) -> dict[str, list[Day]]:
    """Return the days between edges, local midnights of the zone, of each device that the journal knows.

    The day that `now` lies in ends there, and days after it are left out. What a device was before it is
    `counted_from`, a Unix time by its id, is not known. Blocks; JournalUnavailable.
    """
    progress = store.progress(reader)
    blind = reader.blind_intervals()
    rows = store.rows_of(reader, device_ids)
    fresh: dict[int, Known] = {}
    if progress is not None and zone in progress.zones.split() and progress.blind == blind_text(blind):
        behind = {row for (row,) in reader.rows("SELECT DISTINCT device FROM event WHERE seq > ?", (progress.seq,))}
        fresh = {row: known for row, known in store.known(reader, list(rows.values())).items() if row not in behind}
    sums = store.days(reader, list(fresh), edges[0]) if fresh else {}
    oldest = progress.oldest if progress is not None else 0
    unheard = merge((milliseconds(start), milliseconds(end)) for start, end in blind)
    found = {}
    for device_id, row in rows.items():
        known, begin = fresh.get(row), counted_from.get(device_id, 0)
        if begin > edges[0]:
            days = _computed(reader, device_id, edges, now, blind, begin)
        elif known is not None and known.tail.since <= now:
            own = {(start, end): day for (device, start, end), day in sums.items() if device == row}
            days = _assembled(known, own, edges, now, unheard)
        else:
            days = _computed(reader, device_id, edges, now, blind)
        found[device_id] = [day if day.start >= oldest else Day(day.start, day.end) for day in days]
    return found


def blind_text(blind: Iterable[Blind]) -> str:
    """Return blind intervals as the sums' progress names them."""
    return msgspec.json.encode(list(blind)).decode()


def _computed(
    reader: Reader, device_id: str, edges: Sequence[int], now: float, blind: Sequence[Blind], begin: int = 0
) -> list[Day]:
    history = reader.device(device_id)
    if history is None:
        return []
    return days_of(_since(history, begin) if begin else history, edges, min(now, edges[-1]), blind)


def _since(history: History, begin: int) -> History:
    """Return a history without what was before a time."""
    observed = [(max(start, begin), end) for start, end in history.observed if end is None or end > begin]
    outages = [one for one in history.outages if one.end is None or one.end > begin]
    outages = [msgspec.structs.replace(one, start=max(one.start, begin)) for one in outages]
    return msgspec.structs.replace(history, observed=observed, outages=outages)


def _assembled(
    known: Known, sums: dict[tuple[int, int], Day], edges: Sequence[int], now: float, blind: Sequence[Interval]
) -> list[Day]:
    """Return the days from their sums, and from what is ordinary."""
    first, tail, _ = known
    ordinary = msgspec.structs.replace(tail, since=0, observed=True, up=True, planned=False)
    found = []
    for start, end in pairwise(edges):
        if start >= now:
            break
        until = min(end, now)
        summed = min(until, max(start, tail.since))
        day = sums.get((start, end))
        if day is None:
            day = ordinary.day(start, summed, blind) if start >= first else Day(start, summed)
        found.append(_joined(day, tail.day(int(summed), until, blind), until))
    return found


def _joined(day: Day, rest: Day, end: float) -> Day:
    return Day(
        day.start,
        end,
        day.observed_ms + rest.observed_ms,
        day.down_ms + rest.down_ms,
        day.planned_ms + rest.planned_ms,
        day.blind_ms + rest.blind_ms,
        day.outages + rest.outages,
    )
