"""`device-exporter maintenance add|list|end`: talks to the admin listener of the running exporter."""

from __future__ import annotations

from datetime import datetime
from os import environ
from typing import TYPE_CHECKING, Final
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen
from zoneinfo import ZoneInfo

import msgspec

from exporter.errors import ConfigError, ExporterError
from exporter.lib.durations import format_duration
from exporter.maintenance.api_types import PATH, MaintenanceWindow, NewWindow, Which, Windows
from exporter.web.openapi import Error

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

ADMIN_URL: Final = environ.get("EXPORTER_ADMIN_URL") or "http://127.0.0.1:9877"
TIMEOUT: Final = 30.0
_MATCHES: Final = ("device", "channel", "business")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program's own."""
    text = "plan maintenance: no alerts inside its windows, and no effect on the SLO"
    parser = subparsers.add_parser("maintenance", help=text, description=text)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    _action(actions, "list", "windows that hold now or are to come", _list)
    _add_what_and_when(_action(actions, "add", "plan a window; without --start it begins now", _add))
    end = _action(actions, "end", "end a window now, or call it off", _end)
    end.add_argument("id", metavar="ID", help="as `maintenance list` shows it")


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    text: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text, description=text)
    parser.add_argument("--url", default=ADMIN_URL, help="admin listener of the running exporter (%(default)s)")
    parser.set_defaults(run=run)
    return parser


def _add_what_and_when(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("which devices (all that is given must match)")
    for name in _MATCHES:
        what.add_argument(f"--{name}", metavar="ID")
    what.add_argument("--engine", metavar="NAME")
    what.add_argument("--all", action="store_true", help="every device")
    when = parser.add_argument_group("when")
    when.add_argument("--start", metavar="TIME", help="such as '2026-02-01 01:00' (default: now)")
    when.add_argument("--end", metavar="TIME")
    when.add_argument("--duration", help="such as 2h, instead of --end")
    when.add_argument("--cron", help="repeat: when each one begins, such as '0 2 * * 0'; needs --duration")
    when.add_argument("--timezone", metavar="ZONE", help="of these times (default: alerts.timezone)")
    parser.add_argument("--comment", default="", help="for people")


def _add(args: argparse.Namespace) -> int:
    which = Which(args.device, args.engine, args.channel, args.business)
    if args.all == (which != Which()):
        raise ConfigError("maintenance add: give --device, --channel, --business or --engine; or --all alone")
    new = NewWindow(which, args.start, args.end, args.duration, args.cron, args.timezone, args.comment)
    answer = _call(args.url, "POST", PATH, msgspec.json.encode(new))
    window = msgspec.json.decode(answer, type=MaintenanceWindow)
    _say(f"window {window.id}: {_when(window)}")
    return 0


def _list(args: argparse.Namespace) -> int:
    found = msgspec.json.decode(_call(args.url, "GET", PATH), type=Windows).windows
    rows = [("ID", "STATE", "WHEN", "DEVICES", "WHICH", "COMMENT"), *map(_row, found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        _say("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _end(args: argparse.Namespace) -> int:
    _call(args.url, "DELETE", f"{PATH}/{quote(args.id, safe='')}")
    _say(f"window {args.id} is over")
    return 0


def _row(window: MaintenanceWindow) -> tuple[str, ...]:
    given = msgspec.to_builtins(window.match)
    which = " ".join(f"{name}={value}" for name, value in given.items()) or "every device"
    state, devices = ("active", str(window.devices)) if window.active else ("planned", "-")
    return window.id, state, _when(window), devices, which, window.comment


def _when(window: MaintenanceWindow) -> str:
    zone = ZoneInfo(window.timezone)
    start, end = (datetime.fromtimestamp(at, zone) for at in (window.start, window.end))
    until = f"{end:%H:%M}" if start.date() == end.date() else f"{end:%Y-%m-%d %H:%M}"
    begin = f"{start:%Y-%m-%d %H:%M}" if start.tzname() == end.tzname() else f"{start:%Y-%m-%d %H:%M %Z}"
    repeated = f", repeated: {window.cron}" if window.cron else ""
    return f"{begin}-{until} {end:%Z} ({format_duration(window.end - window.start)}{repeated})"


def _call(url: str, method: str, path: str, body: bytes | None = None) -> bytes:
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"--url: expected http:// or https://, got {url!r}")
    request = Request(url.rstrip("/") + path, body, {"Content-Type": "application/json"}, method=method)  # noqa: S310
    try:
        with urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310 - checked
            content: bytes = answer.read()
            return content
    except HTTPError as error:
        raise ExporterError(f"maintenance: {_reason(error)}") from error
    except (URLError, TimeoutError, OSError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise ExporterError(f"{url}: {reason}") from error


def _reason(error: HTTPError) -> str:
    content = error.read(10_000)
    try:
        return msgspec.json.decode(content, type=Error).error
    except msgspec.DecodeError:
        return f"status {error.code}"


def _say(text: str) -> None:
    print(text)  # noqa: T201 - a command's answer
