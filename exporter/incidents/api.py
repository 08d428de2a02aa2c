"""`/api/v1/incidents…`: list, one with its timeline, notes, status, export. Newest first; a cursor is a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from aiohttp import web

from exporter.incidents.api_types import (
    MOST,
    PATH,
    STATUS_FILTERS,
    USUAL,
    IncidentsPage,
    IncidentWithTimeline,
    NewNote,
    NewStatus,
    promised,
)
from exporter.incidents.export import FORMATS, Export
from exporter.incidents.model import MANUAL, Entry, Incident
from exporter.incidents.service import AlreadyResolved
from exporter.incidents.view import Filter, View
from exporter.lib.visible import shows
from exporter.lib.words import LANGUAGES
from exporter.web import answers
from exporter.web.body import BodyRefused, read_body
from exporter.web.openapi import Error
from exporter.web.operations import MOMENT, BadParameter, NotFound, Operation, Query, choice, moment, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.incidents.service import Incidents
    from exporter.incidents.wording import Wording
    from exporter.journal.port import Read, Rows
    from exporter.lib.words import Language

_Body = TypeVar("_Body")

_TAG: Final = "incidents"
EXPORT_PAGE: Final = 500
_BODY_LIMIT: Final = 64 * 1024
_BODY_TIMEOUT: Final = 10.0
_LARGEST: Final = 2**62

_NUMBER: Final = {"number": {"type": "integer", "minimum": 0}}
_FILTERS: Final = (
    Query("status", {"type": "string", "enum": list(STATUS_FILTERS)}, "Only with this status; open: not resolved."),
    *(Query(name, {"type": "string"}, f"Only with this {name}.") for name in ("engine", "business_id", "device_id")),
    Query("since", MOMENT, "Only outages that began then or later: Unix seconds or RFC 3339."),
)
_PAGE_QUERY: Final = (
    Query("limit", {"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL}, "Incidents on a page."),
    Query("cursor", {"type": "string", "pattern": "^[0-9]{0,18}$"}, "`next` of the page before."),
    *_FILTERS,
)
_EXPORT_QUERY: Final = (
    Query("format", {"type": "string", "enum": list(FORMATS), "default": "csv"}, "csv, or markdown with timelines."),
    Query("lang", {"type": "string", "enum": list(LANGUAGES)}, "Language of the Markdown; by default the alerts' one."),
    *_FILTERS,
)


class IncidentApi:
    """The handlers. `author` names who sent a request, `wording` gives the words of a language."""

    def __init__(
        self,
        incidents: Incidents,
        read: Read,
        clock: Callable[[], float],
        *,
        author: Callable[[web.Request], str],
        wording: Callable[[Language | None], Wording],
    ) -> None:
        self._incidents = incidents
        self._read = read
        self._clock = clock
        self._author = author
        self._wording = wording

    def operations(self) -> list[Operation]:
        """Return the operations to register."""
        one = f"{PATH}/{{number}}"
        busy = {503: Error}
        refused = {403: Error, 404: Error, 408: Error, 413: Error, 415: Error, **busy}
        exported = {200: "text/csv", **busy}
        return [
            Operation("GET", PATH, self.page, "List incidents", {200: IncidentsPage, **busy}, _PAGE_QUERY, tag=_TAG),
            Operation(
                "GET",
                f"{PATH}/export",
                self.export,
                "Incidents as a CSV or Markdown file",
                exported,
                _EXPORT_QUERY,
                tag=_TAG,
            ),
            Operation(
                "GET",
                one,
                self.one,
                "One incident",
                {200: IncidentWithTimeline, 404: Error, **busy},
                tag=_TAG,
                parameters=_NUMBER,
            ),
            Operation(
                "POST",
                f"{one}/notes",
                self.note,
                "Add a note",
                {201: Entry, **refused},
                body=NewNote,
                tag=_TAG,
                parameters=_NUMBER,
                description="Answered once the note is on disk.",
            ),
            Operation(
                "POST",
                f"{one}/status",
                self.status,
                "Set the status",
                {200: IncidentWithTimeline, 409: Error, **refused},
                body=NewStatus,
                tag=_TAG,
                parameters=_NUMBER,
                description="`resolved` cannot be set: it comes with the reconnect.",
            ),
        ]

    async def page(self, request: web.Request) -> web.StreamResponse:
        """Answer one page."""
        limit = whole(request, "limit", default=USUAL, least=1, most=MOST)
        before = cursor(request.query.get("cursor"))
        wanted = filters(request)
        now = self._clock()
        found = await self._read(lambda tables: View(tables).page(wanted, now, before=before, limit=limit + 1))
        following = str(found[limit - 1].number) if len(found) > limit else None
        return answers.json(IncidentsPage(found[:limit], following))

    async def one(self, request: web.Request) -> web.StreamResponse:
        """Answer one incident."""
        return answers.json(await self._one(number_of(request)))

    async def _one(self, number: int) -> IncidentWithTimeline:
        now = self._clock()
        found = await self._read(lambda tables: View(tables).one(number, now))
        if found is None:
            raise NotFound("no such incident")
        return IncidentWithTimeline(*found)

    async def note(self, request: web.Request) -> web.StreamResponse:
        """Add a note."""
        number = number_of(request)
        try:
            body = await _decoded(request, NewNote)
        except BodyRefused as error:
            return answers.error(error.status, error.code, str(error))
        text = clean(body.text)
        if not text:
            raise BadParameter("text is empty")
        entry = await self._incidents.add_note(
            number,
            text,
            author=self._author(request),
            key=body.key,
            public=body.public,
            next_update=_promised(body),
        )
        if entry is None:
            raise NotFound("no such incident")
        return answers.json(entry, 201)

    async def status(self, request: web.Request) -> web.StreamResponse:
        """Set the status."""
        number = number_of(request)
        try:
            body = await _decoded(request, NewStatus)
        except BodyRefused as error:
            return answers.error(error.status, error.code, str(error))
        if body.status not in MANUAL:
            raise BadParameter(f"status must be one of {', '.join(MANUAL)}; resolved comes with the reconnect")
        try:
            found = await self._incidents.set_status(
                number,
                body.status,
                text=clean(body.note),
                author=self._author(request),
                key=body.key,
                public=body.public,
                next_update=_promised(body),
            )
        except AlreadyResolved as error:
            return answers.error(409, error.code, str(error))
        if not found:
            raise NotFound("no such incident")
        return answers.json(await self._one(number))

    async def export(self, request: web.Request) -> web.StreamResponse:
        """Answer every incident that the filters let through as a file, page by page: memory does not grow."""
        form = choice(request, "format", FORMATS, "csv") or "csv"
        wanted, now = filters(request), self._clock()
        given = choice(request, "lang", LANGUAGES)
        language = next((language for language in LANGUAGES if language == given), None)
        export = Export(form, self._wording(language), now)
        response = web.StreamResponse(headers=export.headers())
        pages = Pages(wanted, now)
        first = await self._read(pages.next)  # what fails fails before the head is sent
        await response.prepare(request)
        await response.write(export.head().encode())
        while first:
            await response.write("".join(export.incident(*one) for one in first).encode())
            first = await self._read(pages.next)
        await response.write_eof()
        return response


class Pages:
    """Incidents with their timelines, some at a time."""

    def __init__(self, wanted: Filter, now: float) -> None:
        self._wanted = wanted
        self._now = now
        self._before: int | None = None
        self._over = False

    def next(self, tables: Rows) -> list[tuple[Incident, list[Entry]]]:
        """Return the next ones; none are left when it is empty."""
        if self._over:
            return []
        view = View(tables)
        found = view.page(self._wanted, self._now, before=self._before, limit=EXPORT_PAGE)
        self._over = len(found) < EXPORT_PAGE
        self._before = found[-1].number if found else None
        entries = view.timelines([incident.number for incident in found])
        return [(incident, entries[incident.number]) for incident in found]


def filters(request: web.Request) -> Filter:
    """Return what a query asks for. BadParameter for what cannot be."""
    since = moment(request, "since", -1.0)
    texts = {name: request.query.get(name) for name in ("engine", "business_id", "device_id")}
    return Filter(choice(request, "status", STATUS_FILTERS), **texts, since=since if since >= 0 else None)


def number_of(request: web.Request) -> int:
    """Return the incident's number of a path; NotFound for what is no number."""
    text = request.match_info["number"]
    if not (text.isascii() and text.isdecimal() and int(text[:20]) <= _LARGEST):
        raise NotFound("no such incident")
    return int(text[:20])


def cursor(text: str | None) -> int | None:
    """Return a cursor; BadParameter for one that no page gave."""
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise BadParameter("cursor is not one that a page gave as `next`")
    return int(text)


def clean(text: str) -> str:
    """Return a person's text with plain line ends and spaces, without control characters and white space around it.

    Empty where nothing is to be seen of it.
    """
    cleaned = "".join(map(_plain, text.replace("\r\n", "\n"))).strip()
    return cleaned if shows(cleaned) else ""


def _plain(letter: str) -> str:
    if letter.isprintable() or letter in "\n\u200d":  # the joiner holds an emoji together
        return letter
    return {"\t": " ", "\r": "\n", "\u2028": "\n", "\u2029": "\n"}.get(letter, " " if letter.isspace() else "")


def _promised(body: NewNote | NewStatus) -> float | None:
    try:
        return promised(body.next_update)
    except ValueError as error:
        raise BadParameter(str(error)) from None


async def _decoded(request: web.Request, kind: type[_Body]) -> _Body:
    try:
        return msgspec.json.decode(await read_body(request, _BODY_LIMIT, _BODY_TIMEOUT), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadParameter(str(error)) from None
