"""Draws pages seldom and answers often: what was drawn is kept, whole and packed, until it is old or untrue.

A page is read from the journal in a thread, at most once a second where its devices change and every `AGE` seconds
where they do not; viewers in between get the bytes that are there. If the journal cannot be read, the page says since
when nothing is known.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from exporter.errors import JournalUnavailable
from exporter.lib.times import zone_of
from exporter.look.language import other_language
from exporter.status_pages import drawing, machine
from exporter.status_pages.past import is_month, of_device, of_month
from exporter.status_pages.picture import Surroundings, take
from exporter.web.operations import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from exporter.config import Config
    from exporter.config.schema import StatusPage
    from exporter.journal.port import Reader
    from exporter.lib.words import Language
    from exporter.maintenance.repeated import Span
    from exporter.maintenance.windows import Window
    from exporter.recording.recorder import Recorder
    from exporter.status_pages.past import Past
    from exporter.status_pages.picture import Picture

AGE: Final = 10.0
"""Seconds after which a page is drawn anew, behind the back of who asks for it."""
OLD: Final = 60.0
"""Seconds after which whoever asks waits for the new one."""
PAUSE: Final = 1.0
TYPES: Final = {
    "page": "text/html",
    "month": "text/html",
    "device": "text/html",
    "feed.atom": "application/atom+xml",
    "summary.json": "application/json",
    "status.json": "application/json",
    "badge.svg": "image/svg+xml",
    "badge.json": "application/json",
    "bars.svg": "image/svg+xml",
}
PARTS: Final = tuple(name for name in TYPES if "." in name)
METRICS: Final = ("state", "90d", "30d")


class Drawn(NamedTuple):
    """One answer."""

    body: bytes
    packed: bytes
    tag: str


class Wanted(NamedTuple):
    """Which answer: a part in a language, for who came by the page's own host or by its address.

    `which` is the month or the device, of the parts that are about one; of the page its number, empty for the first.
    """

    part: str
    language: Language
    metric: str
    own_host: bool
    url: str
    which: str = ""


class _Shown:
    """A page as it is now, and what was drawn of it."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self.drawn: dict[Wanted, asyncio.Task[Drawn]] = {}


class StatusPages:
    """`windows` gives planned windows with their running or next time, `covered` the channels that a backup serves."""

    def __init__(
        self,
        recorder: Recorder,
        config: Callable[[], Config],
        windows: Callable[[float], Iterable[tuple[Window, Span]]],
        covered: Callable[[], Collection[str]],
    ) -> None:
        self._recorder = recorder
        self._config = config
        self._windows = windows
        self._covered = covered
        self._shown: dict[str, _Shown] = {}
        self._taking: dict[str, asyncio.Task[None]] = {}

    def clear(self) -> None:
        """Forget everything that was drawn: the pages are others."""
        self._shown.clear()

    async def draw(self, slug: str, page: StatusPage, wanted: Wanted) -> Drawn:
        """Return one answer. NotFound for what the page does not have, JournalUnavailable where nothing was read."""
        shown = await self._current(slug, page)
        if not _has(shown.picture, wanted):
            raise NotFound("no such part of a page")
        task = shown.drawn.get(wanted)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = shown.drawn[wanted] = asyncio.create_task(self._drawn(shown.picture, wanted))
        return await asyncio.shield(task)

    async def _drawn(self, picture: Picture, wanted: Wanted) -> Drawn:
        if wanted.part not in _PAST:
            return await asyncio.to_thread(_draw, picture, wanted, None)
        read = _PAST[wanted.part]
        past = await self._recorder.read(lambda reader: read(reader, picture, wanted.which))
        return await asyncio.to_thread(_draw, picture, wanted, past)

    async def _current(self, slug: str, page: StatusPage) -> _Shown:
        shown, now = self._shown.get(slug), self._recorder.clock()
        if shown is None or shown.picture.page is not page:
            await self._take(slug, page)
            return self._shown[slug]
        age = now - shown.picture.at
        if age >= OLD or age < -PAUSE or (age >= PAUSE and self._has_changed(shown.picture)):
            await self._take(slug, page)
        elif age >= AGE:
            self._taken(slug, page)
        return self._shown[slug]

    def _has_changed(self, picture: Picture) -> bool:
        return any(device.timeline is not timeline for device, timeline in (one.watched for one in picture.components))

    async def _take(self, slug: str, page: StatusPage) -> None:
        await asyncio.shield(self._taken(slug, page))

    def _taken(self, slug: str, page: StatusPage) -> asyncio.Task[None]:
        """Return the reading of a page that is under way, begun if need be."""
        task = self._taking.get(slug)
        if task is None:
            task = self._taking[slug] = asyncio.create_task(self._read(slug, page), name="status_page")
            task.add_done_callback(lambda done: self._done(slug, done))
        return task

    def _done(self, slug: str, task: asyncio.Task[None]) -> None:
        self._taking.pop(slug, None)
        if not task.cancelled():
            task.exception()  # whoever waited has it

    async def _read(self, slug: str, page: StatusPage) -> None:
        around = self._surroundings()
        try:
            picture = await self._recorder.read(lambda reader: take(reader, slug, page, around))
        except JournalUnavailable:
            former = self._shown.get(slug)
            if former is None or former.picture.page is not page:
                raise
            if not former.picture.blind:
                self._shown[slug] = _Shown(replace(former.picture, blind=True))
            return
        if not self._recorder.healthy:
            picture = replace(picture, blind=True)
        self._shown[slug] = _Shown(picture)

    def _surroundings(self) -> Surroundings:
        config, now = self._config(), self._recorder.clock()
        return Surroundings(
            now,
            list(self._recorder.fleet.devices.values()),
            list(self._windows(now)),
            frozenset(self._covered()),
            lambda engine: config.policies.for_engine(engine).objective_ratio,
            [(pair.channel, pair.backup) for pair in config.failover],
        )


_MACHINES: Final[dict[str, Callable[[Picture, Language, str], str | bytes]]] = {
    "feed.atom": machine.feed,
    "summary.json": machine.summary,
    "status.json": machine.status,
}
_PAST: Final[dict[str, Callable[[Reader, Picture, str], Past]]] = {"month": of_month, "device": of_device}


def _has(picture: Picture, wanted: Wanted) -> bool:
    if wanted.part == "page" and wanted.which:
        return wanted.which in map(str, range(2, drawing.pages_of(picture) + 1))
    if wanted.part == "month":
        return is_month(wanted.which, picture.at, zone_of(picture.page.timezone))
    return wanted.part != "device" or any(one.key == wanted.which for one in picture.components)


def _draw(picture: Picture, wanted: Wanted, past: Past | None) -> Drawn:
    body = _body(picture, wanted) if past is None else _past_body(picture, wanted, past)
    content = body if isinstance(body, bytes) else body.encode(errors="replace")
    return Drawn(content, gzip.compress(content, 6, mtime=0), hashlib.sha256(content).hexdigest()[:24])


def _body(picture: Picture, wanted: Wanted) -> str | bytes:
    language, url = wanted.language, wanted.url
    match wanted.part:
        case "page":
            return drawing.page(picture, language, *_links(picture, wanted), url, int(wanted.which or 1))
        case "feed.atom" | "summary.json" | "status.json" as part:
            return _MACHINES[part](picture, language, url)
        case "badge.json":
            return machine.badge_json(picture, language, wanted.metric)
        case "badge.svg":
            return drawing.badge(picture, language, wanted.metric)
    return drawing.strip(picture, language)


def _past_body(picture: Picture, wanted: Wanted, past: Past) -> str:
    language = wanted.language
    if wanted.part == "device":
        home = "./" if wanted.own_host else f"../{picture.slug}"
        switch = f"./{wanted.which}?lang={other_language(language)}"
        return drawing.device_page(picture, past, language, home, switch)
    base, switch = _links(picture, wanted)
    return drawing.month_page(picture, past, wanted.which, language, base, switch)


def _links(picture: Picture, wanted: Wanted) -> tuple[str, str]:
    """Return the ways from a page, or one of its months, to its parts and to itself in the other language."""
    here, base = ("./", "./") if wanted.own_host else (picture.slug, f"{picture.slug}/")
    which = f"{wanted.part}={wanted.which}&" if wanted.which else ""
    return base, f"{here}?{which}lang={other_language(wanted.language)}"
