"""`device-exporter incidents list|show|note|status|export`: talks to the admin listener of the running exporter."""

from __future__ import annotations

import argparse
import secrets
import sys
from datetime import datetime
from os import environ
from typing import IO, TYPE_CHECKING, Final, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import msgspec

from exporter.errors import ConfigError, ExporterError
from exporter.incidents.api_types import (
    MOST,
    PATH,
    STATUS_FILTERS,
    IncidentsPage,
    IncidentWithTimeline,
    NewNote,
    NewStatus,
)
from exporter.incidents.export import FORMATS
from exporter.incidents.model import MANUAL, NOTE
from exporter.incidents.wording import harmless
from exporter.lib.durations import format_duration
from exporter.web.openapi import Error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.incidents.model import Entry, Incident

_Kind = TypeVar("_Kind")

ADMIN_URL: Final = environ.get("EXPORTER_ADMIN_URL") or "http://127.0.0.1:9877"
TIMEOUT: Final = 30.0


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program's own."""
    text = "list, show and annotate incidents of the running exporter"
    parser = subparsers.add_parser("incidents", help=text, description=text)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = _action(actions, "list", "incidents, newest first", _list)
    _add_filters(listing)
    listing.add_argument("--limit", type=_positive, default=50, help="how many at most (%(default)s)")
    _add_number(_action(actions, "show", "one incident with its timeline", _show))
    note = _action(actions, "note", "add a note; without TEXT it is read from standard input", _note)
    _add_number(note)
    note.add_argument("text", nargs="*", metavar="TEXT")
    status = _action(actions, "status", "set the status of an open incident", _status)
    _add_number(status)
    status.add_argument("status", choices=MANUAL)
    status.add_argument("--note", default="", help="why")
    export = _action(actions, "export", "write incidents to standard output", _export)
    _add_filters(export)
    export.add_argument(
        "--format", choices=FORMATS, default="csv", help="csv, or markdown with timelines (%(default)s)"
    )
    export.add_argument("--lang", choices=["id", "en"], help="language of the Markdown")


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


def _add_number(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("number", type=_positive, metavar="NUMBER")


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--status", choices=STATUS_FILTERS, help="only with this status; open: not resolved")
    for name in ("engine", "business-id", "device-id"):
        parser.add_argument(f"--{name}", help=f"only with this {name.replace('-', '_')}")
    parser.add_argument("--since", help="only outages since then: Unix seconds, or 2025-01-28T09:20:00Z")


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:19]) < 10**18):
        raise argparse.ArgumentTypeError(f"expected a positive whole number, got {text!r}")
    return int(text)


def _list(args: argparse.Namespace) -> int:
    rows: list[tuple[str, ...]] = [("NUMBER", "STATUS", "STARTED", "DURATION", "ENGINE", "BUSINESS", "DEVICE")]
    rows += [_row(incident) for incident in _incidents(args)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        _say("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _incidents(args: argparse.Namespace) -> Iterator[Incident]:
    query, left = _filters(args), args.limit
    while left > 0:
        page = _json(args.url, f"{PATH}?{urlencode({**query, 'limit': min(left, MOST)})}", IncidentsPage)
        yield from page.incidents
        left -= len(page.incidents)
        if page.next is None:
            return
        query["cursor"] = page.next


def _show(args: argparse.Namespace) -> int:
    found = _json(args.url, f"{PATH}/{args.number}", IncidentWithTimeline)
    one = found.incident
    facts = {
        "status": one.status + (f" ({one.resolution})" if one.resolution not in ("", "connected") else ""),
        "severity": one.severity,
        "device": _named(one.device_name, one.device_id),
        "channel": _named(one.channel_name, one.channel_id),
        "engine": one.engine,
        "business": _named(one.business_name, one.business_id),
        "duration": format_duration(int(one.duration_seconds)),
        "affected": "unknown" if one.affected_conversations is None else str(one.affected_conversations),
        "waiting": "unknown" if one.waiting_conversations is None else str(one.waiting_conversations),
    }
    _say(f"#{one.number} {_line(one.device_name or one.device_id)}")
    for name, value in facts.items():
        _say(f"{name:9} {_line(value)}")
    _say("")
    for entry in found.timeline:
        _say_entry(entry)
    return 0


def _say_entry(entry: Entry) -> None:
    author = f" ({entry.author})" if entry.author else ""
    first, *rest = entry.text.split("\n")
    _say(f"{_local(entry.at)}  {_line(entry.kind + author)}{': ' if first else ''}{_line(first)}")
    for line in rest:
        _say("    " + _line(line))


def _note(args: argparse.Namespace) -> int:
    text = " ".join(args.text) or sys.stdin.read()
    if not text.strip():
        raise ConfigError(f"incidents {NOTE}: the note is empty")
    _post(args.url, f"{PATH}/{args.number}/notes", NewNote(text.strip(), secrets.token_hex(8)))
    _say(f"the note is saved with incident #{args.number}")
    return 0


def _status(args: argparse.Namespace) -> int:
    _post(args.url, f"{PATH}/{args.number}/status", NewStatus(args.status, args.note, secrets.token_hex(8)))
    _say(f"incident #{args.number} is {args.status}")
    return 0


def _export(args: argparse.Namespace) -> int:
    query = {**_filters(args), "format": args.format}
    if args.lang:
        query["lang"] = args.lang
    with _open(args.url, f"{PATH}/export?{urlencode(query)}") as answer:
        while part := answer.read(64 * 1024):
            sys.stdout.buffer.write(part)
    return 0


def _filters(args: argparse.Namespace) -> dict[str, str]:
    names = ("status", "engine", "business_id", "device_id", "since")
    return {name: value for name in names if (value := getattr(args, name)) is not None}


def _row(incident: Incident) -> tuple[str, ...]:
    texts = (
        str(incident.number),
        incident.status,
        _local(incident.started_at),
        format_duration(int(incident.duration_seconds)),
        incident.engine,
        incident.business_name or incident.business_id,
        _named(incident.device_name, incident.device_id),
    )
    return tuple(map(_line, texts))


def _named(name: str, identifier: str) -> str:
    return f"{name} ({identifier})" if name else identifier


def _line(text: str) -> str:
    """Return a text on one line, without what would steer a terminal."""
    return " ".join(harmless(text).split())


def _local(at: float) -> str:
    return f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M:%S %Z}"


def _json(url: str, path: str, kind: type[_Kind]) -> _Kind:
    with _open(url, path) as answer:
        return msgspec.json.decode(answer.read(), type=kind)


def _post(url: str, path: str, body: msgspec.Struct) -> None:
    with _open(url, path, msgspec.json.encode(body)):
        pass


def _open(url: str, path: str, body: bytes | None = None) -> IO[bytes]:
    """Send a request; raise ExporterError with the exporter's own words where it refuses."""
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"--url: expected http:// or https://, got {url!r}")
    request = Request(f"{url.rstrip('/')}{path}", body, {"Content-Type": "application/json"})  # noqa: S310 - checked
    try:
        opened: IO[bytes] = urlopen(request, timeout=TIMEOUT)  # noqa: S310 - checked
    except HTTPError as error:
        raise ExporterError(f"incidents: {_reason(error)}") from error
    except (URLError, TimeoutError) as error:
        raise ExporterError(f"{url}: {getattr(error, 'reason', error)}") from error
    return opened


def _reason(error: HTTPError) -> str:
    try:
        return msgspec.json.decode(error.read(10_000), type=Error).error
    except msgspec.DecodeError:
        return f"{error.code} {error.reason}"


def _say(text: str) -> None:
    print(text)  # noqa: T201 - a command's answer
