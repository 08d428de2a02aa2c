"""Availability for the API, computed from the journal.

A report reads every event of every device, so there is a bulkhead around them: one is computed at a time, a few wait,
and those who ask for the same share one computation and the bytes of its answer. It ends when nobody waits for it any
more. What raises the alarm does not notice them.
"""

from __future__ import annotations

import asyncio
import threading
from itertools import takewhile
from typing import TYPE_CHECKING, Final

import msgspec

from exporter.errors import Overloaded
from exporter.report.availability import availability
from exporter.report.groups import source_by
from exporter.web.api_types import Availability

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.config import Config
    from exporter.journal.port import Reader
    from exporter.recording.recorder import Recorder

    Wanted = tuple[str, float, float]

WAITING: Final = 8
"""Different reports that may wait; whoever comes after them is asked to try again."""


class _Report:
    """A report that is being computed, or waits for its turn."""

    def __init__(self) -> None:
        self.askers = 0
        self.abandoned = threading.Event()
        """Set where all of them have gone: the thread that computes looks at it with each device."""
        self.task: asyncio.Task[bytes]


class Reports:
    """Computes the answers of reports, by the policies of the time at which they are asked for."""

    def __init__(self, recorder: Recorder, config: Callable[[], Config]) -> None:
        self._recorder = recorder
        self._config = config
        self._turn = asyncio.Lock()
        self._computing: dict[Wanted, _Report] = {}

    async def answer(self, by: str, start: float, end: float) -> bytes:
        """Return an `Availability` as JSON; times in Unix seconds. Overloaded where too many others wait.

        Cancel it where the answer is not wanted any more.
        """
        wanted = (by, start, end)
        report = self._computing.get(wanted)
        if report is None:
            if len(self._computing) > WAITING:
                raise Overloaded("too many reports are being computed")
            report = self._computing[wanted] = _Report()
            report.task = asyncio.create_task(self._compute(report.abandoned, *wanted), name="report")
        report.askers += 1
        try:
            return await asyncio.shield(report.task)  # others may wait for it, too
        finally:
            report.askers -= 1
            if not report.askers:
                report.abandoned.set()
                del self._computing[wanted]  # whoever asks from now on has one of their own

    async def _compute(self, abandoned: threading.Event, by: str, start: float, end: float) -> bytes:
        present = self._config()

        def compute(reader: Reader) -> bytes:
            blind = reader.blind_intervals()
            pairs = [(pair.channel, pair.backup) for pair in present.failover]
            rows = availability(
                takewhile(lambda _: not abandoned.is_set(), source_by(by, reader, pairs).histories()),
                blind=blind,
                start=start,
                end=end,
                by=by,
                objective=lambda engine: present.policies.for_engine(engine).objective_ratio,
            )
            return msgspec.json.encode(Availability(start, end, by, rows))  # megabytes: here, and once for all

        async with self._turn:
            return b"" if abandoned.is_set() else await self._recorder.read(compute)
