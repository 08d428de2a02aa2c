"""Renders a page: its template, language, headers and links. Everything that comes from outside is escaped.

Links are relative, so that pages work below a proxy's path prefix too. The style sheet stands in the page, and the
policy of the page lets nothing else style it; no page has a script.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from aiohttp import web
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from exporter.lib.safe_text import harmless
from exporter.lib.times import rfc3339
from exporter.look.language import COOKIE, COOKIE_AGE, chosen_language, other_language

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.lib.words import Language
    from exporter.look.wording import Wording

_LONGEST_LABEL: Final = 48
RENEW: Final = "renew"
"""The query parameter with which a reader stops that a page renews itself."""


@cache
def style() -> str:
    """Return the style sheet of all pages."""
    text = (files("exporter.look") / "templates" / "style.css").read_text("utf-8")
    return re.sub(r"\s*\n\s*", "\n", text)


@cache
def headers() -> Mapping[str, str]:
    """Return the headers of every page."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return {
        "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
        "Vary": "Accept-Language, Cookie",
    }


class Renderer:
    """Renders the templates of a room, which extend `layout.html` or, on the admin listener, `admin.html`.

    `wording` gives the words of a language, None for the configured one. `nobody` tells why nobody is notified: every
    page of the admin listener says so. Without `remember` a language that was switched to is not kept in a cookie.
    """

    def __init__(
        self,
        package: str,
        wording: Callable[[Language | None], Wording],
        *,
        nobody: Callable[[], str | None] = lambda: None,
        remember: bool = True,
    ) -> None:
        self._wording = wording
        self._nobody = nobody
        self._remember = remember
        packages = dict.fromkeys((package, "exporter.look"))
        self._templates = Environment(
            loader=ChoiceLoader([PackageLoader(name) for name in packages]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            finalize=_finalize,
        )
        self._templates.filters |= {"short": _short, "rfc3339": rfc3339, "slug": _slug, "path": _path}

    def fill(self, template: str, words: Wording, /, **values: object) -> str:
        """Return a template, filled in."""
        other = other_language(words.language)
        common = {"language": words.language, "other_language": other, "t": words.text, "w": words}
        return self._templates.get_template(template).render(common, style=Markup(style()), **values)  # noqa: S704 - ours

    def words(self, request: web.Request) -> Wording:
        """Return the words of the reader's language."""
        return self._wording(chosen_language(request))

    def page(
        self,
        request: web.Request,
        template: str,
        *,
        status: int = 200,
        section: str = "",
        renew: int | None = None,
        here: str | None = None,
        **values: object,
    ) -> web.Response:
        """Answer a page; a language that was switched to is remembered.

        `section` is the page's place in the menu. With `renew` the browser loads the page again every so many seconds,
        with its query, unless the reader stopped that. `here` is the way to this page from a form's answer.
        """
        words = self.words(request)
        other = other_language(words.language)
        own = here if here is not None else f"./{request.rel_url.raw_path.rpartition('/')[2]}"
        stopped = request.query.get(RENEW) == "off"
        text = self.fill(
            template,
            words,
            base=base(request),
            section=section,
            nobody=self._nobody(),
            other_language_url=_with(own, request, "lang", other),
            renew=None if stopped else renew,
            renew_url=_with(own, request, RENEW, "" if stopped else "off") if renew else None,
            **values,
        )
        response = web.Response(status=status, text=text, content_type="text/html", headers=headers())
        if renew and not stopped:
            response.headers["Refresh"] = str(renew)
        if self._remember and request.query.get("lang") == words.language:
            response.set_cookie(COOKIE, words.language, max_age=COOKIE_AGE, httponly=True, samesite="Lax")
        return response


def base(request: web.Request) -> str:
    """Return the relative way from a page to the listener's root."""
    return "../" * (request.rel_url.raw_path.count("/") - 1) or "./"


def _with(own: str, request: web.Request, name: str, value: str) -> str:
    """Return the way to the same page with a query parameter set, or left out where it is empty."""
    query = [(key, given) for key, given in request.query.items() if key != name]
    given = urlencode([*query, (name, value)] if value else query)
    return f"{own}?{given}" if given else own


def _finalize(value: object) -> object:
    return harmless(value) if type(value) is str else value


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"


def _path(text: str) -> str:
    return quote(text, safe="")


def _slug(text: str) -> str:
    return re.sub(r"[^a-z_]", "", text)
