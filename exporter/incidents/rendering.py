"""Renders a page: its template, language, headers and links. Everything that comes from outside is escaped.

Links are relative, so that pages work below a proxy's path prefix too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from exporter.incidents.language import COOKIE, COOKIE_AGE, chosen_language, other_language
from exporter.lib.safe_text import harmless
from exporter.lib.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.incidents.wording import Wording
    from exporter.lib.words import Language

_LONGEST_LABEL: Final = 48
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": "Accept-Language, Cookie",
}


class PageRenderer:
    """Renders templates. `wording` gives the words of a language, None for the configured one.

    `nobody` tells why nobody is notified: every page says so.
    """

    def __init__(
        self, wording: Callable[[Language | None], Wording], nobody: Callable[[], str | None] = lambda: None
    ) -> None:
        self._wording = wording
        self._nobody = nobody
        self._templates = Environment(
            loader=PackageLoader(__package__),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            finalize=_finalize,
        )
        self._templates.filters |= {"short": _short, "rfc3339": rfc3339, "slug": _slug}

    def words(self, request: web.Request) -> Wording:
        """Return the words of the reader's language."""
        return self._wording(chosen_language(request))

    def page(self, request: web.Request, template: str, *, status: int = 200, **values: object) -> web.Response:
        """Answer a page; a language that was switched to is remembered."""
        words = self.words(request)
        other = other_language(words.language)
        text = self._templates.get_template(template).render(
            language=words.language,
            t=words.text,
            w=words,
            base=base(request),
            nobody=self._nobody(),
            other_language=other,
            other_language_url=_switch(request, other),
            **values,
        )
        response = web.Response(status=status, text=text, content_type="text/html", headers=_HEADERS)
        if request.query.get("lang") == words.language:
            response.set_cookie(COOKIE, words.language, max_age=COOKIE_AGE, httponly=True, samesite="Lax")
        return response


def base(request: web.Request) -> str:
    """Return the relative way from a page to the listener's root."""
    return "../" * (request.path.count("/") - 1) or "./"


def _switch(request: web.Request, other: Language) -> str:
    """Return the way to the same page in the other language; from a form's answer, to the page that holds the form."""
    own = request.path.rpartition("/")[2] if request.method in ("GET", "HEAD") else f"../{request.match_info['number']}"
    query = [(name, value) for name, value in request.query.items() if name != "lang"]
    return f"{own}?{urlencode([*query, ('lang', other)])}"


def _finalize(value: object) -> object:
    return harmless(value) if type(value) is str else value


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z_]", "", text)
