"""What the web side needs of the rest, as protocols: the recorder, the exposition, the settings and the counters.

Times are Unix seconds. Every method that may raise says which typed error callers must expect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from contextlib import AbstractAsyncContextManager

    from exporter.domain.fleet import Fleet
    from exporter.domain.identity import Identity
    from exporter.domain.records import History
    from exporter.gateways.events import DeviceEvent


class RecorderPort(Protocol):
    """The single writer."""

    @property
    def fleet(self) -> Fleet:
        """All devices in memory; read only."""

    @property
    def clock(self) -> Callable[[], float]:
        """Unix seconds; may run backwards, see `exporter.lib.clock`."""

    @property
    def ready(self) -> bool:
        """Whether the journal is loaded."""

    @property
    def healthy(self) -> bool:
        """Whether events can be journalled, or will be by themselves."""

    @property
    def trouble(self) -> str:
        """Why not, in a sentence for operators; empty while all is well."""

    @property
    def clock_is_behind(self) -> bool:
        """Whether the clock has shown a later time: what seems to come from the future may be true."""

    async def submit(self, event: DeviceEvent) -> str:
        """Return the outcome once the event is on disk; raises JournalUnavailable, Overloaded or InvalidEvent."""

    def identity_of(self, device_id: str) -> Identity | None:
        """Return who a device is by now; None if it is unknown."""

    async def forget(self, device_id: str) -> bool:
        """Drop a device durably; False if it is unknown; raises JournalUnavailable or Overloaded."""

    async def quarantine(self, code: str, message: str, payload: bytes | None, digest: str) -> None:
        """Keep a refused body, redacted; raises JournalUnavailable or Overloaded."""

    def exposing(self) -> AbstractAsyncContextManager[float]:
        """Give the time to expose at; while the context lasts, the fleet may be shown."""

    async def give_way(self) -> None:
        """Let the event loop turn, for longer while events are being committed."""

    async def history(self, device_id: str) -> History | None:
        """Return what is known of a device, corrected; None if it is unknown."""


class ExpositionPort(Protocol):
    """Renders all metrics."""

    async def render(self, now: float, *, openmetrics: bool, gzip: bool, names: Collection[str]) -> list[bytes] | bytes:
        """Return the body, in parts or whole, already compressed if `gzip`; without `names` all families."""


class WebhookSettings(Protocol):
    """The `webhook` section of the configuration. Read anew for each request, so that a reload takes effect."""

    @property
    def secret(self) -> str:
        """What the Authorization header must hold; an empty one refuses everything."""

    @property
    def max_body(self) -> int:
        """Bytes."""

    @property
    def max_future_skew(self) -> float:
        """Seconds."""


class RequestMetrics(Protocol):
    """Counts what the listeners do. All calls must be cheap: they are on the webhook's path."""

    def event(self, event: str, outcome: str) -> None:
        """Count one webhook request; both values are from conventions.py."""

    def heard(self, event: str, outcome: str, now: float) -> None:
        """Count one webhook request with a valid event, and remember when it came, Unix seconds."""

    def request(self, listener: str, code: int, seconds: float) -> None:
        """Count one answered request of the listener `public` or `admin`."""

    def scrape(self, seconds: float) -> None:
        """Count one rendered scrape."""

    def connection(self, listener: str, reason: str) -> None:
        """Count one connection that was closed or refused to protect the listener."""
