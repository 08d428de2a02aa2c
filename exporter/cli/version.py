"""`device-exporter version`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter import __version__
from exporter.cli.flags import add_json_flag
from exporter.cli.output import say, say_json

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    add_json_flag(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print it."""
    if args.json:
        say_json({"version": __version__})
    else:
        say(f"device-exporter {__version__}")
    return 0
