"""The yardstick: a bare aiohttp + uvloop handler that decodes the webhook's JSON, keeps nothing and says OK.

python -m bench.bare PORT
"""

from __future__ import annotations

import asyncio
import sys

import msgspec
import uvloop
from aiohttp import web


async def webhook(request: web.Request) -> web.Response:
    msgspec.json.decode(await request.read())
    return web.Response(text="OK")


async def main(port: int) -> None:
    app = web.Application()
    app.router.add_post("/webhook", webhook)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
