"""Structured logging: one line a record, logfmt by default, JSON on request.

Use the standard library's loggers and give values as fields, never inside the message:

    log = logging.getLogger(__name__)
    log.info("device down", extra=fields(device_id=device_id, since=since))

Guarantees: one record is one line of printable characters whatever the values hold, so that a value cannot forge a
line, a field or a terminal sequence; times are RFC 3339 in UTC with milliseconds. Not guaranteed: secrecy. Whoever
logs must not pass secrets, message bodies or names.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
FORMATS: Final = ("logfmt", "json")

_LEVEL_NAMES: Final = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warn",
    logging.ERROR: "error",
    logging.CRITICAL: "error",
}
_BARE: Final = re.compile(r"[A-Za-z0-9_.:/@+,~%()*\[\]-]+")
_KEY_BREAKERS: Final = re.compile(r"[^A-Za-z0-9_.-]")
_RESERVED: Final = frozenset(("time", "level", "logger", "msg"))
_STANDARD: Final = frozenset((*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "fields"))


def fields(**values: object) -> dict[str, Any]:
    """Return the `extra` argument of a logging call that carries these values as fields.

    A plain `extra` instead works, too, but logging refuses some keys there, `name` among them.
    """
    return {"fields": values}


def setup(level: str = "info", format: str = "logfmt", stream: TextIO | None = None) -> None:  # noqa: A002 - the flag's name
    """Send all logging to `stream` (standard error), replacing what was set up before.

    Raises ValueError for a level outside LEVELS or a format outside FORMATS.
    """
    if level not in LEVELS:
        raise ValueError(f"unknown log level {level!r}: use one of {', '.join(LEVELS)}")
    if format not in FORMATS:
        raise ValueError(f"unknown log format {format!r}: use one of {', '.join(FORMATS)}")
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if format == "json" else LogfmtFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    logging.captureWarnings(True)
    # What our lines do not show need not be looked up for each of them (the logging HOWTO's own advice).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001
    # The loop's own debug lines and the access log are not ours to repeat.
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


class LogfmtFormatter(logging.Formatter):
    """Lines such as `time=… level=… logger=… msg=… key=value …`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one logfmt line."""
        parts = [
            f"time={_rfc3339(record.created)} level={_LEVEL_NAMES.get(record.levelno, 'info')} logger={record.name}",
            f"msg={_logfmt_value(record.getMessage())}",
        ]
        parts += [f"{_key(key)}={_logfmt_value(value)}" for key, value in _extra(self, record)]
        return " ".join(parts)


class JsonFormatter(logging.Formatter):
    """One JSON object a line with the same keys as logfmt."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of ASCII JSON."""
        values: dict[str, object] = {
            "time": _rfc3339(record.created),
            "level": _LEVEL_NAMES.get(record.levelno, "info"),
            "logger": record.name,
            "msg": record.getMessage(),
        }
        values |= {_key(key): value for key, value in _extra(self, record)}
        return json.dumps(values, default=str, ensure_ascii=True, separators=(",", ":"))


def _extra(formatter: logging.Formatter, record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    attributes = vars(record)
    if "fields" in attributes:
        yield from attributes["fields"].items()
    else:
        yield from ((key, value) for key, value in attributes.items() if key not in _STANDARD)
    if record.exc_info:
        yield "exception", formatter.formatException(record.exc_info)


@lru_cache(maxsize=256)
def _key(key: str) -> str:
    clean = _KEY_BREAKERS.sub("_", key) or "_"
    return f"field_{clean}" if clean in _RESERVED else clean


@lru_cache(maxsize=2)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _rfc3339(seconds: float) -> str:
    """Return what `lib.times.rfc3339` would, with the second remembered: there may be a line for each event."""
    milliseconds = int(seconds * 1000)
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03}Z"


def _logfmt_value(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if _BARE.fullmatch(text):
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    if quoted.isprintable():
        return quoted
    # What remains unprintable: C1 controls, line and paragraph separators, bidirectional overrides, lone surrogates.
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in quoted)


class RateLimited:
    """Logs the first `per_minute` warnings a minute of each code, then one summary with the number suppressed.

    `flush` must be called now and then, so that the summary comes even when the flood ends. Keep the codes few: they
    are held in memory.
    """

    def __init__(
        self, logger: logging.Logger, *, per_minute: int = 10, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._logger = logger
        self._per_minute = per_minute
        self._clock = clock
        self._windows: dict[str, list[float]] = {}  # code: [start, count]

    def warning(self, code: str, message: str, **values: object) -> None:
        """Log a warning with the field `code` and these fields, unless that code had its share of this minute."""
        now = self._clock()
        window = self._windows.get(code)
        if window is not None and now - window[0] >= 60:
            self._close(code, window)
            window = None
        if window is None:
            window = self._windows[code] = [now, 0]
        window[1] += 1
        if window[1] <= self._per_minute:
            self._logger.warning(message, extra=fields(code=code, **values))

    def flush(self, *, everything: bool = False) -> None:
        """Write the summaries of the minutes that are over; of the running ones too at a stop (`everything`)."""
        now = self._clock()
        for code, window in list(self._windows.items()):
            if everything or now - window[0] >= 60:
                self._close(code, window)

    def _close(self, code: str, window: list[float]) -> None:
        del self._windows[code]
        suppressed = int(window[1]) - self._per_minute
        if suppressed > 0:
            self._logger.warning("similar warnings suppressed", extra=fields(code=code, suppressed=suppressed))


def log_loop_errors(loop: asyncio.AbstractEventLoop, count: Callable[[], None]) -> None:
    """Log and count what escapes from callbacks and from tasks that nobody awaits."""
    logger = logging.getLogger("exporter.loop")

    def handle(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        count()
        error = context.get("exception")
        logger.error("unhandled error", exc_info=error, extra=fields(reason=context.get("message", "")))

    loop.set_exception_handler(handle)
