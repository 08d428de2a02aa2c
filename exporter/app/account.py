"""Availability for the API, computed from the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.report.availability import Row, availability
from exporter.report.groups import source_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.config import Config
    from exporter.journal.port import Reader
    from exporter.recording.recorder import Recorder


async def account(recorder: Recorder, config: Callable[[], Config], by: str, start: float, end: float) -> list[Row]:
    """Return the rows of a report, by the policies of now; in a thread: it reads every event of every device."""
    present = config()

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

    return await recorder.read(compute)
