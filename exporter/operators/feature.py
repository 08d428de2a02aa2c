"""Operators' pages as a feature. They keep nothing and ask the other features."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from aiohttp import web

from exporter.lib.times import zone_of
from exporter.lib.words import read_texts
from exporter.look.rendering import Renderer
from exporter.look.wording import Wording
from exporter.operators.device import DevicePage
from exporter.operators.devices import Devices
from exporter.operators.overview import Overview
from exporter.web.error_pages import with_error_pages

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.lib.words import Language
    from exporter.operators.sources import Sources

TEXTS = read_texts("exporter.operators")


class OperatorsFeature:
    """`nobody` tells why nobody is notified, `author` who sent a form."""

    name: ClassVar[str] = "operators"

    def __init__(
        self, sources: Sources, *, nobody: Callable[[], str | None], author: Callable[[web.Request], str]
    ) -> None:
        self._sources = sources
        self.renderer = Renderer("exporter.operators", self._wording, nobody=nobody)
        self._author = author

    def routes(self) -> list[web.RouteDef]:
        """Return the pages."""
        devices = Devices(self._sources, self.renderer)
        device = DevicePage(self._sources, self.renderer, self._author)
        one = "/devices/{device_id:[^/]+}"
        page = partial(with_error_pages, show=self._error, unknown="no_such_device")
        return [
            web.get("/", page(Overview(self._sources, self.renderer).show)),
            web.get("/devices", page(devices.show)),
            web.get("/devices.csv", page(devices.file)),
            web.get(one, page(device.show)),
            web.post(f"{one}/maintenance", page(device.maintain)),
            web.post(f"{one}/maintenance/end", page(device.end_maintenance)),
            web.post(f"{one}/forget", page(device.forget)),
        ]

    def _wording(self, language: Language | None) -> Wording:
        alerts = self._sources.config().alerts
        return Wording(language or alerts.language, zone_of(alerts.timezone), TEXTS)

    def _error(self, request: web.Request, status: int, name: str, detail: str) -> web.Response:
        words = self.renderer.words(request).text(name)
        return self.renderer.page(
            request,
            "error.html",
            status=status,
            section="devices",
            here="./",
            words=words,
            detail=detail,
            back="devices",
        )
