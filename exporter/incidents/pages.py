"""`/incidents`: pages for people, made here, without scripts, foreign resources or state beyond a language cookie.

Other sites cannot make a browser change anything: besides the listener's check of origins, a form carries a token that
only a page of this process holds. A key in it makes sending the form twice the same as once.
"""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from exporter.errors import JournalUnavailable, Overloaded
from exporter.incidents.api import clean, number_of
from exporter.incidents.api_types import STATUS_FILTERS, promised
from exporter.incidents.listing import Line, Listing, Place
from exporter.incidents.model import MANUAL, NOTE_LENGTH, Entry, Incident
from exporter.incidents.service import AlreadyResolved
from exporter.incidents.view import Filter, View
from exporter.look.rendering import base
from exporter.web.error_pages import with_error_pages
from exporter.web.forms import Token, read_form
from exporter.web.operations import BadParameter, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from exporter.incidents.service import Incidents
    from exporter.journal.port import Read, Rows
    from exporter.look.rendering import Renderer


PATH: Final = "/incidents"
ON_A_PAGE: Final = 50
RENEW: Final = 60
"""Seconds."""
LONGEST_SEARCH: Final = 200
NEXT_UPDATES: Final = ("30m", "1h", "2h", "4h", "1d")
"""Within which time a note may promise the next one."""
_CURSOR: Final = re.compile(r"[01]-[0-9]{1,12}-[0-9]{1,18}", re.ASCII)
_SECTION: Final = "incidents"
_SEVERITIES: Final = ("critical", "warning", "info")
_NO_FILTERS: Final = ("lang", "cursor", "all", "renew")
_OF_THE_API: Final = ("status", "engine", "business_id", "device_id")


class _Refused(Exception):
    """A form that is not saved; `reason` is the name of a text."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class IncidentPages:
    """The pages. `author` names who sent a form; dates in filters are days of `zone`.

    `least` is the shortest outage that is listed unless all are asked for, seconds. `planned` tells whether a device
    is in maintenance now.
    """

    def __init__(
        self,
        incidents: Incidents,
        read: Read,
        clock: Callable[[], float],
        *,
        author: Callable[[web.Request], str],
        renderer: Renderer,
        zone: Callable[[], tzinfo],
        least: Callable[[], float] = lambda: 0.0,
        planned: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._incidents = incidents
        self._read = read
        self._clock = clock
        self._author = author
        self._renderer = renderer
        self._zone = zone
        self._least = least
        self._planned = planned
        self._token = Token()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to register."""
        one = f"{PATH}/{{number:[0-9]{{1,18}}}}"
        page = partial(with_error_pages, show=self._error, unknown="not_found")
        return [
            web.get(PATH, page(self.index)),
            web.get(one, page(self.one)),
            web.post(f"{one}/notes", page(self.add_note)),
            web.post(f"{one}/status", page(self.set_status)),
        ]

    async def index(self, request: web.Request) -> web.StreamResponse:
        """Answer the list."""
        given = {name: value for name, value in request.query.items() if value and name not in _NO_FILTERS}
        wanted, everything = self._filter(given), request.query.get("all") == "1"
        after, now = _place(request.query.get("cursor", "")), self._clock()

        def read(tables: Rows) -> dict[str, Any]:
            view, listing = View(tables), Listing(tables, now, self._least(), everything=everything)
            return {
                "found": listing.page(wanted, after, ON_A_PAGE + 1),
                "totals": listing.totals(),
                "engines": view.choices("engine"),
                "businesses": view.choices("business_id"),
            }

        values = await self._read(read)
        found = values.pop("found")
        kept = given | ({"all": "1"} if everything else {})
        older = {**kept, "cursor": _cursor(found[ON_A_PAGE - 1])} if len(found) > ON_A_PAGE else None
        known = {name: value for name, value in given.items() if name in _OF_THE_API}
        exported = {**known, "since": f"{wanted.since:.0f}"} if wanted.since is not None else known
        return self._renderer.page(
            request,
            "list.html",
            section=_SECTION,
            renew=RENEW,
            now=now,
            lines=found[:ON_A_PAGE],
            in_maintenance=self._in_maintenance,
            statuses=STATUS_FILTERS,
            severities=_SEVERITIES,
            wanted=wanted,
            since=given.get("since", ""),
            filtered=bool(given),
            everything=everything,
            everything_url=f"{base(request)}incidents?{urlencode(given if everything else {**given, 'all': '1'})}",
            paged=after is not None,
            older_url=f"{base(request)}incidents?{urlencode(older)}" if older else None,
            newest_url=f"{base(request)}incidents?{urlencode(kept)}" if after is not None else None,
            export_query=f"{urlencode(exported)}&" if exported else "",
            **values,
        )

    async def one(self, request: web.Request) -> web.StreamResponse:
        """Answer one incident."""
        return await self._show(request)

    async def add_note(self, request: web.Request) -> web.StreamResponse:
        """Save a note and show it."""
        number, form = number_of(request), await read_form(request)
        text = clean(form.get("text", ""))
        try:
            self._check(form, text, reason="" if text else "note_empty")
            found = await self._incidents.add_note(number, text, **self._of_form(request, form)) is not None
        except _Refused as refused:
            return await self._show(request, refused, draft=text)
        except (JournalUnavailable, Overloaded):
            return await self._show(request, _Refused(503, "not_saved"), draft=text)
        return _saved(number, found=found)

    async def set_status(self, request: web.Request) -> web.StreamResponse:
        """Save a status and show it."""
        number, form = number_of(request), await read_form(request)
        text, status = clean(form.get("note", "")), form.get("status", "")
        try:
            self._check(form, text, reason="" if status in MANUAL else "bad_status")
            found = await self._incidents.set_status(number, status, text=text, **self._of_form(request, form))
        except AlreadyResolved:
            return await self._show(request, _Refused(409, "already_resolved"), draft=text)
        except _Refused as refused:
            return await self._show(request, refused, status_draft=text, chosen=status)
        except (JournalUnavailable, Overloaded):
            return await self._show(request, _Refused(503, "not_saved"), status_draft=text, chosen=status)
        return _saved(number, found=found)

    def _of_form(self, request: web.Request, form: dict[str, str]) -> dict[str, Any]:
        """Return what both forms say of a note besides its words."""
        next_update = form.get("next_update")
        return {
            "author": self._author(request),
            "key": form.get("key"),
            "public": "public" in form,
            "next_update": promised(next_update) if next_update in NEXT_UPDATES else None,
        }

    def _check(self, form: dict[str, str], text: str, *, reason: str) -> None:
        """Refuse a form of another process or site, a text that is too long, or for the reason given."""
        if not self._token.is_in(form):
            raise _Refused(403, "stale")
        if len(text) > NOTE_LENGTH:
            raise _Refused(400, "too_long")
        if reason:
            raise _Refused(400, reason)

    async def _show(
        self,
        request: web.Request,
        refused: _Refused | None = None,
        *,
        draft: str = "",
        status_draft: str = "",
        chosen: str = "",
    ) -> web.StreamResponse:
        """Answer an incident; a form that was refused keeps what was typed."""
        number, now = number_of(request), self._clock()

        def read(tables: Rows) -> tuple[Line, list[Entry], list[Incident]] | None:
            found, listing = View(tables).one(number, now), Listing(tables, now, 0.0)
            return None if found is None else (listing.line(found[0]), found[1], listing.parts(number))

        found = await self._read(read)
        if found is None:
            raise NotFound("no such incident")
        line, timeline, parts = found
        words = self._renderer.words(request)
        return self._renderer.page(
            request,
            "one.html",
            section=_SECTION,
            here=None if request.method in ("GET", "HEAD") else f"../{number}",
            status=refused.status if refused is not None else 200,
            one=line.head,
            line=line,
            planned=self._in_maintenance(line),
            is_planned=self._planned,
            parts=parts,
            timeline=timeline,
            message=words.text(refused.reason, most=words.number(NOTE_LENGTH)) if refused is not None else "",
            manual=MANUAL,
            chosen=chosen or line.head.status,
            draft=draft,
            status_draft=status_draft,
            note_length=NOTE_LENGTH,
            next_updates=[(text, promised(text)) for text in NEXT_UPDATES],
            token=self._token.value,
            key=secrets.token_hex(8),
        )

    def _in_maintenance(self, line: Line) -> bool:
        """Return whether what runs is one device's and planned."""
        return line.running and line.devices == 1 and self._planned(line.head.device_id)

    def _error(self, request: web.Request, status: int, name: str, detail: str) -> web.Response:
        return self._renderer.page(
            request,
            "error.html",
            status=status,
            section=_SECTION,
            here=f"{base(request)}{_SECTION}",
            words=self._renderer.words(request).text(name),
            detail=detail,
            back=_SECTION,
        )

    def _filter(self, given: dict[str, str]) -> Filter:
        status, since = given.get("status"), given.get("since")
        if status is not None and status not in STATUS_FILTERS:
            raise BadParameter(f"status: {', '.join(STATUS_FILTERS)}")
        severity, search = given.get("severity"), given.get("q", "").strip()
        if severity is not None and severity not in _SEVERITIES:
            raise BadParameter(f"severity: {', '.join(_SEVERITIES)}")
        if len(search) > LONGEST_SEARCH:
            raise BadParameter(f"q: {LONGEST_SEARCH}")
        wanted = Filter(
            status,
            given.get("engine"),
            given.get("business_id"),
            given.get("device_id"),
            severity=severity,
            search=search or None,
        )
        if since is None:
            return wanted
        try:
            day = datetime.strptime(since, "%Y-%m-%d").replace(tzinfo=self._zone())
            return msgspec.structs.replace(wanted, since=max(0.0, day.timestamp()))
        except (ValueError, OverflowError):
            raise BadParameter("since: 2025-01-31") from None


def _cursor(line: Line) -> str:
    return "-".join(map(str, line.place))


def _place(text: str) -> Place | None:
    """Return where the list goes on; BadParameter for a cursor that no page gave."""
    if not text:
        return None
    if not _CURSOR.fullmatch(text):
        raise BadParameter("cursor")
    return Place(*(int(part) for part in text.split("-")))


def _saved(number: int, *, found: bool) -> web.Response:
    """Send the browser to the incident, so that reloading does not send the form again."""
    if not found:
        raise NotFound("no such incident")
    return web.Response(status=303, headers={"Location": f"../{number}#timeline", "Cache-Control": "no-store"})
