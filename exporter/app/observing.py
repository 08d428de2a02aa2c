"""What the exporter's own metrics read of the running parts, and what a live change writes into log and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.app.messages import log_change
from exporter.metrics.policy import PolicyCollector

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.config import Config
    from exporter.domain.fleet import Change
    from exporter.metrics.own import SelfMetrics
    from exporter.recording.recorder import Recorder


def observe(recorder: Recorder, config: Callable[[], Config], metrics: SelfMetrics) -> None:
    """Let the metrics show the policies, how full the fleet is, and what waits for the journal."""
    fleet, full = recorder.fleet, metrics.full
    policies = PolicyCollector(
        lambda: config().policies, lambda: list(fleet.histograms), lambda: config().alerts.timezone
    )
    metrics.registry.register(policies)
    metrics.devices.set_function(lambda: len(fleet.devices))
    full.labels("devices").set_function(lambda: len(fleet.devices) / recorder.ceilings.max_devices)
    full.labels("engines").set_function(lambda: len(fleet.histograms) / recorder.ceilings.max_engines)
    full.labels("groups").set_function(lambda: len(fleet.groups) / recorder.ceilings.max_groups)
    metrics.leading.set_function(lambda: float(recorder.leading.leads))
    metrics.lag.set_function(lambda: recorder.following.lag)
    metrics.standbys.set_function(lambda: recorder.following.standbys)
    metrics.time.set_function(recorder.clock)
    metrics.queue.set_function(lambda: recorder.queue_depth)
    metrics.oldest_wait.set_function(lambda: recorder.oldest_wait)

    def changed(change: Change) -> None:
        if change.live:
            log_change(change)
            if change.former is not None:
                metrics.moves.inc()

    recorder.subscribe(changed)
