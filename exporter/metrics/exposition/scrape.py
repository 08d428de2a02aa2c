"""One scrape on its way out: collects the parts of the body and keeps the pace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exporter.metrics.exposition.lines import END
from exporter.metrics.exposition.table import member

if TYPE_CHECKING:
    from collections.abc import Collection

    from exporter.lib.pace import Pace
    from exporter.metrics.exposition.lines import Family
    from exporter.metrics.exposition.table import Table

_SUFFIXES: Final = ("", "_total", "_bucket", "_count", "_sum", "_created", "_info")
FLUSH_AT: Final = 1024
"""Pieces of loose text that become one part."""


class Scrape:
    """The body being written. `now` is the time it exposes, in Unix seconds; of families without `names` all."""

    def __init__(
        self, now: float, pace: Pace, *, openmetrics: bool, gzip: bool, names: Collection[str] = frozenset()
    ) -> None:
        self.now = now
        self.pace = pace
        self.parts: list[bytes] = []
        self._openmetrics = openmetrics
        self._gzip = gzip
        self._names = names
        self._wanted = True
        self._loose: list[bytes] = []

    def begin(self, family: str) -> None:
        """Begin a family: unless it is wanted, by its name or that of a sample, what follows is not written."""
        base = family.removesuffix("_total")
        self._wanted = not self._names or any(base + suffix in self._names for suffix in _SUFFIXES)

    def header(self, family: Family) -> None:
        """Write the header of a family; its lines must follow at once."""
        self.begin(family.name)
        self.write(family.header(openmetrics=self._openmetrics))

    def write(self, *pieces: bytes) -> None:
        """Write text of the family that was begun."""
        if not self._wanted:
            return
        self._loose += pieces
        if len(self._loose) >= FLUSH_AT:
            self.flush()

    def end(self) -> None:
        """Write the line that ends OpenMetrics."""
        self._wanted = True
        self.write(END)

    def flush(self) -> None:
        """Make a part of the text written so far."""
        text = b"".join(self._loose)
        if text:
            self.parts.append(member(text) if self._gzip else text)
        self._loose = []

    async def column(self, table: Table, column: int) -> None:
        """Write one column of a table."""
        if not self._wanted:
            return
        self.flush()
        pace, parts = self.pace, self.parts
        for block in table.blocks:
            part = block.member(column) if self._gzip else block.text(column)
            if part:
                parts.append(part)
            if pace.spent():
                await pace.rest()
