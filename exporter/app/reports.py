"""Availability for the API, computed from the journal.

A report reads every event of every device, so there is a bulkhead around them: one is computed at a time, a few wait,
and those who ask for the same share one computation. What raises the alarm does not notice them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from exporter.errors import Overloaded
from exporter.report.availability import Row, availability
from exporter.report.groups import source_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.config import Config
    from exporter.journal.port import Reader
    from exporter.recording.recorder import Recorder

    Wanted = tuple[str, float, float]

WAITING: Final = 8
"""Different reports that may wait; whoever comes after them is asked to try again."""


class Reports:
    """Computes the rows of reports, by the policies of the time at which they are asked for."""

    def __init__(self, recorder: Recorder, config: Callable[[], Config]) -> None:
        self._recorder = recorder
        self._config = config
        self._turn = asyncio.Lock()
        self._computing: dict[Wanted, asyncio.Task[list[Row]]] = {}

    async def rows(self, by: str, start: float, end: float) -> list[Row]:
        """Return the rows of a report; times in Unix seconds. Overloaded where too many others wait."""
        wanted = (by, start, end)
        task = self._computing.get(wanted)
        if task is None:
            if len(self._computing) > WAITING:
                raise Overloaded("too many reports are being computed")
            task = self._computing[wanted] = asyncio.create_task(self._compute(*wanted), name="report")
            task.add_done_callback(lambda _: self._computing.pop(wanted))
        return await asyncio.shield(task)  # others may wait for it, too

    async def _compute(self, by: str, start: float, end: float) -> list[Row]:
        present = self._config()

        def compute(reader: Reader) -> list[Row]:
            blind = reader.blind_intervals()
            pairs = [(pair.channel, pair.backup) for pair in present.failover]
            return availability(
                source_by(by, reader, pairs).histories(),
                blind=blind,
                start=start,
                end=end,
                by=by,
                objective=lambda engine: present.policies.for_engine(engine).objective_ratio,
            )

        async with self._turn:
            return await self._recorder.read(compute)
