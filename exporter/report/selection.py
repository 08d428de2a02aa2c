"""A source of less: the devices of some businesses only. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from exporter.report.history import History, Source


class OfBusinesses:
    """The histories of devices whose business has one of these ids, or names in any case. `found` is what matched."""

    def __init__(self, source: Source, businesses: Collection[str]) -> None:
        self._source = source
        self._wanted = {text.casefold() for text in businesses}
        self.found: set[str] = set()

    def missing(self, businesses: Collection[str]) -> list[str]:
        """Return what matched no device once the histories were read."""
        return [text for text in businesses if text.casefold() not in self.found]

    def device_count(self) -> int:
        """Return how many histories are looked at."""
        return self._source.device_count()

    def histories(self) -> Iterator[History]:
        """Yield those of the businesses."""
        for history in self._source.histories():
            names = {history.identity.business_id.casefold(), history.identity.business_name.casefold()} & self._wanted
            self.found |= names
            if names:
                yield history

    def blind_intervals(self) -> Sequence[tuple[float, float]]:
        """Return the times in which events could be lost unheard, Unix seconds."""
        return self._source.blind_intervals()
