"""What the API says of windows, and what it takes. Times are Unix seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from exporter.config.schema import Match
from exporter.lib.cron import parse_cron
from exporter.lib.durations import parse_duration
from exporter.lib.times import parse_time, zone_of
from exporter.maintenance.windows import Window

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

PATH: Final = "/api/v1/maintenance"
LONGEST_TEXT: Final = 500
LATEST_END: Final = 253_370_764_800
"""9999-01-01 UTC: beyond it some time zones have no calendar."""


_LINE: Final = {"maxLength": LONGEST_TEXT, "pattern": r"^[^\x00-\x1f\x7f]*$"}
Length = Annotated[str, msgspec.Meta(extra_json_schema={"pattern": "^([0-9]+(ms|s|m|h|d|w|y))+$"})]
Line = Annotated[str, msgspec.Meta(extra_json_schema=_LINE)]


class Which(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which devices: all given fields must be equal; none given means every device."""

    device_id: Line | None = None
    engine: Line | None = None
    channel_id: Line | None = None
    business_id: Line | None = None


class NewWindow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A window to come or to begin now: `end` or `duration`, or for a repeated one `cron` and `duration`."""

    match: Which
    start: str | None = None
    """Such as `2026-02-01 01:00`; without an offset local to `timezone`. By default now."""
    end: str | None = None
    duration: Length | None = None
    """Such as `2h`."""
    cron: str | None = None
    timezone: str | None = None
    """By default the configured one of alerts."""
    comment: Line = ""


ONE_WAY: Final = {
    "oneOf": [{"required": ["end"]}, {"required": ["duration"]}],
    "dependentRequired": {"cron": ["duration"]},
    "not": {"required": ["cron", "start"]},
}
"""How the fields of NewWindow go together, as JSON schema: a window has one end, a repeated one no begin."""


class MaintenanceWindow(msgspec.Struct, frozen=True):
    """One window."""

    id: str
    source: Literal["file", "operator"]
    """Who gave it: the configuration file, or somebody by API or command line."""
    match: Which
    timezone: str
    cron: str | None
    duration_seconds: float | None
    start: int
    """Begin of the present or the next time."""
    end: int
    active: bool
    devices: int
    """How many devices are inside because of it; 0 unless it is active."""
    matching: int
    """How many devices it is about, as they are now."""
    comment: str


class Windows(msgspec.Struct, frozen=True):
    """The windows that are not over, those that hold now first, then by their begin."""

    windows: list[MaintenanceWindow]


def window_of(new: NewWindow, now: float, default_zone: str) -> Window:
    """Return the window that somebody asks for. ValueError says what is wrong with it."""
    zone = zone_of(new.timezone or default_zone)
    texts = [text for text in (*msgspec.structs.astuple(new.match), new.comment) if text is not None]
    if any(len(text) > LONGEST_TEXT or not text.isprintable() for text in texts):
        raise ValueError(f"texts are one line of at most {LONGEST_TEXT} printable characters")
    match = Match(**msgspec.structs.asdict(new.match))
    duration = None if new.duration is None else parse_duration(new.duration)
    if duration is not None and duration < 1:
        raise ValueError("duration must be at least 1s")
    if new.cron is not None:
        if duration is None or new.start is not None or new.end is not None:
            raise ValueError("a repeated window has `cron` and `duration`, and neither `start` nor `end`")
        try:
            parse_cron(new.cron)
        except ValueError as error:
            raise ValueError(f"cron: {error}") from None
        return Window(match, zone.key, cron=new.cron, duration=duration, comment=new.comment)
    start, end = _bounds(new, duration, zone, int(now))
    return Window(match, zone.key, start_at=start, end_at=end, comment=new.comment)


def _bounds(new: NewWindow, duration: float | None, zone: ZoneInfo, now: int) -> tuple[int, int]:
    if (duration is None) == (new.end is None):
        raise ValueError("give either `end` or `duration`")
    start = now if new.start is None else _time("start", new.start, zone)
    end = start + int(duration) if duration is not None else _time("end", new.end or "", zone)
    if end <= start:
        raise ValueError("end must be later than start")
    if end <= now:
        raise ValueError("the window is over: maintenance is planned beforehand")
    if end > LATEST_END:
        raise ValueError("the window must end before the year 9999")
    return max(start, now), end


def _time(name: str, text: str, zone: ZoneInfo) -> int:
    try:
        return int(parse_time(text, zone))
    except (ValueError, OverflowError):
        example = "2026-02-01 01:00 or 2026-02-01T01:00:00+07:00"
        raise ValueError(f"{name} must be a time such as {example}") from None
