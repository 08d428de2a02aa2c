"""
Debian's Chromium without a window, driven over its DevTools protocol: go to a page, measure, click, type, photograph.

One browser with an empty profile a test; it is ended by its process id.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp

from tests.patience import patient
from tests.tools import require

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-port=0"),
)
PHONE = (390, 844)
DESKTOP = (1280, 900)


class Tab:
    """One page of the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self.console: list[str] = []
        """What the page and the browser complained about: script errors, refused resources."""

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a DevTools method and return its result."""
        message = await self._send(method, **params)
        assert "error" not in message, message
        result: dict[str, Any] = message["result"]
        return result

    async def _send(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": params})
        while True:
            message = await self._receive()
            if message.get("id") == self._number:
                return message

    async def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads((await self._socket.receive(timeout=patient(30))).data)
        if message.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
            self.console.append(json.dumps(message["params"]))
        return message

    async def _leave(self) -> None:
        """Mark the page that is shown, so that the next one is known when it comes."""
        await self.evaluate("window.isOld = true")

    async def _until_loaded(self) -> None:
        expression = "!window.isOld && document.readyState === 'complete'"
        async with asyncio.timeout(patient(30)):
            while True:
                result = await self._send("Runtime.evaluate", expression=expression)
                if result.get("result", {}).get("result", {}).get("value") is True:
                    return
                await asyncio.sleep(0.02)

    async def start(self) -> None:
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")

    async def show(self, size: tuple[int, int], *, dark: bool = False, language: str = "id-ID,id;q=0.9") -> None:
        """Be a screen of this size, with a reader of this language."""
        width, height = size
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])
        await self.call("Network.setExtraHTTPHeaders", headers={"Accept-Language": language})

    async def scripts(self, *, on: bool) -> None:
        """Let pages run scripts or not; `evaluate` works in any case."""
        await self.call("Emulation.setScriptExecutionDisabled", value=not on)

    async def go(self, url: str) -> None:
        """Load a page."""
        await self._leave()
        await self.call("Page.navigate", url=url)
        await self._until_loaded()

    async def evaluate(self, expression: str, *, promise: bool = False) -> Any:
        """Return the value of an expression, or what it promises."""
        result = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=promise)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def text(self, selector: str = "body") -> str:
        """Return what a reader sees of an element."""
        return str(await self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))

    async def click(self, selector: str, *, loads: bool = False) -> None:
        """Press the mouse on the middle of an element."""
        find = f"document.querySelector({json.dumps(selector)})"
        await self._leave()
        x, y = await self.evaluate(
            f"(() => {{ {find}.scrollIntoView({{block: 'center', behavior: 'instant'}});"
            f"const r = {find}.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        if loads:
            await self._until_loaded()

    async def type(self, selector: str, text: str) -> None:
        """Type into a field."""
        await self.click(selector)
        await self.call("Input.insertText", text=text)

    async def press(self, key: str, *, loads: bool = False) -> None:
        """Press Tab or Enter."""
        code, text = {"Tab": (9, ""), "Enter": (13, "\r")}[key]
        given = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        await self._leave()
        await self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **given)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **given)
        if loads:
            await self._until_loaded()

    async def reload(self) -> None:
        """Load the page that is shown again, as a reader would."""
        await self._leave()
        await self.call("Page.reload")
        await self._until_loaded()

    async def on_paper(self, *, on: bool) -> None:
        """Look as if printed, or not."""
        await self.call("Emulation.setEmulatedMedia", media="print" if on else "")

    async def picture(self, clip: dict[str, float] | None = None) -> bytes:
        """Return the whole page, or a part of it, as a PNG."""
        part: dict[str, Any] = {} if clip is None else {"clip": clip}
        found = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, **part)
        return base64.b64decode(found["data"])

    async def overflow(self) -> list[str]:
        """Return the elements that stick out of the page to the right, and the tables that one has to push sideways."""
        named = ".map(e => e.tagName + '.' + e.className)"
        outside = (
            "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
        )
        pushed = "[...document.querySelectorAll('.table')].filter(e => e.scrollWidth > e.clientWidth)"
        wide = await self.evaluate("document.documentElement.scrollWidth > innerWidth")
        return [*await self.evaluate(pushed + named), *(await self.evaluate(outside + named) if wide else [])]


@asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Tab]:
    """Start Chromium and give its one tab."""
    process = await asyncio.create_subprocess_exec(
        *(require("chromium"), *FLAGS, f"--user-data-dir={folder}", "about:blank"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        port = await _port(folder / "DevToolsActivePort")
        async with aiohttp.ClientSession() as client:
            async with client.get(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = [page for page in await answer.json(content_type=None) if page["type"] == "page"]
            async with client.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                tab = Tab(socket)
                await tab.start()
                yield tab
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its own group: the helpers that it started go with it
        await process.wait()


def _ports(path: Path) -> list[str]:
    return path.read_text().split("\n") if path.exists() else []


async def _port(path: Path) -> int:
    async with asyncio.timeout(patient(60)):
        while len(lines := _ports(path)) < 2:  # noqa: ASYNC110 - the file is the only sign that Chromium gives
            await asyncio.sleep(0.05)
    return int(lines[0])
