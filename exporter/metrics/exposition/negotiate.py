"""Content negotiation of a scrape: the formats that we write, chosen as prometheus_client chooses, by q-value.

All our names are valid in every escaping scheme but `dots`, which doubles underscores: `dots` and unknown schemes are
answered with `underscores`, and the answer says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLAIN: Final = "text/plain; version=0.0.4; charset=utf-8"
_PLAIN_1: Final = "text/plain; version=1.0.0; charset=utf-8"
_OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_SAME_BYTES: Final = ("allow-utf-8", "underscores", "values")


class Negotiated(NamedTuple):
    """What to write, and the Content-Type that says it."""

    openmetrics: bool
    gzip: bool
    content_type: str


class _Choice(NamedTuple):
    value: str
    parameters: dict[str, str]
    quality: float


def negotiate(accept: str | None, accept_encoding: str | None) -> Negotiated:
    """Choose the format by the request's `Accept`, and gzip by its `Accept-Encoding`. Text 0.0.4 if nothing fits."""
    openmetrics, content_type = _format(accept)
    return Negotiated(openmetrics, _gzip_accepted(accept_encoding), content_type)


def _format(accept: str | None) -> tuple[bool, str]:
    for value, parameters, quality in sorted(_choices(accept), key=lambda choice: -choice.quality):
        version = parameters.get("version", "")
        if quality <= 0:
            break
        if value == "application/openmetrics-text" and version == "":
            return True, _OPENMETRICS
        if value == "application/openmetrics-text" and version == "1.0.0":
            return True, _escaped(_OPENMETRICS, parameters)
        if value == "text/plain" and version == "1.0.0":
            return False, _escaped(_PLAIN_1, parameters)
        if value in ("text/plain", "text/*", "*/*") and version in ("", "0.0.4"):
            return False, _PLAIN
    return False, _PLAIN


def _escaped(content_type: str, parameters: dict[str, str]) -> str:
    escaping = parameters.get("escaping", "")
    return f"{content_type}; escaping={escaping if escaping in _SAME_BYTES else 'underscores'}"


def _gzip_accepted(accept_encoding: str | None) -> bool:
    qualities = {choice.value: choice.quality for choice in _choices(accept_encoding)}
    named = [qualities[name] for name in ("gzip", "x-gzip") if name in qualities]  # two names of one coding
    return max(named, default=qualities.get("*", 0.0)) > 0


def _choices(header: str | None) -> Iterator[_Choice]:
    for item in (header or "").split(","):
        value, *rest = (token.strip() for token in item.split(";"))
        parameters = {}
        for token in rest:
            key, _, given = token.partition("=")
            parameters[key.strip().lower()] = given.strip().strip('"')
        yield _Choice(value.lower(), parameters, _quality(parameters.get("q", "1")))


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
