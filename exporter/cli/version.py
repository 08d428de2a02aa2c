"""`device-exporter version`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter import __version__
from exporter.cli.output import say

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Print it."""
    say(f"device-exporter {__version__}")
    return 0
