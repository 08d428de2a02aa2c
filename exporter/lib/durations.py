"""Durations in Prometheus syntax and sizes in bytes, as people write them.

Duration syntax and its bound (the 64-bit nanoseconds of Go) follow
https://prometheus.io/docs/prometheus/latest/configuration/configuration/ (`<duration>`).
"""

from __future__ import annotations

import re
from typing import Annotated, Final

Duration = Annotated[float, "duration"]
"""A configuration value written like 1h30m, held as seconds."""
Size = Annotated[int, "size"]
"""A configuration value written like 64KiB, held as bytes."""

SECONDS: Final = {"y": 365 * 86400, "w": 7 * 86400, "d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}
BYTES: Final = {"": 1, "B": 1} | {
    f"{letter}{suffix}": base**power
    for power, letter in enumerate("KMGT", start=1)
    for suffix, base in (("B", 1000), ("iB", 1024))
}

_DURATION = re.compile("".join(rf"(?:(?P<{unit}>[0-9]+){unit})?" for unit in SECONDS), re.ASCII)
_SIZE = re.compile(r"([0-9]{1,18})([A-Za-z]*)", re.ASCII)
_LONGEST = 2**63 / 1e9  # seconds
_LONGEST_TEXT = 64


def parse_duration(text: str) -> float:
    """Return seconds. The units y w d h m s ms come in this order, each at most once; `0` needs no unit.

    Raises ValueError with a message for people.
    """
    if text == "0":
        return 0.0
    match = _DURATION.fullmatch(text) if 0 < len(text) <= _LONGEST_TEXT else None
    if match is None:
        raise ValueError(f"expected a duration such as 90s, 5m or 1h30m, got {_shown(text)}")
    parts = match.groupdict()
    milliseconds = sum(int(parts[unit] or 0) * round(seconds * 1000) for unit, seconds in SECONDS.items())
    if milliseconds >= _LONGEST * 1000:
        raise ValueError(f"the duration {_shown(text)} is longer than 292 years")
    return milliseconds / 1000


def format_duration(seconds: float) -> str:
    """Return a duration for people, such as "1h 30m": whole seconds, or milliseconds where it is below one second.

    Without its spaces `parse_duration` reads it back.
    """
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if 0 < seconds < 1:
        return f"{max(1, round(seconds * 1000))}ms"
    rest, parts = round(seconds), []
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, int(SECONDS[unit]))
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0s"


def parse_size(text: str) -> int:
    """Return bytes: `64KiB` is 65536, `64KB` is 64000, a bare number is bytes. Raises ValueError."""
    match = _SIZE.fullmatch(text)
    if match is None or match[2] not in BYTES:
        raise ValueError(f"expected a size such as 64KiB, 1MiB or 65536, got {_shown(text)}")
    return int(match[1]) * int(BYTES[match[2]])


def format_size(size: int) -> str:
    """Return a size for people in the largest binary unit that divides it, such as "64KiB"."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size and size % BYTES[unit] == 0:
            return f"{size // BYTES[unit]}{unit}"
    return f"{size}B"


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
