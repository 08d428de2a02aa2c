"""What holds for the bodies of every sender: which times can be true, and half characters. Pure.

Codes: timestamp_too_old, timestamp_milliseconds (any unit finer than seconds), IN_FUTURE.
"""

from __future__ import annotations

import re
from typing import Final, NoReturn

from exporter.errors import InvalidEvent

EARLIEST: Final = 1_420_070_400
"""2015-01-01T00:00:00Z in Unix seconds; nothing that a sender tells of is older."""
IN_FUTURE: Final = "timestamp_in_future"


def refuse_time(timestamp: int) -> NoReturn:
    """Raise InvalidEvent for a timestamp that is before EARLIEST or too far in the future."""
    if timestamp < EARLIEST:
        raise InvalidEvent("timestamp_too_old", "is before 2015-01-01; expected Unix time in seconds", "timestamp")
    for unit, low in (("nanoseconds", 10**17), ("microseconds", 10**14), ("milliseconds", 10**11)):
        if low <= timestamp < low * 1000:
            message = f"looks like {unit}; expected Unix time in seconds"
            raise InvalidEvent("timestamp_milliseconds", message, "timestamp")
    raise InvalidEvent(IN_FUTURE, "is further in the future than max_future_skew allows", "timestamp")


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
