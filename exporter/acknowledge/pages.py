"""`/a/<token>`: what is down, who has it, and one form to say so. For phones, without scripts.

GET and HEAD change nothing, as chats and mail scanners fetch every link. The link is the authority, so it is shown to
nobody: no referrer, no index, no cache, a title without names.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qs, quote, unquote

from aiohttp import web

from exporter.acknowledge import store
from exporter.acknowledge.links import PATH
from exporter.acknowledge.service import UNDO_FOR, OutageOver
from exporter.acknowledge.store import EXPIRED
from exporter.conventions import ALERT_DEVICE_DOWN
from exporter.errors import JournalUnavailable, Overloaded
from exporter.incidents.api import clean
from exporter.incidents.model import MANUAL
from exporter.incidents.service import AlreadyResolved
from exporter.incidents.view import View
from exporter.lib.safe_text import one_line
from exporter.web.operations import NotFound
from exporter.web.pages import client_of, too_many
from exporter.web.rates import Rates

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.acknowledge.links import Links, Scope
    from exporter.acknowledge.service import Acknowledgements
    from exporter.acknowledge.store import Acknowledgement
    from exporter.alerting.alert import Alert
    from exporter.alerting.direct import DirectAlerts
    from exporter.incidents.model import Incident
    from exporter.incidents.service import Incidents
    from exporter.look.rendering import Renderer
    from exporter.recording.recorder import Recorder

CHOICES: Final[dict[str, float | None]] = {"1h": 3600.0, "4h": 4 * 3600.0, "until_up": None}
USUAL: Final = "4h"
NAME_LENGTH: Final = 64
NOTE_LENGTH: Final = 500
KEY_LENGTH: Final = 64
COOKIE: Final = "device_exporter_name"
COOKIE_AGE: Final = 365 * 86_400
EACH: Final = (10 / 60, 10.0)
"""Forms a second from one address, and how many at once."""
ALL: Final = (1.0, 60.0)


class Typed(NamedTuple):
    """What somebody wrote into a form that is shown again."""

    by: str = ""
    note: str = ""
    lasting: str = USUAL
    status: str = ""
    saying: bool = False
    """Whether it was the form that writes into the timeline."""


class AckPages:
    """The handlers."""

    def __init__(
        self,
        service: Acknowledgements,
        links: Links,
        alerts: DirectAlerts,
        recorder: Recorder,
        renderer: Renderer,
        incidents: Incidents,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._service = service
        self._incidents = incidents
        self._links = links
        self._alerts = alerts
        self._recorder = recorder
        self._renderer = renderer
        self._clock = clock
        self._each, self._all = Rates(*EACH), Rates(*ALL)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the pages listener."""
        one = f"{PATH}{{token:[a-z2-7]{{16}}}}"
        return [
            web.get(one, self.show),
            web.post(one, self.take),
            web.post(f"{one}/undo", self.undo),
            web.post(f"{one}/say", self.say),
            web.get(f"{one}/{{form:undo|say}}", self.lead_back),
        ]

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Answer the page."""
        return await self._page(request, self._scope(request))

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Let somebody have the outage, and show it."""
        scope = self._scope(request)
        if not self._allowed(request):
            return too_many()
        form = await _form(request)
        by, note, lasting = one_line(clean(form.get("by", ""))), clean(form.get("note", "")), form.get("for", USUAL)
        typed = Typed(by, note, lasting)
        if wrong := _wrong(by, note, lasting):
            return await self._page(request, scope, status=400, message=wrong, typed=typed)
        try:
            await self._service.take(scope, by, note, CHOICES[lasting])
        except OutageOver:
            pass  # the page says how it ended
        except (JournalUnavailable, Overloaded):
            return await self._page(request, scope, status=503, message="not_saved", typed=typed)
        return _remembering(by, request, _back(f"./{request.match_info['token']}"))

    async def lead_back(self, request: web.Request) -> web.StreamResponse:
        """Answer who opens the address of a form, as after one that was refused: the page is one step up."""
        return _back(f"../{request.match_info['token']}")

    async def undo(self, request: web.Request) -> web.StreamResponse:
        """Take it back, and show the page."""
        scope = self._scope(request)
        if not self._allowed(request):
            return too_many()
        number = (await _form(request)).get("number", "")
        if number.isascii() and number.isdecimal():
            await self._service.undo(scope, int(number[:18]))
        return _back(f"../{request.match_info['token']}")

    async def say(self, request: web.Request) -> web.StreamResponse:
        """Write a note or another status into the timeline of a device's incident, and show the page."""
        scope = self._scope(request)
        if not self._allowed(request):
            return too_many()
        form, incident = await _form(request), await self._incident(scope, self._recorder.clock())
        by, note, status = one_line(clean(form.get("by", ""))), clean(form.get("note", "")), form.get("status", "")
        if incident is None:
            raise NotFound("no such incident")
        typed, key = Typed(by, note, status=status, saying=True), form.get("key", "")[:KEY_LENGTH] or None
        is_status = status in MANUAL and incident.resolved_at is None
        says_something = note or (is_status and status != incident.status)
        if wrong := _wrong(by, note, USUAL) or ("" if says_something else "nothing_said"):
            return await self._page(request, scope, status=400, message=wrong, typed=typed)
        try:
            if is_status:
                await self._incidents.set_status(incident.number, status, text=note, author=by, key=key)
            else:
                await self._incidents.add_note(incident.number, note, author=by, key=key)
        except AlreadyResolved:
            pass  # the page says how it ended
        except (JournalUnavailable, Overloaded):
            return await self._page(request, scope, status=503, message="not_saved", typed=typed)
        return _remembering(by, request, _back(f"../{request.match_info['token']}"))

    def _scope(self, request: web.Request) -> Scope:
        scope = self._links.find(request.match_info["token"])
        if scope is None:
            raise NotFound("no such link")
        return scope

    def _allowed(self, request: web.Request) -> bool:
        now = self._clock()
        return self._each.take(client_of(request), now) and self._all.take("", now)

    async def _page(
        self,
        request: web.Request,
        scope: Scope,
        *,
        status: int = 200,
        message: str = "",
        typed: Typed = Typed(),  # noqa: B008 - nothing changes it
    ) -> web.StreamResponse:
        now, runs = self._recorder.clock(), self._service.runs(scope)
        incident = await self._incident(scope, now)
        last = await self._last(scope)
        own = self._own(scope, last) if runs else None
        taken = own or (self._of_mass_outage(scope) if runs else None)
        before = taken or last
        token = request.match_info["token"]
        here = f"./{token}" if request.path.endswith(token) else f"../{token}"
        response = self._renderer.page(
            request,
            "acknowledge.html",
            status=status,
            here=here,
            action=here,
            scope=scope,
            of_device=scope.key[0] == ALERT_DEVICE_DOWN,
            incident=incident,
            alert=self._alert(scope),
            down=len(self._service.devices(scope.key)),
            device=self._recorder.fleet.devices.get(scope.key[1]),
            runs=runs,
            now=now,
            taken=taken,
            had=before if taken is None else None,
            expired=before is not None and before.ending == EXPIRED,
            undo=own is not None and now - own.at <= UNDO_FOR,
            message=message,
            by=typed.by or unquote(request.cookies.get(COOKIE, ""))[:NAME_LENGTH],
            typed=typed,
            statuses=MANUAL,
            key=secrets.token_hex(8),
            choices=list(CHOICES),
            longest=self._service.longest(scope.key),
            name_length=NAME_LENGTH,
            note_length=NOTE_LENGTH,
        )
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    def _own(self, scope: Scope, last: Acknowledgement | None) -> Acknowledgement | None:
        """Return who has an outage itself: also one of whom another exporter wrote just now."""
        return self._service.active.get(scope.key) or (last if last is not None and last.ended_at is None else None)

    def _of_mass_outage(self, scope: Scope) -> Acknowledgement | None:
        """Return who has the mass outage that the one of a device is part of."""
        device = self._recorder.fleet.down.get(scope.key[1]) if scope.key[0] == ALERT_DEVICE_DOWN else None
        return self._service.of_device(device) if device is not None else None

    def _alert(self, scope: Scope) -> Alert | None:
        return self._alerts.alerts.firing.get(scope.key)

    async def _incident(self, scope: Scope, now: float) -> Incident | None:
        (alert, subject), anchor = scope
        if alert != ALERT_DEVICE_DOWN:
            return None
        return await self._recorder.read(lambda tables: View(tables).of_outage(subject, anchor, now))

    async def _last(self, scope: Scope) -> Acknowledgement | None:
        (alert, subject), anchor = scope
        return await self._recorder.read(lambda tables: store.last(tables, alert, subject, anchor))


def _wrong(by: str, note: str, lasting: str) -> str:
    """Return the name of the text that says what is wrong with a form; empty: nothing."""
    if not by:
        return "name_empty"
    if len(by) > NAME_LENGTH:
        return "name_long"
    if len(note) > NOTE_LENGTH:
        return "note_long"
    return "" if lasting in CHOICES else "bad_choice"


async def _form(request: web.Request) -> dict[str, str]:
    """Return a form's fields, none of what is no form."""
    if request.content_type != "application/x-www-form-urlencoded":
        return {}
    try:
        fields = parse_qs((await request.read()).decode(), keep_blank_values=True, max_num_fields=10)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


def _back(where: str) -> web.Response:
    return web.Response(status=303, headers={"Location": where, "Cache-Control": "no-store"})


def _remembering(by: str, request: web.Request, answer: web.Response) -> web.Response:
    """Let the browser keep a name for the next time."""
    answer.set_cookie(
        COOKIE, quote(by), path="/", max_age=COOKIE_AGE, httponly=True, samesite="Lax", secure=_is_secure(request)
    )
    return answer


def _is_secure(request: web.Request) -> bool:
    return request.headers.get("X-Forwarded-Proto", request.scheme) == "https"
