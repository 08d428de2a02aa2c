"""`/api/v1/maintenance`: list, add, end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from aiohttp import web

from exporter.lib.pace import Pace
from exporter.maintenance.api_types import ONE_WAY, PATH, MaintenanceWindow, NewWindow, Which, Windows, window_of
from exporter.web import answers
from exporter.web.body import BodyRefused, read_body
from exporter.web.openapi import Error
from exporter.web.operations import BadParameter, NotFound, Operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.maintenance.service import Maintenance
    from exporter.maintenance.windows import Window
    from exporter.recording.recorder import Recorder

_TAG: Final = "maintenance"
_BODY_LIMIT: Final = 16 * 1024
_BODY_TIMEOUT: Final = 10.0


class MaintenanceApi:
    """The handlers. `zone` is the time zone of windows that name none."""

    def __init__(self, maintenance: Maintenance, recorder: Recorder, zone: Callable[[], str]) -> None:
        self._maintenance = maintenance
        self._recorder = recorder
        self._zone = zone

    def operations(self) -> list[Operation]:
        """Return the operations to register."""
        refused = {403: Error, 408: Error, 413: Error, 415: Error, 503: Error}
        return [
            Operation("GET", PATH, self.list, "Maintenance windows that are not over", {200: Windows}, tag=_TAG),
            Operation(
                "POST",
                PATH,
                self.add,
                "Plan maintenance",
                {201: MaintenanceWindow, 400: Error, **refused},
                body=Annotated[NewWindow, msgspec.Meta(extra_json_schema=ONE_WAY)],
                tag=_TAG,
                description="Answered once the window is on disk. It counts from now on, never for time that is past.",
            ),
            Operation(
                "DELETE",
                f"{PATH}/{{id}}",
                self.end,
                "End a window now, or call it off",
                {204: None, 403: Error, 404: Error, 409: Error, 503: Error},
                tag=_TAG,
                parameters={"id": {"type": "string", "pattern": "^(file-.+|[0-9]{1,18})$"}},
                description="What was planned until now stays planned. Windows of the file are ended there.",
            ),
        ]

    async def list(self, _: web.Request) -> web.StreamResponse:
        """Answer all windows."""
        windows = list(self._maintenance.listed())
        shown = [found for key, window in windows if (found := await self._shown(key, window))]
        return answers.json(Windows(sorted(shown, key=lambda window: (not window.active, window.start, window.id))))

    async def add(self, request: web.Request) -> web.StreamResponse:
        """Add a window."""
        try:
            body = msgspec.json.decode(await read_body(request, _BODY_LIMIT, _BODY_TIMEOUT), type=NewWindow)
            window = window_of(body, self._recorder.clock(), self._zone())
        except BodyRefused as error:
            return answers.error(error.status, error.code, str(error))
        except (msgspec.DecodeError, ValueError) as error:
            raise BadParameter(str(error)) from None
        number = await self._maintenance.add(window)
        shown = await self._shown(str(number), window)
        return answers.json(shown, 201)

    async def end(self, request: web.Request) -> web.StreamResponse:
        """End a window."""
        key = request.match_info["id"]
        if key.startswith("file-") and key in self._maintenance.schedule.windows:
            return answers.error(409, "in_file", "this window is in the configuration file: change it there and reload")
        if not (key.isascii() and key.isdecimal() and len(key) < 19 and await self._maintenance.end(int(key))):
            raise NotFound("no such window, or it is over")
        return web.Response(status=204)

    async def _shown(self, key: str, window: Window) -> MaintenanceWindow | None:
        now = self._recorder.clock()
        span = window.span(now)
        if span is None:
            return None
        active = span.start <= now
        matching, inside = await self._counted(window)
        return MaintenanceWindow(
            id=key,
            source="file" if key.startswith("file-") else "operator",
            match=Which(**msgspec.structs.asdict(window.match)),
            timezone=window.timezone,
            cron=window.cron,
            duration_seconds=window.duration,
            start=span.start,
            end=span.end,
            active=active,
            devices=inside if active else 0,
            matching=matching,
            comment=window.comment,
        )

    async def _counted(self, window: Window) -> tuple[int, int]:
        """Return how many devices a window is about, and how many of them are inside a window now."""
        matching, inside, pace = 0, 0, Pace()
        pace.start()
        for device in list(self._recorder.fleet.devices.values()):
            if window.holds(device.identity):
                matching += 1
                inside += device.timeline.in_window
            if pace.spent():
                await pace.rest()
        return matching, inside
