"""Sends webhooks as the platform does: any 2xx is success; everything else is tried three more times, then given up.

Events of one device leave in order, a retried one aside; memory is bounded by `lanes` and by the retries under way.
Past events (history) wait for their retries; live ones do not, so that a receiver that is down misses as many as the
real sender would.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp
import msgspec

from exporter.simulate.traffic import RETRY_AFTER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from exporter.simulate.payloads import Payload
    from exporter.simulate.speed import Pace
    from exporter.simulate.traffic import Sending

TRIES = 4
QUEUED = 64  # bodies a lane


class Tally(msgspec.Struct):
    """What became of the sendings."""

    sent: int = 0
    """Bodies answered 2xx."""
    retries: int = 0
    failed: int = 0
    """Bodies given up after the last try."""
    last_error: str = ""


class Transport(Protocol):
    """One try to deliver a body."""

    async def __call__(self, body: bytes) -> str:
        """Return an empty text if the receiver answered 2xx, otherwise what went wrong."""


class HttpTransport:
    """Posts bodies with the platform's headers. Use it as an async context manager."""

    def __init__(self, url: str, prove: Callable[[bytes], dict[str, str]], *, connections: int) -> None:
        """`prove` gives the headers by which the receiver knows the sender of a body."""
        self._url, self._prove = url, prove
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections),
            timeout=aiohttp.ClientTimeout(total=15),
            headers={"Content-Type": "application/json"},
        )

    async def __call__(self, body: bytes) -> str:
        """See Transport."""
        try:
            async with self._session.post(self._url, data=body, headers=self._prove(body)) as answer:
                return "" if 200 <= answer.status < 300 else f"{answer.status} {(await answer.text())[:200]}".strip()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return str(error) or type(error).__name__

    async def __aenter__(self) -> HttpTransport:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()


class Sender:
    """Delivers sendings at their pace. `clock` is in Unix seconds."""

    def __init__(
        self,
        transport: Transport,
        pace: Pace,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
        lanes: int = 16,
        translate: Callable[[Payload], list[Payload]] = lambda payload: [payload],
    ) -> None:
        self.tally = Tally()
        self._transport, self._pace, self._clock, self._sleep = transport, pace, clock, sleep
        self._translate = translate
        self._lanes: list[asyncio.Queue[tuple[Payload, bool]]] = [asyncio.Queue(QUEUED) for _ in range(lanes)]
        self._retrying: set[asyncio.Task[None]] = set()

    async def run(self, sendings: Iterable[Sending], on_progress: Callable[[float], None] = lambda _: None) -> Tally:
        """Deliver all; return when the last has arrived or is given up. `on_progress` gets simulated times."""
        workers = [asyncio.create_task(self._work(lane)) for lane in self._lanes]
        try:
            await self._feed(sendings, on_progress)
            for lane in self._lanes:
                await lane.join()
            await asyncio.gather(*self._retrying)
        finally:
            for task in (*workers, *self._retrying):
                task.cancel()
            await asyncio.gather(*workers, *self._retrying, return_exceptions=True)
        return self.tally

    async def _feed(self, sendings: Iterable[Sending], on_progress: Callable[[float], None]) -> None:
        for sending in sendings:
            wait = self._pace.real(sending.send_at) - self._clock()
            if wait > 0:
                await self._sleep(wait)
            payload = self._pace.payload(sending)
            for translated in self._translate(payload):
                await self._lane(payload).put((translated, sending.send_at > self._pace.live_from))
            on_progress(sending.send_at)

    def _lane(self, payload: Payload) -> asyncio.Queue[tuple[Payload, bool]]:
        """Return the queue of the event's device or conversation."""
        key = payload["device"]["id"] if "device" in payload else payload.get("conversation_id", "")
        return self._lanes[zlib.crc32(key.encode()) % len(self._lanes)]

    async def _work(self, lane: asyncio.Queue[tuple[Payload, bool]]) -> None:
        while True:
            payload, live = await lane.get()
            body = msgspec.json.encode(payload)
            if not await self._try(body):
                if live:
                    task = asyncio.create_task(self._retry(body))
                    self._retrying.add(task)
                    task.add_done_callback(self._retrying.discard)
                else:
                    await self._retry(body)
            lane.task_done()

    async def _try(self, body: bytes) -> bool:
        error = await self._transport(body)
        if error:
            self.tally.last_error = error
        else:
            self.tally.sent += 1
        return not error

    async def _retry(self, body: bytes) -> None:
        for _ in range(TRIES - 1):
            await self._sleep(RETRY_AFTER / self._pace.speed)
            self.tally.retries += 1
            if await self._try(body):
                return
        self.tally.failed += 1
