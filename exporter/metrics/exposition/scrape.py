"""One scrape on its way out: collects the parts of the body and keeps the pace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exporter.metrics.exposition.table import member

if TYPE_CHECKING:
    from exporter.lib.pace import Pace
    from exporter.metrics.exposition.lines import Family
    from exporter.metrics.exposition.table import Table

FLUSH_AT: Final = 1024
"""Pieces of loose text that become one part."""


class Scrape:
    """The body being written. `now` is the time it exposes, in Unix seconds."""

    def __init__(self, now: float, pace: Pace, *, openmetrics: bool, gzip: bool) -> None:
        self.now = now
        self.pace = pace
        self.parts: list[bytes] = []
        self._openmetrics = openmetrics
        self._gzip = gzip
        self._loose: list[bytes] = []

    def header(self, family: Family) -> None:
        """Write the header of a family; its lines must follow at once."""
        self.write(family.header(openmetrics=self._openmetrics))

    def write(self, *pieces: bytes) -> None:
        """Write text."""
        self._loose += pieces
        if len(self._loose) >= FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        """Make a part of the text written so far."""
        text = b"".join(self._loose)
        if text:
            self.parts.append(member(text) if self._gzip else text)
        self._loose = []

    async def column(self, table: Table, column: int) -> None:
        """Write one column of a table."""
        self.flush()
        pace, parts = self.pace, self.parts
        for block in table.blocks:
            part = block.member(column) if self._gzip else block.text(column)
            if part:
                parts.append(part)
            if pace.spent():
                await pace.rest()
