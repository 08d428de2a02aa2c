"""What reports and backfill read: one `History` a device, and a source of them that can be read again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from exporter.domain.records import Blind, History

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Blind", "History", "Source"]


class Source(Protocol):
    """Histories with what late events corrected, as a journal's reader gives them. Raises JournalUnavailable."""

    def device_count(self) -> int:
        """Return how many devices `histories` yields."""

    def histories(self) -> Iterator[History]:
        """Yield every device, forgotten ones included, each time from the start and in the same order."""

    def blind_intervals(self) -> Sequence[tuple[float, float]]:
        """Return the times in which events could be lost unheard, Unix seconds."""
