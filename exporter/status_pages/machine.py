"""A picture for programs: an Atom feed, a summary in the shape that status tools know, and a badge's words. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import msgspec

from exporter.days.sums import last_days, midnight
from exporter.lib.safe_text import harmless
from exporter.lib.times import local, rfc3339
from exporter.status_pages.drawing import LISTED_DAYS, badge_words
from exporter.status_pages.picture import PLANNED, key_of, ratio_of
from exporter.status_pages.words import PageWords

if TYPE_CHECKING:
    from exporter.lib.words import Language
    from exporter.maintenance.repeated import Span
    from exporter.status_pages.picture import Picture, PublicIncident

ATOM: Final = "http://www.w3.org/2005/Atom"
MOST_ENTRIES: Final = 30
STATES: Final = {"up": "operational", "down": "major_outage", "covered": "degraded_performance"}
"""What others call a device's state; `planned` is `under_maintenance`."""


def feed(picture: Picture, language: Language, url: str) -> str:
    """Return the incidents and planned times as an Atom feed (RFC 4287).

    An entry keeps its id whatever becomes of it, and `updated` moves only when something of it changed.
    """
    words = PageWords(language, picture)
    host = urlsplit(url).hostname or "localhost"
    root = ET.Element("feed", {"xmlns": ATOM, "xml:lang": language})
    _element(root, "id", f"tag:{host},2026:page/{picture.slug}")
    _element(root, "title", words.text("feed_title", title=picture.page.title))
    _element(root, "link", href=url)
    _element(root, "link", rel="self", href=f"{url.rstrip('/')}/feed.atom")
    begun = (span.start for span, _ in picture.windows if span.start < picture.at)
    watched = min((one.watched[1].first_seen for one in picture.components), default=midnight(picture.at, words.zone))
    _element(root, "updated", rfc3339(max([watched, *(one.updated_at for one in picture.incidents), *begun])))
    author = _element(root, "author")
    _element(author, "name", picture.page.title)
    for one in picture.incidents[:MOST_ENTRIES]:
        _incident(root, one, words, host, url)
    for span, count in picture.windows:
        _window(root, span, count, words, f"tag:{host},2026:page/{picture.slug}", url)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode")


def summary(picture: Picture, language: Language, url: str) -> bytes:
    """Return the page as JSON in the shape of Statuspage's `summary.json`, with what that cannot say under `x_…`."""
    words, total = PageWords(language, picture), picture.total()
    told = [one for one in picture.incidents if one.status != PLANNED]  # it stands with the maintenance
    content: dict[str, Any] = _status(picture, words, url) | {
        "components": [
            {
                "id": one.key,
                "name": harmless(words.name(one)),
                "status": STATES.get(one.state, "under_maintenance"),
                "updated_at": rfc3339(one.since),
                "x_availability": one.ratio,
            }
            for one in picture.components
        ],
        "incidents": [_told(one, words, url) for one in told[:MOST_ENTRIES]],
        "scheduled_maintenances": [
            {
                "id": key_of(picture.slug, span),
                "name": words.text("feed_planned"),
                "status": "in_progress" if span.start <= picture.at else "scheduled",
                "scheduled_for": rfc3339(span.start),
                "scheduled_until": rfc3339(span.end),
            }
            for span, _ in picture.windows
        ],
        "x_availability": ratio_of(total),
        "x_days": len(total),
        "x_unknown_since": rfc3339(picture.at) if picture.blind else None,
    }
    return msgspec.json.encode(content)


def status(picture: Picture, language: Language, url: str) -> bytes:
    """Return the one sentence in the shape of Statuspage's `status.json`."""
    return msgspec.json.encode(_status(picture, PageWords(language, picture), url))


def _status(picture: Picture, words: PageWords, url: str) -> dict[str, Any]:
    indicator = "none" if picture.indicator == "unknown" else picture.indicator
    about = {"id": picture.slug, "name": harmless(picture.page.title), "url": url}
    about |= {"time_zone": picture.page.timezone, "updated_at": rfc3339(picture.at)}
    return {"page": about, "status": {"indicator": indicator, "description": words.banner(picture)}}


def badge_json(picture: Picture, language: Language, metric: str) -> bytes:
    """Return a badge's words for `img.shields.io/endpoint`."""
    label, said, colour = badge_words(picture, language, metric)
    bad = picture.indicator in ("major", "critical")
    return msgspec.json.encode({"schemaVersion": 1, "label": label, "message": said, "color": colour, "isError": bad})


def _told(one: PublicIncident, words: PageWords, url: str) -> dict[str, Any]:
    return {
        "id": one.key,
        "name": _headline(one, words),
        "status": one.status,
        "created_at": rfc3339(one.started_at),
        "updated_at": rfc3339(one.updated_at),
        "resolved_at": None if one.resolved_at is None else rfc3339(one.resolved_at),
        "shortlink": _link(one, words, url),
        "incident_updates": [{"created_at": rfc3339(note.at), "body": harmless(note.text)} for note in one.notes],
        "x_next_update_by": None if one.next_update_at is None else rfc3339(one.next_update_at),
    }


def _link(one: PublicIncident, words: PageWords, url: str) -> str:
    """Return where an incident stands: on the page, or on that of its month."""
    is_old = one.resolved_at is not None and one.started_at < last_days(LISTED_DAYS, words.at, words.zone)[0]
    month = f"?month={local(one.started_at, words.zone):%Y-%m}" if is_old else ""
    return f"{url}{month}#i-{one.key}"


def _headline(one: PublicIncident, words: PageWords) -> str:
    return words.text("feed_down", channel=harmless(one.name) or words.text("unnamed"))


def _incident(root: ET.Element, one: PublicIncident, words: PageWords, host: str, url: str) -> None:
    entry = _element(root, "entry")
    _element(entry, "id", f"tag:{host},2026:incident/{one.key}")
    _element(entry, "title", f"{words.known('status', one.status)}: {_headline(one, words)}")
    _element(entry, "link", href=_link(one, words, url))
    _element(entry, "published", rfc3339(one.started_at))
    _element(entry, "updated", rfc3339(one.updated_at))
    lines = [f"{words.time(note.at)}: {note.text}" for note in one.notes]
    if one.resolved_at is not None:
        lines.insert(0, f"{words.time(one.resolved_at)}: {words.text('status_resolved')}")
    lines.append(words.text("since", time=words.time(one.started_at)))
    _element(entry, "content", "\n".join(lines), type="text")


def _window(root: ET.Element, span: Span, count: int, words: PageWords, tag: str, url: str) -> None:
    entry = _element(root, "entry")
    _element(entry, "id", f"{tag}/planned/{span.start}-{span.end}")
    _element(entry, "title", words.text("feed_planned"))
    _element(entry, "link", href=url)
    _element(entry, "updated", rfc3339(span.start))
    said = f"{words.span(span.start, span.end)}, {words.counted('channels', count)}"
    _element(entry, "content", said, type="text")


def _element(parent: ET.Element, name: str, text: str = "", **attributes: str) -> ET.Element:
    made = ET.SubElement(parent, name, attributes)
    made.text = harmless(text) or None
    return made
