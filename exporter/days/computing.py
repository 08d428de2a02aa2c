"""One device's daily sums anew: all of them, or those since a few days ago where nothing older can have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from exporter.days import store
from exporter.days.store import Computed, Known
from exporter.days.sums import days_of, midnights, tail_of, unusual
from exporter.domain.identity import Identity
from exporter.domain.planned import Planned
from exporter.domain.timeline import Timeline
from exporter.journal.history import history
from exporter.journal.retention import base as retained
from exporter.journal.told import blind_of
from exporter.lib.times import zone_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from zoneinfo import ZoneInfo

    from exporter.days.sums import Day
    from exporter.domain.records import Blind, History
    from exporter.journal.port import Reader

DAY: Final = 86_400
RECENT: Final = 2 * DAY
"""What is older is changed by late events only."""
MARGIN: Final = 26 * 3600
"""More than the longest local day."""
_NOBODY: Final = Identity(*("" for _ in Identity.__struct_fields__))


class Base(msgspec.Struct, frozen=True):
    """A device before the second `at`. No event at `settled` or later changes anything of days that begin before `at`.

    That is so because no outage runs at `settled`: whether one counts at all is known when it is over.
    """

    at: int
    settled: int
    timeline: Timeline


class Computing:
    """Computes devices from one view of the journal. Times are Unix seconds; nothing before `oldest` is wanted."""

    def __init__(self, reader: Reader, zones: str, *, oldest: int, now: float, blind: Sequence[Blind]) -> None:
        self._reader = reader
        self._zones = [zone_of(zone) for zone in zones.split()]
        self._oldest = oldest
        self._now = now
        self._blind = blind

    def devices(self, rows: dict[int, int]) -> list[Computed]:
        """Return the rows of devices, of which something changed since an event time."""
        known = store.known(self._reader, list(rows))
        there = store.of_journal(self._reader, list(rows))
        blind = blind_of(self._reader, [device_id for device_id, _ in there.values()])
        bases = {
            row: self._base_for(since, known.get(row), blind.get(there[row][0], ())) for row, since in rows.items()
        }
        events = store.events_since(self._reader, {row: base.at if base else 0 for row, base in bases.items()})
        computed = []
        for row, base in bases.items():
            device_id, kept = there[row]
            found = history(_NOBODY, events[row], base.timeline if base else retained(kept))
            found = msgspec.structs.replace(found, blind=blind.get(device_id, []))
            begin = found.observed[0][0] if found.observed else 0
            first, since = (known[row].first, base.at) if base else (begin, self._oldest)
            computed.append(self._made(row, found, first, since))
        return computed

    def _base_for(self, since: int, known: Known | None, blind: Sequence[tuple[int, int]]) -> Base | None:
        """Return where a computation may begin that an event at `since` asks for; None: at the device's beginning."""
        if known is None or known.base is None:
            return None
        base = msgspec.json.decode(known.base, type=Base)
        usable = since >= base.settled and base.at >= self._oldest
        return base if usable and not any(start < base.at <= end for start, end in blind) else None

    def _made(self, row: int, found: History, first: int, since: int) -> Computed:
        tail = tail_of(found)
        base = self._base(found, tail.since)
        text = None if base is None else msgspec.json.encode(base).decode()
        days = [day for zone in self._zones for day in self._days(found, since, tail.since, zone)]
        return Computed(row, since, Known(first, tail, text), days)

    def _days(self, found: History, since: int, until: int, zone: ZoneInfo) -> Iterator[tuple[int, Day]]:
        if since >= until:
            return
        begin = max(since, found.observed[0][0] if found.observed else until)  # no day before the first has a row
        edges = [edge for edge in midnights(begin, until, zone) if edge >= since]
        if len(edges) < 2:
            return
        days = days_of(found, edges[:-1], until, self._blind)
        wanted = unusual(found, edges)
        yield from ((edges[place + 1], day) for place, day in enumerate(days) if place in wanted)

    def _base(self, found: History, last: int) -> Base | None:
        """Return from where on the next computation may begin; None where the device was not observed then."""
        settled = int(min(self._now - RECENT, last))
        for outage in reversed(found.outages):
            if outage.start < settled and (outage.end is None or outage.end >= settled):
                settled = outage.start
        at = settled - MARGIN

        def running(spans: Sequence[tuple[int, int | None]]) -> int | None:
            return next((start for start, end in spans if start < at and (end is None or end >= at)), None)

        if running(found.observed) is None:
            return None
        down = running([(outage.start, outage.end) for outage in found.outages])
        planned = running(found.planned)
        first = at - 1 if down is None else down
        whole = Timeline(
            first_seen=first,
            newest=at - 1,
            up=down is None,
            since=first,
            outages=int(down is not None),
            closed_downtime=0,
            planned=None if planned is None else Planned(planned),
        )
        return Base(at, settled, whole)
