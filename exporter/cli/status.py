"""`device-exporter status`: whether the running exporter works, and whom it would tell."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from exporter.cli.admin import add_admin_flags, admin
from exporter.cli.flags import add_json_flag
from exporter.cli.output import local_time, say, say_json
from exporter.lib.durations import format_duration
from exporter.lib.times import zone_of
from exporter.web.api_types import STATUS_PATH, AlertmanagerState, Status

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from datetime import tzinfo


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    add_json_flag(parser)
    add_admin_flags(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the state; return 1 where the exporter is not ready or nobody would be told."""
    status = admin(args).get(STATUS_PATH, Status)
    if args.json:
        say_json(status)
    else:
        for name, value in _lines(status, zone_of(status.timezone), time.time()):
            say(f"{name:12} {value}")
    told = any(not one.failing and one.reached_at is not None for one in status.alertmanagers)
    return 0 if status.ready and (told or not status.direct_alerts) else 1


def _lines(status: Status, zone: tzinfo, now: float) -> Iterator[tuple[str, str]]:
    yield "exporter", f"{status.version}, {'ready' if status.ready else 'not ready'}"
    if status.trouble:
        yield "trouble", status.trouble
    if status.devices is None:
        yield "devices", "not known yet"
    else:
        yield "devices", f"{status.devices}, {status.down} down, {status.in_maintenance} in maintenance"
    yield "last event", "none since the start" if status.last_event is None else _ago(status.last_event, zone, now)
    if status.last_blind is None:
        yield "blind", "never"
    else:
        blind = status.last_blind
        yield "blind", f"{format_duration(blind.end - blind.start)} until {local_time(blind.end, zone)}"
    if not status.direct_alerts:
        yield "alerts", "none are posted from here: alerts.direct is off, or alertmanager.urls is empty"
    for one in status.alertmanagers:
        yield "alerts", _way(one, zone, now)
    for name in status.unknown_names:
        yield "alerts", f"{name}: its name has no address now; only those of before are told, if there were any"
    yield "messages", f"the relay sends to {', '.join(status.targets)}" if status.targets else "the relay has no target"


def _way(one: AlertmanagerState, zone: tzinfo, now: float) -> str:
    if one.reached_at is None:
        return f"{one.url} {'does not take them' if one.failing else 'has not been reached yet'}"
    return f"{one.url} {'does not take them; it did' if one.failing else 'took them'} {_ago(one.reached_at, zone, now)}"


def _ago(at: float, zone: tzinfo, now: float) -> str:
    return f"{format_duration(max(0, int(now - at)))} ago, {local_time(at, zone)}"
