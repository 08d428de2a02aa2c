"""Status pages of the configuration: what a page may be called, and that no two can be taken for each other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from exporter.config.schema import Match
from exporter.lib.durations import format_duration

if TYPE_CHECKING:
    from exporter.config.checks import Checks
    from exporter.config.errors import Path
    from exporter.config.schema import Config, StatusPage

SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
HOST: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")
SITE: Final = re.compile(rf"https://{HOST.pattern}(:[0-9]{{1,5}})?")
LONGEST_TITLE: Final = 200
DAY: Final = 86400.0
LONGEST: Final = 366 * DAY


def checked(config: Config, zone: str, checks: Checks) -> tuple[StatusPage, ...]:
    """Return the pages with language and time zone filled in; mistakes are noted."""
    items, shared = config.pages.items, urlsplit(config.pages.external_url or "").hostname
    for place, page in enumerate(items):
        path: Path = ("pages", "items", f"[{place}]")
        _page(page, path, checks, longest=min(LONGEST, config.storage.retention), shared=shared)
        for former in items[:place]:
            if page.slug is not None and page.slug == former.slug:
                checks.wrong((*path, "slug"), "is another page's")
            if set(page.hosts) & set(former.hosts):
                checks.wrong((*path, "hosts"), "a name belongs to one page only")
            if page.slug is None and former.slug is None and _selection(page) == _selection(former):
                checks.wrong((*path, "slug"), "is required where another page shows the same devices")
    return tuple(_filled(page, config, zone) for page in items)


def _page(page: StatusPage, path: Path, checks: Checks, *, longest: float, shared: str | None) -> None:
    if not page.title.strip() or len(page.title) > LONGEST_TITLE:
        checks.wrong((*path, "title"), f"needs 1 to {LONGEST_TITLE} letters")
    if page.match in (None, Match()) and not page.devices:
        checks.wrong((*path, "match"), "needs at least one of device_id, engine, channel_id, business_id, or `devices`")
    if page.slug is not None and not SLUG.fullmatch(page.slug):
        checks.wrong((*path, "slug"), "may have up to 64 small letters, digits and hyphens, such as toko-makmur")
    if not all(HOST.fullmatch(host) for host in page.hosts):
        checks.wrong((*path, "hosts"), "expected names in small letters without port, such as status.example.com")
    if shared in page.hosts:
        checks.wrong((*path, "hosts"), "is the host of pages.external_url, where links in messages lead, too")
    if page.timezone:
        checks.zone(page.timezone, (*path, "timezone"))
    if not DAY <= page.history <= longest:
        checks.wrong((*path, "history"), f"must lie between 1d and {format_duration(longest)}, which the journal keeps")
    if not all(SITE.fullmatch(site) for site in page.frames):
        checks.wrong((*path, "frames"), "expected sites without a path, such as https://www.example.com")
    if page.contact is not None and urlsplit(page.contact).scheme not in ("http", "https", "mailto", "tel"):
        checks.wrong((*path, "contact"), "expected a URL that begins with https://, mailto: or tel:")


def _selection(page: StatusPage) -> tuple[object, ...]:
    return page.match, page.devices


def _filled(page: StatusPage, config: Config, zone: str) -> StatusPage:
    language, timezone = page.language or config.alerts.language, page.timezone or zone
    return msgspec.structs.replace(page, language=language, timezone=timezone)
