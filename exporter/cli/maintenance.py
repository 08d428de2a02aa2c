"""`device-exporter maintenance add|list|end`: talks to the admin listener of the running exporter."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

import msgspec

from exporter.cli.admin import add_admin_flags, admin, segment
from exporter.cli.commands import add_parser
from exporter.cli.flags import add_json_flag
from exporter.cli.output import complain, say, say_json, say_table
from exporter.errors import ConfigError
from exporter.lib.durations import format_duration
from exporter.lib.safe_text import one_line
from exporter.lib.times import local, zone_name, zone_of
from exporter.maintenance.api_types import PATH, MaintenanceWindow, NewWindow, Which, Windows

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.cli.commands import Actions

_MATCHES: Final = ("device", "channel", "business")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's actions."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    _action(actions, "list", "windows that hold now or are to come", _list, "list", "list --json")
    add = _action(
        actions,
        "add",
        "plan a window; without --from it begins now",
        _add,
        'add --engine wa --duration 2h --comment "The provider moves"',
        "add --business biz_9 --cron '0 2 * * 0' --duration 1h",
    )
    _add_what_and_when(add)
    end = _action(actions, "end", "end a window now, or call it off", _end, "end 4")
    end.add_argument("id", metavar="ID", help="as `maintenance list` shows it")


def _action(
    actions: Actions, name: str, summary: str, run: Callable[[argparse.Namespace], int], *examples: str
) -> argparse.ArgumentParser:
    parser = add_parser(actions, name, summary, tuple(f"maintenance {example}" for example in examples))
    if name != "end":
        add_json_flag(parser)
    add_admin_flags(parser)
    parser.set_defaults(run=run)
    return parser


def _add_what_and_when(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("which devices (all that is given must match)")
    for name in _MATCHES:
        what.add_argument(f"--{name}", metavar="ID")
    what.add_argument("--engine", metavar="NAME")
    what.add_argument("--all", action="store_true", help="every device")
    when = parser.add_argument_group("when")
    when.add_argument("--from", dest="start", metavar="TIME", help="such as '2026-02-01 01:00' (default: now)")
    when.add_argument("--to", dest="end", metavar="TIME", help="when it ends; or give --duration")
    for former, key in (("--start", "start"), ("--end", "end")):
        when.add_argument(former, dest=key, help=argparse.SUPPRESS)
    when.add_argument("--duration", metavar="DURATION", help="such as 2h")
    when.add_argument(
        "--cron", metavar="EXPRESSION", help="repeat: when each one begins, such as '0 2 * * 0'; needs --duration"
    )
    when.add_argument("--timezone", metavar="ZONE", help="of these times (default: alerts.timezone)")
    parser.add_argument("--comment", default="", help="for people")


def _add(args: argparse.Namespace) -> int:
    which = Which(args.device, args.engine, args.channel, args.business)
    if args.all == (which != Which()):
        raise ConfigError("maintenance add: give --device, --channel, --business or --engine; or --all alone")
    new = NewWindow(which, args.start, args.end, args.duration, args.cron, args.timezone, args.comment)
    window = admin(args).post(PATH, new, MaintenanceWindow)
    if args.json:
        say_json(window)
        return 0
    say(f"window {window.id}: {_when(window)}, for {_count(window.matching)}")
    if not window.matching:
        complain("no device matches by now: `device-exporter devices` shows their ids")
    return 0


def _list(args: argparse.Namespace) -> int:
    found = admin(args).get(PATH, Windows).windows
    if args.json:
        say_json(found)
        return 0
    say_table([("ID", "STATE", "WHEN", "DEVICES", "WHICH", "COMMENT"), *map(_row, found)])
    return 0


def _end(args: argparse.Namespace) -> int:
    admin(args).send("DELETE", f"{PATH}/{segment(args.id)}")
    say(f"window {args.id} is over")
    return 0


def _row(window: MaintenanceWindow) -> tuple[str, ...]:
    given = msgspec.to_builtins(window.match)
    which = " ".join(f"{name}={value}" for name, value in given.items()) or "every device"
    state = "active" if window.active else "planned"
    return tuple(map(one_line, (window.id, state, _when(window), str(window.matching), which, window.comment)))


def _count(devices: int) -> str:
    return "1 device" if devices == 1 else f"{devices} devices"


def _when(window: MaintenanceWindow) -> str:
    zone = zone_of(window.timezone)
    start, end = (local(at, zone) for at in (window.start, window.end))
    until = f"{end:%H:%M}" if start.date() == end.date() else f"{end:%Y-%m-%d %H:%M}"
    begin = f"{start:%Y-%m-%d %H:%M}" + (f" {zone_name(start)}" if start.tzname() != end.tzname() else "")
    repeated = f", repeated: {window.cron}" if window.cron else ""
    return f"{begin}-{until} {zone_name(end)} ({format_duration(window.end - window.start)}{repeated})"
