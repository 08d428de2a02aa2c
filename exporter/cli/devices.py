"""`device-exporter devices`: what is down first, and since when."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from exporter.cli.admin import Client, add_admin_flags, admin
from exporter.cli.flags import add_json_flag, positive
from exporter.cli.output import complain, local_time, say, say_json, say_table
from exporter.lib.durations import format_duration
from exporter.lib.safe_text import named, one_line
from exporter.web.api_types import DEVICES_PATH, DevicesPage, DeviceState

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from datetime import tzinfo

PAGE = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.add_argument("--state", choices=("down", "up"), help="only what is in this state")
    for name, metavar in (("engine", "NAME"), ("business", "ID"), ("channel", "ID")):
        parser.add_argument(f"--{name}", metavar=metavar, help=f"only of this {name}")
    parser.add_argument("--limit", type=positive, default=50, metavar="N", help="how many at most (default: 50)")
    add_json_flag(parser)
    add_admin_flags(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the devices."""
    exporter, limit = admin(args), args.limit
    given = {"engine": args.engine, "business_id": args.business, "channel_id": args.channel}
    wanted = {name: value for name, value in given.items() if value is not None}
    found: list[DeviceState] = []
    for state in (args.state,) if args.state else ("down", "up"):
        # All that is down is asked for, because the longest outages stand first; of what is up the first ones do.
        some = _devices(exporter, {**wanted, "state": state}, None if state == "down" else limit + 1 - len(found))
        found += sorted(some, key=lambda device: (device.since, device.device_id))
    if args.json:
        say_json(found[:limit])
        return 0
    if not found:
        say("no device")
        return 0
    zone, now = exporter.zone(), time.time()
    rows = [_row(device, zone, now) for device in found[:limit]]
    say_table([("STATE", "SINCE", "FOR", "ENGINE", "BUSINESS", "CHANNEL", "DEVICE"), *rows])
    if len(found) > limit:
        complain(f"there are more than {limit}: raise --limit")
    return 0


def _devices(exporter: Client, query: dict[str, str], most: int | None) -> Iterator[DeviceState]:
    while most is None or most > 0:
        size = PAGE if most is None else min(most, PAGE)
        page = exporter.get(DEVICES_PATH, DevicesPage, {**query, "limit": str(size)})
        yield from page.devices
        if page.next is None:
            return
        query = {**query, "cursor": page.next}
        most = None if most is None else most - len(page.devices)


def _row(device: DeviceState, zone: tzinfo, now: float) -> tuple[str, ...]:
    texts = (
        device.state,
        local_time(device.since, zone),
        format_duration(max(0, int(now) - device.since)),
        device.engine,
        device.business_name or device.business_id,
        device.channel_name or device.channel_id,
        named(device.device_name, device.device_id),
    )
    return tuple(map(one_line, texts))
