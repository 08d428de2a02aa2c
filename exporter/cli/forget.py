"""`device-exporter forget DEVICE_ID`: take a device out of the metrics of the running exporter."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from exporter.cli.admin import add_admin_flags, admin, segment
from exporter.cli.output import complain, say
from exporter.lib.safe_text import named, one_line
from exporter.web.api_types import DEVICES_PATH, DeviceState

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.add_argument("device_id", metavar="DEVICE_ID", help="as `devices` shows it")
    parser.add_argument("--yes", action="store_true", help="do not ask; without a terminal nothing is asked anyway")
    add_admin_flags(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Forget the device, in a terminal only after a yes."""
    exporter, path = admin(args), f"{DEVICES_PATH}/{segment(args.device_id)}"
    device = exporter.get(path, DeviceState)
    if not args.yes and sys.stdin.isatty() and not _confirmed(device):
        complain("nothing was forgotten")
        return 1
    exporter.send("DELETE", path)
    say(f"{one_line(device.device_id)} is forgotten")
    return 0


def _confirmed(device: DeviceState) -> bool:
    owner = named(device.business_name, device.business_id)
    what = one_line(f"{named(device.device_name, device.device_id)}, {device.engine}, {owner}")
    say(f"{what}, is {device.state}. Forget it? It leaves the metrics; its history stays in reports. [y/N] ", end="")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes", "ya")
