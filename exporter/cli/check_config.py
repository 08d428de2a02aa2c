"""`device-exporter check-config`: whether the configuration is right, and what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.cli.flags import add_configuration_flags, configuration
from exporter.cli.output import say
from exporter.config import describe

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    add_configuration_flags(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the configuration as it would be used."""
    say(describe(configuration(args)), end="")
    return 0
