"""Waiting until woken, or for so long."""

from __future__ import annotations

import asyncio

from exporter.lib.waiting import Wake


async def test_what_was_set_before_is_kept_once() -> None:
    wake = Wake()
    wake.set()
    wake.set()
    assert await wake.wait(60)
    assert not await wake.wait(0)


async def test_a_task_that_waits_is_woken() -> None:
    wake = Wake()
    task = asyncio.ensure_future(wake.wait())
    await asyncio.sleep(0)
    wake.set()
    assert await asyncio.wait_for(task, 60)
