"""The listeners' metrics: children looked up once, so that counting a request costs next to nothing.

A counter that appears only at its first increment hides that increment from `increase()`, so all known pairs of
labels exist from the start at 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import Counter

from exporter.conventions import OTHER_EVENT, OUTCOMES, SELF_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.metrics.own import SelfMetrics

LISTENERS: Final = ("public", "admin", "pages")
CLOSE_REASONS: Final = (
    *("slow_head", "large_head", "stalled", "evicted", "refused", "handshake", "slow_handshake", "accept_error"),
)
_USUAL_CODES: Final = {"public": (200, 400, 401, 503), "admin": (200,), "pages": (200, 404)}


class WebInstruments:
    """Implements RequestMetrics. `event_types` are those of all gateways."""

    def __init__(self, metrics: SelfMetrics, event_types: Iterable[str]) -> None:
        names = {*event_types, OTHER_EVENT}
        self._events = {(name, out): metrics.events.labels(name, out) for name in names for out in OUTCOMES}
        self._requests = metrics.requests
        self._durations = {
            (listener, code): metrics.requests.labels(listener, str(code))
            for listener, codes in _USUAL_CODES.items()
            for code in codes
        }
        self._scrapes = metrics.scrapes
        self.last_event = 0.0
        """When the last valid event was received, Unix seconds; 0: never, as far as is known."""
        metrics.last_event.set_function(lambda: self.last_event)
        connections = Counter(
            f"{SELF_PREFIX}_connections_closed_total",
            "Connections closed or refused to protect a listener.",
            ("listener", "reason"),
            registry=metrics.registry,
        )
        self._connections = {(name, why): connections.labels(name, why) for name in LISTENERS for why in CLOSE_REASONS}

    def event(self, event: str, outcome: str) -> None:
        """Count one webhook request."""
        self._events[event, outcome].inc()

    def heard(self, event: str, outcome: str, now: float) -> None:
        """Count one webhook request with a valid event, and remember when it came."""
        self._events[event, outcome].inc()
        self.last_event = now

    def heard_before(self, at: float) -> None:
        """Tell of the newest event from before this start: silence that goes on over a restart is silence, too."""
        self.last_event = max(self.last_event, at)

    def request(self, listener: str, code: int, seconds: float) -> None:
        """Count one answered request."""
        child = self._durations.get((listener, code))
        if child is None:
            child = self._durations[listener, code] = self._requests.labels(listener, str(code))
        child.observe(seconds)

    def scrape(self, seconds: float) -> None:
        """Count one rendered scrape."""
        self._scrapes.observe(seconds)

    def connection(self, listener: str, reason: str) -> None:
        """Count one connection that was closed or refused."""
        self._connections[listener, reason].inc()
