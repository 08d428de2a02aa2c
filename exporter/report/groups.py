"""A channel and its backup as one: up while any device of either is up.

A group's history has the shape of a device's, so that everything that accounts for devices accounts for groups: it is
observed while any of its devices is, its outages are the times in which all observed ones were down, and its planned
time is that in which all observed ones were in a planned window, its own blind time that in which nothing was known of
any. An outage without length is none of the group's. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exporter.domain.identity import Identity
from exporter.domain.timeline import Outage
from exporter.report.history import History
from exporter.report.intervals import intersect, merge, subtract

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from exporter.report.history import Source
    from exporter.report.intervals import Interval

    Pair = tuple[str, str]
    """(channel id, backup channel id)"""

OPEN: Final = 1 << 62
"""The end of an interval that still runs."""


def source_by(by: str, source: Source, pairs: Iterable[Pair]) -> Source:
    """Return the source of a report by one key: that of the groups for `group`, else the devices' own."""
    return Groups(source, pairs) if by == "group" else source


def observed_of(history: History) -> list[Interval]:
    """Return the times in which a device or group was observed, Unix seconds; what runs ends at `OPEN`."""
    return merge(_closed(span) for span in history.observed)


def down_of(history: History) -> list[Interval]:
    """Return the times in which a device or group was down, Unix seconds; what runs ends at `OPEN`."""
    return intersect(merge(_closed((outage.start, outage.end)) for outage in history.outages), observed_of(history))


def planned_of(history: History) -> list[Interval]:
    """Return the observed times in planned windows, Unix seconds; what runs ends at `OPEN`."""
    return intersect(merge(_closed(span) for span in history.planned), observed_of(history))


def group_history(identity: Identity, members: Sequence[History]) -> History:
    """Return the history of a group under an identity of its own."""
    observed = merge(span for member in members for span in observed_of(member))
    up = merge(span for member in members for span in subtract(observed_of(member), down_of(member)))
    known = merge(span for member in members for span in subtract(observed_of(member), merge(member.blind)))
    due = merge(span for member in members for span in subtract(observed_of(member), planned_of(member)))
    return History(
        identity,
        outages=[Outage(*span) for span in _opened(subtract(observed, up))],
        observed=_opened(observed),
        planned=_opened(subtract(observed, due)),
        blind=subtract(observed, known),
    )


def group_identity(pair: Pair, members: Sequence[History]) -> Identity:
    """Return what stands in a group's row: key and name of both channels, engine and business of the channel."""
    of_channel = {member.identity.channel_id: member.identity for member in members}
    first = of_channel.get(pair[0]) or members[0].identity
    names = [of_channel[channel].channel_name if channel in of_channel else channel for channel in pair]
    key, name = "+".join(pair), " + ".join(names)
    business = (first.business_id, first.business_name, first.user_id, first.user_name)
    return Identity(key, name, first.engine, key, name, *business)


class Groups:
    """A source of group histories, made from one of devices'. A group without devices is left out."""

    def __init__(self, source: Source, pairs: Iterable[Pair]) -> None:
        self._source = source
        self._pairs = list(pairs)

    def device_count(self) -> int:
        """Return how many histories there are at most."""
        return len(self._pairs)

    def histories(self) -> Iterator[History]:
        """Yield every group's history, in the order of the pairs."""
        wanted = {channel for pair in self._pairs for channel in pair}
        found: dict[str, list[History]] = {channel: [] for channel in wanted}
        for history in self._source.histories():
            if history.identity.channel_id in wanted:
                found[history.identity.channel_id].append(history)
        for pair in self._pairs:
            members = [member for channel in pair for member in found[channel]]
            if members:
                yield group_history(group_identity(pair, members), members)

    def blind_intervals(self) -> Sequence[tuple[float, float]]:
        """Return the times in which events could be lost unheard, Unix seconds."""
        return self._source.blind_intervals()


def _closed(span: tuple[int, int | None]) -> Interval:
    return span[0], OPEN if span[1] is None else span[1]


def _opened(spans: Iterable[Interval]) -> list[tuple[int, int | None]]:
    return [(start, None if end == OPEN else end) for start, end in spans]
