"""`device-exporter forget DEVICE_ID`: take a device out of the metrics of the running exporter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.cli.admin import add_admin_flags, admin, segment
from exporter.cli.output import say

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.add_argument("device_id", metavar="DEVICE_ID")
    add_admin_flags(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Forget the device."""
    admin(args).send("DELETE", f"/api/v1/devices/{segment(args.device_id)}")
    say(f"{args.device_id} is forgotten")
    return 0
