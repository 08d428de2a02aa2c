"""Which language a reader wants: the switch, then the cookie that it left, then the browser, then the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exporter.lib.words import LANGUAGES

if TYPE_CHECKING:
    from aiohttp import web

    from exporter.lib.words import Language

COOKIE: Final = "device_exporter_lang"
COOKIE_AGE: Final = 365 * 86400
_OLD_INDONESIAN: Final = "in"  # what Java and older Androids call it


def chosen_language(request: web.Request) -> Language | None:
    """Return the wanted language; None where nothing that was said is one of ours."""
    for given in (request.query.get("lang"), request.cookies.get(COOKIE)):
        for language in LANGUAGES:
            if given == language:
                return language
    return accepted_language(request.headers.get("Accept-Language", ""))


def accepted_language(header: str) -> Language | None:
    """Return the best of our languages that an Accept-Language header names; of equals the first one."""
    best: tuple[float, Language] | None = None
    for part in header.split(","):
        tag, _, parameter = part.partition(";")
        primary = tag.strip().lower().split("-")[0]
        weight = _weight(parameter)
        for language in LANGUAGES:
            named = primary == language or (language == "id" and primary == _OLD_INDONESIAN)
            if named and weight > (best[0] if best is not None else 0):
                best = (weight, language)
    return best[1] if best is not None else None


def other_language(language: Language) -> Language:
    """Return the one to switch to."""
    return "en" if language == "id" else "id"


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name != "q":
        return 1.0
    try:
        return min(1.0, max(0.0, float(value)))
    except ValueError:
        return 0.0
