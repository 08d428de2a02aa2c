"""All gateways that are asked for their own word, as the configuration names them."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from prometheus_client import Counter

from exporter.config.gateways import preset_of, state_reader
from exporter.conventions import GATEWAY_BLIND, GATEWAY_CORRECTIONS, GATEWAY_LABELS, HELP
from exporter.lib.waiting import Wake
from exporter.sessions import store
from exporter.sessions.poller import Poller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client import CollectorRegistry

    from exporter.config import Config
    from exporter.recording.recorder import Recorder
    from exporter.sessions.service import Sessions


class Polling:
    """Runs while `run` runs; one exporter of several does."""

    def __init__(
        self, recorder: Recorder, config: Callable[[], Config], sessions: Sessions, registry: CollectorRegistry
    ) -> None:
        self._recorder, self._config, self._sessions = recorder, config, sessions
        self.pollers: list[Poller] = []
        self._wake = Wake()
        self._corrections = Counter(
            GATEWAY_CORRECTIONS.removesuffix("_total"),
            HELP[GATEWAY_CORRECTIONS],
            ("gateway", "direction"),
            registry=registry,
        )
        self._blind = Counter(
            GATEWAY_BLIND.removesuffix("_total"), HELP[GATEWAY_BLIND], GATEWAY_LABELS, registry=registry
        )
        self._count_from_zero()

    async def start(self) -> None:
        """Count on from what is known to be blind. JournalUnavailable if it cannot be read."""
        for device_id, seconds in (await self._recorder.transact(store.PIECE.name, store.blind_seconds)).items():
            self._blind.labels(device_id.partition(":")[0]).inc(seconds)

    async def run(self) -> None:
        """Ask every gateway in its interval, until cancelled; a new configuration begins anew."""
        while True:
            self.pollers = self._made()
            asking = [asyncio.create_task(poller.run(), name=f"gateway {poller.name}") for poller in self.pollers]
            woken = asyncio.create_task(self._wake.wait())
            try:
                done, _ = await asyncio.wait([woken, *asking], return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (woken, *asking):
                    task.cancel()
                await asyncio.wait([woken, *asking])
            for task in done:
                task.result()  # a bug ends all of them, and is counted

    def reconfigure(self) -> None:
        """Take a new configuration into use."""
        self._count_from_zero()
        self._wake.set()

    def up(self, _now: float) -> Iterator[tuple[tuple[str, ...], float]]:
        """Yield the gauge gateway_up."""
        return (((poller.name,), float(poller.up)) for poller in self.pollers if poller.up is not None)

    def read_at(self, _now: float) -> Iterator[tuple[tuple[str, ...], float]]:
        """Yield the gauge gateway_state_read_timestamp_seconds."""
        return (((poller.name,), poller.read_at) for poller in self.pollers if poller.read_at is not None)

    def configured(self, _now: float) -> Iterator[tuple[tuple[str, ...], float]]:
        """Yield the gauge gateway_webhook_configured."""
        return (((poller.name,), float(poller.configured)) for poller in self.pollers if poller.configured is not None)

    def silent(self, _now: float) -> Iterator[tuple[tuple[str, ...], float]]:
        """Yield the gauge gateway_session_silent_since_timestamp_seconds."""
        for poller in self.pollers:
            for session, since in poller.silence.silent():
                yield (f"{poller.name}:{session}", poller.name), since

    def _made(self) -> list[Poller]:
        found = []
        for name, gateway in self._config().gateways.items():
            reader = state_reader(gateway)
            if reader is None or gateway.state is None or gateway.reading is None:
                continue
            poller = Poller(
                preset_of(name, gateway, self._recorder.clock),
                reader,
                self._recorder,
                self._sessions,
                every=gateway.state.every or 60.0,
                poll_only=not gateway.reading.webhook,
                corrected=partial(self._correct, name),
                blind=self._blind.labels(name).inc,
                silent_after=gateway.state.silent_after or 0.0,
            )
            found.append(poller)
        return found

    def _correct(self, name: str, direction: str) -> None:
        self._corrections.labels(name, direction).inc()

    def _count_from_zero(self) -> None:
        """Let the counters exist before they count: an increase from nothing is no increase."""
        for name, gateway in self._config().gateways.items():
            if gateway.state is not None and gateway.reading is not None and gateway.reading.webhook:
                self._blind.labels(name)
                for direction in ("up", "down"):
                    self._corrections.labels(name, direction)
