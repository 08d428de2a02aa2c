"""`device-exporter incidents list|show|note|status|export`: talks to the admin listener of the running exporter."""

from __future__ import annotations

import argparse
import io
import secrets
import sys
from typing import TYPE_CHECKING

import msgspec

from exporter.cli.admin import Client, add_admin_flags, admin
from exporter.cli.commands import add_parser
from exporter.cli.flags import add_json_flag, add_language_flag, positive, time
from exporter.cli.output import local_time, say, say_json, say_table
from exporter.errors import ConfigError
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
from exporter.incidents.wording import Wording
from exporter.lib.durations import format_duration
from exporter.lib.safe_text import named, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import tzinfo

    from exporter.cli.commands import Actions
    from exporter.incidents.model import Entry, Incident


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's actions."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = _action(
        actions, "list", "incidents, newest first", _list, "list --status open", "list --engine wa --json"
    )
    _add_filters(listing)
    listing.add_argument("--limit", type=positive, default=50, metavar="N", help="how many at most (default: 50)")
    show = _action(actions, "show", "one incident with its timeline", _show, "show 12")
    note = _action(actions, "note", "add a note", _note, 'note 12 "SIM card replaced"', "note 12 < note.txt")
    status = _action(
        actions, "status", "set the status of an open incident", _status, 'status 12 identified --note "the SIM card"'
    )
    for one in (show, note, status):
        one.add_argument("number", type=positive, metavar="NUMBER", help="as `incidents list` shows it")
    note.add_argument("text", nargs="*", metavar="TEXT", help="without it the note is read from standard input")
    status.add_argument("status", choices=MANUAL)
    status.add_argument("--note", default="", metavar="TEXT", help="why")
    for one in (note, status):
        one.add_argument("--public", action="store_true", help="show the note on the status page, too, to everybody")
        one.add_argument(
            "--next-update", metavar="DURATION", help="promise the next note within that time, such as 30m"
        )
    for one in (listing, show):
        add_json_flag(one)
    export = _action(
        actions, "export", "write incidents to standard output", _export, "export --from 2026-11-01 > november.csv"
    )
    _add_filters(export)
    export.add_argument(
        "--format", choices=FORMATS, default="csv", help="csv, or markdown with timelines (default: csv)"
    )
    add_language_flag(export, "alerts.language of the exporter")
    export.add_argument("--lang", dest="language", choices=("id", "en"), help=argparse.SUPPRESS)


def _action(
    actions: Actions, name: str, summary: str, run: Callable[[argparse.Namespace], int], *examples: str
) -> argparse.ArgumentParser:
    parser = add_parser(actions, name, summary, tuple(f"incidents {example}" for example in examples))
    add_admin_flags(parser)
    parser.set_defaults(run=run)
    return parser


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--status", choices=STATUS_FILTERS, help="only with this status; open: not resolved")
    for name, metavar in (("engine", "NAME"), ("business", "ID"), ("device", "ID")):
        parser.add_argument(f"--{name}", metavar=metavar, help=f"only of this {name}")
    for former, key in (("--business-id", "business"), ("--device-id", "device")):
        parser.add_argument(former, dest=key, help=argparse.SUPPRESS)
    parser.add_argument("--from", dest="since", type=time, metavar="TIME", help="only outages since then")
    parser.add_argument("--since", type=time, help=argparse.SUPPRESS)


def _list(args: argparse.Namespace) -> int:
    exporter = admin(args)
    found = list(_incidents(exporter, args))
    if args.json:
        say_json(found)
        return 0
    zone = exporter.zone()
    head = ("NUMBER", "STATUS", "STARTED", "DURATION", "ENGINE", "BUSINESS", "DEVICE")
    say_table([head, *(_row(incident, zone) for incident in found)])
    return 0


def _incidents(exporter: Client, args: argparse.Namespace) -> Iterator[Incident]:
    query, left = _filters(args), args.limit
    while left > 0:
        page = exporter.get(PATH, IncidentsPage, {**query, "limit": str(min(left, MOST))})
        yield from page.incidents
        left -= len(page.incidents)
        if page.next is None:
            return
        query["cursor"] = page.next


def _show(args: argparse.Namespace) -> int:
    exporter = admin(args)
    found = exporter.get(f"{PATH}/{args.number}", IncidentWithTimeline)
    if args.json:
        say_json(found)
        return 0
    one = found.incident
    facts = {
        "status": one.status + (f" ({one.resolution})" if one.resolution not in ("", "connected") else ""),
        "severity": one.severity,
        "device": named(one.device_name, one.device_id),
        "channel": named(one.channel_name, one.channel_id),
        "engine": one.engine,
        "business": named(one.business_name, one.business_id),
        "duration": format_duration(int(one.duration_seconds)),
        "affected": "unknown" if one.affected_conversations is None else str(one.affected_conversations),
        "waiting": "unknown" if one.waiting_conversations is None else str(one.waiting_conversations),
    }
    say(f"#{one.number} {one_line(one.device_name or one.device_id)}")
    for name, value in facts.items():
        say(f"{name:9} {one_line(value)}")
    say()
    zone = exporter.zone()
    words = Wording("en", zone)
    for entry in found.timeline:
        _say_entry(entry, words.plain(entry), zone)
    return 0


def _say_entry(entry: Entry, text: str, zone: tzinfo) -> None:
    author = f" ({entry.author})" if entry.author else ""
    first, *rest = text.split("\n")
    say(f"{local_time(entry.at, zone)}  {one_line(entry.kind + author)}{': ' if first else ''}{one_line(first)}")
    for line in rest:
        say("    " + one_line(line))
    if entry.next_update_at is not None:
        say(f"    next update by {local_time(entry.next_update_at, zone)}")


def _note(args: argparse.Namespace) -> int:
    text = " ".join(args.text) or _typed()
    if not text.strip():
        raise ConfigError(f"incidents {NOTE}: the note is empty")
    _post(args, "notes", NewNote(text.strip(), secrets.token_hex(8), args.public, args.next_update))
    say(f"the note is saved with incident #{args.number}")
    return 0


def _status(args: argparse.Namespace) -> int:
    _post(args, "status", NewStatus(args.status, args.note, secrets.token_hex(8), args.public, args.next_update))
    say(f"incident #{args.number} is {args.status}")
    return 0


def _export(args: argparse.Namespace) -> int:
    query = {**_filters(args), "format": args.format, **({"lang": args.language} if args.language else {})}
    with admin(args).stream(f"{PATH}/export", query) as answer:
        text = io.TextIOWrapper(answer, encoding="utf-8", newline="")
        while part := text.read(64 * 1024):
            say(part, end="")
    return 0


def _filters(args: argparse.Namespace) -> dict[str, str]:
    names = {"status": "status", "engine": "engine", "business": "business_id", "device": "device_id", "since": "since"}
    return {name: str(value) for key, name in names.items() if (value := getattr(args, key)) is not None}


def _row(incident: Incident, zone: tzinfo) -> tuple[str, ...]:
    texts = (
        str(incident.number),
        incident.status,
        local_time(incident.started_at, zone),
        format_duration(int(incident.duration_seconds)),
        incident.engine,
        incident.business_name or incident.business_id,
        named(incident.device_name, incident.device_id),
    )
    return tuple(map(one_line, texts))


def _typed() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError:
        raise ConfigError(f"incidents {NOTE}: standard input is not text in {sys.stdin.encoding}") from None


def _post(args: argparse.Namespace, what: str, body: msgspec.Struct) -> None:
    admin(args).post(f"{PATH}/{args.number}/{what}", body, msgspec.Raw)
