"""The exporter's own metrics, on an injected registry. Label children that matter exist from the start, at 0."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

from exporter import __version__
from exporter.conventions import SELF_PREFIX
from exporter.metrics.tallies import Distributions, Tallies

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import CollectorRegistry

_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
JOURNAL_OPERATIONS = (
    "append",
    "read",
    "checkpoint",
    "heartbeat",
    "quarantine",
    "prune",
    "tail",
    "check",
)


class SelfMetrics:
    """Counters, gauges and histograms named device_exporter_*."""

    def __init__(self, registry: CollectorRegistry, *, operations: Iterable[str] = ()) -> None:
        """Count failed operations of the journal; `operations` are those of features."""
        self.registry = registry
        self.events = Tallies(
            f"{SELF_PREFIX}_events_total", "Webhook events by type and outcome.", ("event", "outcome"), registry
        )
        self.requests = self._distributions(
            "request_duration_seconds", "Time to answer a request.", _FAST, "listener", "code"
        )
        self.commits = self._distributions(
            "journal_commit_duration_seconds", "Time until a commit is on disk.", _FAST
        ).labels()
        self.batches = self._distributions(
            "journal_batch_size", "Events in one commit.", (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
        ).labels()
        self.failures = self._counter("journal_failures_total", "Failed journal operations.", "operation")
        for operation in (*JOURNAL_OPERATIONS, *operations):
            self.failures.labels(operation)
        self.queue = self._gauge("journal_queue_depth", "Events that wait for the journal.")
        self.oldest_wait = self._gauge(
            "journal_oldest_wait_seconds", "For how long the journal has waited for its storage; 0 while it does not."
        )
        self.pushes = self._counter("alert_pushes_total", "Posts of alerts by result.", "alertmanager", "result")
        self.silence_failures = self._counter(
            "silence_failures_total", "Silences that could not follow an acknowledgement at once.", "alertmanager"
        )
        self.push_latency = self._histogram(
            "alert_push_latency_seconds", "From an event's receipt to Alertmanager's acknowledgement.", _FAST
        )
        self.ways = self._gauge(
            "notification_ways", "Integrations for people that an Alertmanager has; 0: nobody is told.", "alertmanager"
        )
        self.blind = self._counter("blind_seconds_total", "Time in which events could be lost unheard.")
        self.last_event = self._gauge("last_event_timestamp_seconds", "When the last webhook event was received.")
        self.reload_ok = self._gauge("config_last_reload_successful", "Whether the last configuration load succeeded.")
        self.reload_time = self._gauge(
            "config_last_reload_success_timestamp_seconds", "When the configuration was last loaded."
        )
        self.config_digest = self._gauge(
            "config_digest", "A number that differs where exporters are configured to tell people different things."
        )
        self.leading = self._gauge("leading", "Whether this exporter does what only one of several may do.")
        self.lag = self._gauge(
            "journal_lag_seconds", "Since when other exporters may have stored events that are not known here."
        )
        self.standbys = self._gauge(
            "journal_synchronous_standbys", "Servers that hold each commit besides the first; NaN: not known."
        )
        self.divergence = self._counter(
            "journal_divergence_total", "How often the journal had lost events that it had acknowledged."
        )
        self.time = self._gauge("time_seconds", "The clock of the exporter's machine.")
        self.full = self._gauge("fleet_fullness_ratio", "Part of the most devices, engines and groups.", "of")
        self.moves = self._counter(
            "device_moves_total", "Devices that an event named under another engine or business."
        )
        self.devices = self._gauge("devices", "Devices in the metrics.")
        self.scrapes = self._histogram("scrape_duration_seconds", "Time to render an exposition.", _FAST)
        self.quarantined = self._gauge("quarantine_entries", "Rejected bodies kept in the quarantine.")
        self.loop_lag = self._histogram("loop_lag_seconds", "Delay of the event loop beyond what was asked.", _FAST)
        self.clock_jumps = self._counter("clock_jumps_total", "Jumps of the system clock, ahead or back.")
        self.task_failures = self._counter("task_failures_total", "Background tasks that failed and go on.", "task")
        info = self._gauge("build_info", "Version of the exporter.", "version", "pythonversion")
        info.labels(__version__, platform.python_version()).set(1)

    def _distributions(self, name: str, text: str, bounds: tuple[float, ...], *labels: str) -> Distributions:
        return Distributions(f"{SELF_PREFIX}_{name}", text, bounds, labels, self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{SELF_PREFIX}_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"{SELF_PREFIX}_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"{SELF_PREFIX}_{name}", text, labels, buckets=buckets, registry=self.registry)
