"""The process: an exporter, and another one in its place where it must begin anew."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

from prometheus_client import disable_created_metrics

from exporter.app.app import Exporter
from exporter.app.messages import announce
from exporter.errors import ConfigError
from exporter.web.public import WEBHOOK_PATH

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.config import Config


def serve(load: Callable[[], Config]) -> int:
    """Run until a signal; return the exit status. ConfigError says why it cannot start."""
    import uvloop  # noqa: PLC0415 - commands that do not serve start faster without it

    disable_created_metrics()  # type: ignore[no-untyped-call] # they double our series
    # For so long may one who computes hold up another thread, each time that it needs the interpreter: a commit does so
    # several times, and so does each turn of the loop while a report is computed.
    sys.setswitchinterval(0.0001)
    return uvloop.run(_serve(load))


async def _serve(load: Callable[[], Config]) -> int:
    diverged = 0
    while await _run(load, diverged):
        diverged += 1
    return 0


async def _run(load: Callable[[], Config], diverged: int) -> bool:
    """Run one exporter; True: another one must take its place, as the journal has another past."""
    gc.disable()  # a fleet is being loaded, and nothing of it is garbage: `Exporter` enables it
    exporter = Exporter(load)
    exporter.metrics.divergence.inc(diverged)
    try:
        await exporter.start()
    except OSError as error:
        raise ConfigError(str(error)) from error
    if exporter.started:
        announce(exporter.settings, webhook=f"{exporter.public.url}{WEBHOOK_PATH}", admin=exporter.admin.url)
    anew = await exporter.run_until_stopped()
    await exporter.stop()
    return anew
