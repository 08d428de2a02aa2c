"""`GET /`: name, version, state and links, as one page without scripts or foreign resources."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Final

from aiohttp import web

from exporter import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.typedefs import Handler

    from exporter.web.ports import RecorderPort

_OWN: Final = [
    ("Metrics", "/metrics"),
    ("Devices", "/api/v1/devices"),
    ("Availability of the last 30 days", "/api/v1/availability?by=engine"),
    ("API description (OpenAPI)", "/api/v1/openapi.json"),
    ("Health", "/-/healthy"),
    ("Readiness", "/-/ready"),
]
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


def landing_page(recorder: RecorderPort, links: list[tuple[str, str]], notice: Callable[[], str]) -> Handler:
    """Return the handler; `links` (title, path) stand before our own. `notice` is what must not be overlooked."""
    page = Template((files("exporter.web") / "landing.html").read_text("utf-8"))
    items = "\n".join(_item(title, path) for title, path in [*links, *_OWN])

    async def handle(_: web.Request) -> web.StreamResponse:
        fleet = recorder.fleet
        state, good = _state(recorder)
        text = page.substitute(
            version=escape(__version__),
            state=state,
            state_class="good" if good else "bad",
            devices=f"{len(fleet.devices):,}",
            up=f"{len(fleet.devices) - len(fleet.down):,}",
            down=f"{len(fleet.down):,}",
            down_class="bad" if fleet.down else "",
            links=items,
            notice=f'<p class="notice" role="alert">{escape(text)}</p>' if (text := notice()) else "",
        )
        return web.Response(text=text, content_type="text/html", headers=_HEADERS)

    return handle


def _item(title: str, path: str) -> str:
    # Relative, so that the page works below a proxy's path prefix too.
    shown, href = escape(path), escape(path.removeprefix("/") if path.startswith("/") else path)
    return f'<li><a href="{href}"><span>{escape(title)}</span><code>{shown}</code></a></li>'


def _state(recorder: RecorderPort) -> tuple[str, bool]:
    if not recorder.healthy:
        return "unhealthy", False
    return ("ready", True) if recorder.ready else ("loading", False)
