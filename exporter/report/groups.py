"""A channel and its backup as one: up while any device of either is up.

A group's history has the shape of a device's, so that everything that accounts for devices accounts for groups: it is
observed while any of its devices is, and its outages are the times in which all observed ones were down. An outage
without length is none of the group's. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exporter.identity import Identity
from exporter.report.history import History
from exporter.report.intervals import intersect, merge, milliseconds, subtract
from exporter.timeline import Outage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from exporter.report.history import Source
    from exporter.report.intervals import Interval
    from exporter.report.measure import Planned

    Pair = tuple[str, str]
    """(channel id, backup channel id)"""

OPEN: Final = 1 << 62
"""The end of an interval that still runs."""


def observed_of(history: History) -> list[Interval]:
    """Return the times in which a device or group was observed, Unix seconds; what runs ends at `OPEN`."""
    return merge(_closed(span) for span in history.observed)


def down_of(history: History) -> list[Interval]:
    """Return the times in which a device or group was down, Unix seconds; what runs ends at `OPEN`."""
    return intersect(merge(_closed((outage.start, outage.end)) for outage in history.outages), observed_of(history))


def group_history(identity: Identity, members: Sequence[History]) -> History:
    """Return the history of a group under an identity of its own."""
    observed = merge(span for member in members for span in observed_of(member))
    up = merge(span for member in members for span in subtract(observed_of(member), down_of(member)))
    down = subtract(observed, up)
    outages = [Outage(start, _opened(end)) for start, end in down]
    return History(identity, outages, [(start, _opened(end)) for start, end in observed])


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
        self._members: dict[str, list[Identity]] = {}

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
                identity = group_identity(pair, members)
                self._members[identity.device_id] = [member.identity for member in members]
                yield group_history(identity, members)

    def blind_intervals(self) -> Sequence[tuple[float, float]]:
        """Return the times in which events could be lost unheard, Unix seconds."""
        return self._source.blind_intervals()

    def planned(self, of_device: Planned) -> Planned:
        """Return the planned maintenance of groups: the time in which all devices of one are in a window."""

        def of_group(identity: Identity) -> list[tuple[float, float]]:
            common: list[Interval] | None = None
            for member in self._members.get(identity.device_id, ()):
                spans = merge((milliseconds(start), milliseconds(end)) for start, end in of_device(member))
                common = spans if common is None else intersect(common, spans)
            return [(start / 1000, end / 1000) for start, end in common or ()]

        return of_group


def _closed(span: tuple[int, int | None]) -> Interval:
    return span[0], OPEN if span[1] is None else span[1]


def _opened(end: int) -> int | None:
    return None if end == OPEN else end
