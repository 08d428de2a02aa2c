"""Why a body is refused, in words and stable codes. Pure.

Codes: invalid_json, invalid_utf8, too_deep, invalid_type, missing_field, invalid_id, invalid_name, status_mismatch,
timestamp_too_old, timestamp_milliseconds (any unit finer than seconds), timestamp_in_future. Paths are
written as the sender writes its fields: `device.channel.engine`. Messages never show values of the body.
"""

from __future__ import annotations

import re
from typing import Final, NoReturn

from exporter.errors import InvalidEvent

EARLIEST: Final = 1_420_070_400
"""2015-01-01T00:00:00Z in Unix seconds; nothing of the platform is older."""


def refuse_time(timestamp: int) -> NoReturn:
    """Raise InvalidEvent for a timestamp that is before EARLIEST or too far in the future."""
    if timestamp < EARLIEST:
        raise InvalidEvent("timestamp_too_old", "is before 2015-01-01; expected Unix time in seconds", "timestamp")
    for unit, low in (("nanoseconds", 10**17), ("microseconds", 10**14), ("milliseconds", 10**11)):
        if low <= timestamp < low * 1000:
            message = f"looks like {unit}; expected Unix time in seconds"
            raise InvalidEvent("timestamp_milliseconds", message, "timestamp")
    raise InvalidEvent("timestamp_in_future", "is further in the future than max_future_skew allows", "timestamp")


_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def mend_surrogates(text: str) -> str:
    r"""Replace escaped halves of a character (`\ud83d` alone) by U+FFFD.

    Senders that cut a text in the middle of an emoji write them. A customer's half emoji must not cost an outage.
    """
    if "\\u" not in text:
        return text
    return _ESCAPE.sub(lambda found: "\\ufffd" if found["lone"] else found[0], text)


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
        return InvalidEvent("timestamp_in_future", "is not a Unix time in seconds", path)
    if path == "need_human":
        return InvalidEvent("invalid_type", "expected 0 or 1", path)
    expected = _EXPECTED.get(quoted[0] if quoted else "", what)
    return InvalidEvent("invalid_type", f"expected {expected}", path or "body")


def refusal_of_json(text: str) -> InvalidEvent:
    """Return our error for msgspec's message about malformed JSON."""
    return InvalidEvent("invalid_json", f"the body is not JSON: {text.removeprefix('JSON is malformed: ')}")
