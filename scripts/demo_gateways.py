"""The demo's three gateways: their past, what they send from now on, and their state APIs.

    python -m scripts.demo_gateways --url http://127.0.0.1:8080/webhook --past 30d    the past once
    python -m scripts.demo_gateways --url http://127.0.0.1:8080/webhook --port 8101   then for ever

In turns of ten minutes another session of each gateway is logged out and waits for a scan, so that whenever one looks
something is down. Every two minutes a session reconnects, which is no outage. Of the last session of the first gateway
each second turn loses its webhooks: only the state API knows of it, and the exporter finds it there.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import TYPE_CHECKING, Final

import msgspec
from aiohttp import web

from exporter.cli.flags import duration
from exporter.simulate.gateways import body_of, translator
from exporter.simulate.payloads import device_event
from exporter.simulate.sender import HttpTransport, Sender
from exporter.simulate.speed import Pace
from exporter.simulate.state_api import GatewaySessions
from exporter.simulate.traffic import PROFILES, generate
from scripts.demo_settings import GATEWAYS, SECRET, DemoGateway, fleet

if TYPE_CHECKING:
    from exporter.simulate.sender import Transport

TURN: Final = 600
OVERLAP: Final = 300
"""Seconds for which a session of the turn before is still down."""
RECONNECT_EVERY: Final = 120
TICK: Final = 1.0
SETTLED: Final = 3600
"""Seconds before now in which the past ends, so that nothing of it is later than what is told live."""


def down_at(now: float, sessions: int) -> dict[int, int]:
    """Return the sessions that are down, by their number, and since when, Unix seconds."""
    turn, into = divmod(int(now), TURN)
    found = {turn % sessions: turn * TURN}
    if into < OVERLAP:
        found[(turn - 1) % sessions] = (turn - 1) * TURN
    return found


class Story:
    """What becomes of one gateway's sessions; the last one's webhooks get lost where `loses`."""

    def __init__(self, gateway: DemoGateway, transport: Transport, *, loses: bool) -> None:
        self.devices = fleet(gateway)
        self.sessions = GatewaySessions(gateway.preset, translator(gateway.preset), lost=0, lies=0, seed=1)
        self._body = body_of(gateway.preset)
        self._transport, self._loses = transport, loses
        self._reconnects = gateway.preset != "fonnte"  # which would tell it as an outage of seconds
        self._up: dict[int, bool] = {}
        self._began = time.time()

    async def run(self) -> None:
        """Tell for ever."""
        reconnected = 0
        while True:
            now = time.time()
            down = self._down(now)
            for number in range(len(self.devices)):
                if self._up.get(number) is not (number not in down):
                    await self._tell(number, "hard" if number in down else "up", down.get(number, int(now)))
            minute = int(now) // RECONNECT_EVERY
            if self._reconnects and minute != reconnected and (number := minute % len(self.devices)) not in down:
                reconnected = minute
                for state in ("soft", "soft", "soft", "up"):
                    await self._tell(number, state, int(time.time()))
                    await asyncio.sleep(1.1)
            await asyncio.sleep(TICK)

    def _down(self, now: float) -> dict[int, int]:
        last = len(self.devices) - 1
        if not self._loses:
            return down_at(now, len(self.devices))
        found = down_at(now, last)
        turn, into = divmod(int(now - self._began), TURN)
        if turn % 2 == 0 and into >= 20:
            found[last] = int(now)
        return found

    async def _tell(self, number: int, state: str, at: int) -> None:
        payload = device_event(self.devices[number].identity, at, up=state == "up")
        if state != "soft":
            self.sessions.note(payload)
        lost = self._loses and number == len(self.devices) - 1 and number in self._up
        error = "" if lost else await self._transport(msgspec.json.encode(self._body(payload, state, at)))
        if state != "soft" and not error:  # else it is told again
            self._up[number] = state == "up"


async def tell_past(url: str, seconds: float) -> None:
    """Send what happened until lately, with what the gateways leave out left out."""
    end = int(time.time()) - SETTLED
    profile = msgspec.structs.replace(PROFILES["calm"], mass_per_month=0)
    for name, gateway in GATEWAYS.items():
        sendings = generate(fleet(gateway), seed=gateway.seed, start=end - seconds, end=end, profile=profile)
        async with _transport(url, name) as transport:
            translate = translator(gateway.preset)
            tally = await Sender(transport, Pace(end), clock=time.time, translate=translate).run(sendings)
        if tally.failed:
            raise SystemExit(f"{name}: {tally.failed} of its past were refused: {tally.last_error}")


async def live(url: str, host: str, port: int) -> None:
    """Send until cancelled, and serve the state APIs, each below its gateway's name."""
    transports = {name: _transport(url, name) for name in GATEWAYS}
    stories = {
        name: Story(gateway, transports[name], loses=name == next(iter(GATEWAYS))) for name, gateway in GATEWAYS.items()
    }

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        story = stories.get(request.path.split("/")[1])
        return web.Response(text="gateways\n") if story is None else await story.sessions.handle(request)

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    try:
        await asyncio.gather(*(story.run() for story in stories.values()))
    finally:
        await asyncio.gather(runner.cleanup(), *(transport.__aexit__() for transport in transports.values()))


def _transport(url: str, name: str) -> HttpTransport:
    return HttpTransport(f"{url}/{name}/{SECRET}", lambda _: {}, connections=2)


def main() -> int:
    """Send the past, or the present until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="the exporter's webhook, to which /NAME is added")
    parser.add_argument("--past", type=duration, metavar="DURATION", help="send so much of the past, and end")
    parser.add_argument("--host", default="127.0.0.1", help="of the state APIs")
    parser.add_argument("--port", type=int, default=8101)
    options = parser.parse_args()
    if options.past is not None:
        asyncio.run(tell_past(options.url, options.past))
    else:
        asyncio.run(live(options.url, options.host, options.port))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
