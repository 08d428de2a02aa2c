"""Opening the journal where that does not work at once, as on a disk that is full."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from exporter.errors import JournalDamaged, JournalUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from exporter.lib.logs import RateLimited
    from exporter.recording.recorder import Recorder

RETRY: Final = 1.0
"""Seconds between two tries."""


async def opened(recorder: Recorder, stopping: asyncio.Event, warn: RateLimited) -> bool:
    """Load the journal and note in it that events are heard, as often as it takes; the recorder tells why it waits.

    Meanwhile webhooks are answered 503. False: the exporter is to stop. JournalDamaged is raised: trying again does
    not help.
    """
    for step in (recorder.start, recorder.heartbeat):
        if not await _until_it_works(step, recorder, stopping, warn):
            return False
    recorder.unopened = ""
    return True


async def _until_it_works(
    step: Callable[[], Awaitable[None]], recorder: Recorder, stopping: asyncio.Event, warn: RateLimited
) -> bool:
    while not stopping.is_set():
        try:
            await step()
        except JournalDamaged:
            raise
        except JournalUnavailable as error:
            recorder.unopened = str(error)
            warn.warning("journal_failing", "the journal cannot be used yet", error=str(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), RETRY)
        else:
            return True
    return False
