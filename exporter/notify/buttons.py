"""A button under a text, where the service has some: ntfy posts the form behind the link by itself. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from exporter.lib.words import Language

_NTFY: Final = ("ntfy", "ntfys")
_LABELS: Final[dict[Language, str]] = {"id": "Saya tangani", "en": "I have it"}
_LASTING: Final = "4h"


def with_button(url: str, link: str, target: str, language: Language) -> str:
    """Return the URL of a service with a button that says that somebody has what `link` is about.

    The URL stays as it is where there is no link, the service has no buttons, or the URL has its own. Whoever presses
    is called by the target's name, as the service does not say who it was.
    """
    scheme, _, rest = url.partition("://")
    if not link or scheme.lower() not in _NTFY or "actions=" in rest:
        return url
    form = urlencode({"by": f"ntfy {target}", "for": _LASTING})
    action = (
        f"http, {_LABELS[language]}, {link}, method=POST, "
        f"headers.Content-Type=application/x-www-form-urlencoded, body='{form}', clear=true"
    )
    return f"{url}{'&' if '?' in rest else '?'}actions={quote(action, safe='')}"
