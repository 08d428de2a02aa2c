"""A device's history folded from its events, whatever storage they come from. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.domain.records import History
from exporter.domain.timeline import Kind, Outage, fold, outages

if TYPE_CHECKING:
    from exporter.domain.identity import Identity
    from exporter.domain.timeline import Event, Timeline

    Span = tuple[int, int | None]


def history(identity: Identity, events: list[Event], base: Timeline | None) -> History:
    """Fold a device's events, one fold for each span between cuts. `base` is what retention kept of pruned ones."""
    cuts = sorted(timestamp for timestamp, kind in events if kind is Kind.FORGOTTEN)
    found: list[Outage] = []
    observed: list[Span] = []
    planned: list[Span] = []
    after = -1
    for cut in (*cuts, None):
        span = [event for event in events if event[0] > after and (cut is None or event[0] < cut)]
        timeline = fold(span, base)
        if timeline is not None:
            # of what was pruned only the last state is known, and since when
            observed.append((timeline.first_seen if base is None else base.since, cut))
            found += [Outage(o.start, cut if o.end is None else o.end) for o in outages(span, base)]
            planned += _windows(span, base, observed[-1])
        base, after = None, cut if cut is not None else after
    return History(identity, found, observed, planned)


def _windows(events: list[Event], base: Timeline | None, observed: Span) -> list[Span]:
    """Pair the boundaries of planned windows within one span."""
    first, cut = observed
    begin = base.planned.since if base is not None and base.planned is not None else None
    found: list[Span] = []
    for timestamp, kind in sorted(events):
        if kind is Kind.PLANNED and begin is None:
            begin = timestamp
        elif kind is Kind.PLANNED_END and begin is not None:
            found.append((max(begin, first), max(timestamp, first)))
            begin = None
    return found if begin is None else [*found, (max(begin, first), cut)]
