"""Whom an outage of many devices hits. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.domain.identity import Identity

MOST_NAMES: Final = 5
"""Names that a text holds; the others are counted."""


class Extent(NamedTuple):
    """How many devices are down, and whose they are."""

    down: int = 0
    of: int = 0
    """All devices that could be, or that were before some of them came back; 0: not known."""
    devices: tuple[str, ...] = ()
    """Names of some of them, those that were given first."""
    businesses: tuple[tuple[str, int], ...] = ()
    """(name, devices down) of the most affected, the worst first."""
    other_businesses: int = 0


def extent_of(down: Iterable[Identity], of: int = 0) -> Extent:
    """Return whom an outage hits; a business or device without a name is called by its id."""
    identities = list(down)
    counts = Counter(identity.business_id for identity in identities)
    counts.pop("", None)
    names = {identity.business_id: identity.business_name or identity.business_id for identity in identities}
    worst = sorted(counts.items(), key=lambda item: (-item[1], names[item[0]]))
    return Extent(
        down=len(identities),
        of=of,
        devices=tuple(identity.device_name or identity.device_id for identity in identities[:MOST_NAMES]),
        businesses=tuple((names[business], count) for business, count in worst[:MOST_NAMES]),
        other_businesses=len(worst[MOST_NAMES:]),
    )


def began(times: Iterable[int], together: int) -> int | None:
    """Return when most devices went down: the first of the longest run of times less than `together` apart."""
    runs: list[list[int]] = []
    for time in sorted(times):
        if runs and time - runs[-1][-1] < together:
            runs[-1].append(time)
        else:
            runs.append([time])
    return max(reversed(runs), key=len)[0] if runs else None
