"""Why a body is refused, in words and stable codes. Pure.

Codes: invalid_json, invalid_utf8, too_deep, invalid_type, missing_field, invalid_id, invalid_name, status_mismatch,
and those of `exporter.gateways.every_sender`. Paths are written as the sender writes its fields:
`device.channel.engine`. Messages never show values of the body.
"""

from __future__ import annotations

import re
from typing import Final

from exporter.errors import InvalidEvent
from exporter.gateways.every_sender import IN_FUTURE

_PLACE: Final = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)
_EXPECTED: Final = {
    "int": "an integer",
    "str": "a string",
    "str | null": "a string",
    "object": "an object",
    "object | null": "an object",
}


def refusal_of_type(text: str) -> InvalidEvent:
    """Return our error for msgspec's message, such as "Expected `str`, got `int` - at `$.device.id`"."""
    found = _PLACE.fullmatch(text)
    what, path = (found["what"], found["path"] or "") if found else (text, "")
    quoted = re.findall(r"`([^`]*)`", what)
    if "missing required field" in what:
        return InvalidEvent("missing_field", "is missing", f"{path}.{quoted[0]}" if path else quoted[0])
    if "of length" in what:
        code = "invalid_name" if path.endswith("name") else "invalid_id"
        bound = "is empty" if ">=" in what else f"is longer than {what.rsplit(' ', 1)[1]} characters"
        return InvalidEvent(code, bound, path)
    if "out of range" in what:
        return InvalidEvent(IN_FUTURE, "is not a Unix time in seconds", path)
    if path == "need_human":
        return InvalidEvent("invalid_type", "expected 0 or 1", path)
    expected = _EXPECTED.get(quoted[0] if quoted else "", what)
    return InvalidEvent("invalid_type", f"expected {expected}", path or "body")


def refusal_of_json(text: str) -> InvalidEvent:
    """Return our error for msgspec's message about malformed JSON."""
    return InvalidEvent("invalid_json", f"the body is not JSON: {text.removeprefix('JSON is malformed: ')}")
