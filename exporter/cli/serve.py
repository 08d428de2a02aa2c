"""`device-exporter serve`: the exporter itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.app.app import serve
from exporter.cli.flags import add_configuration_flags, configuration
from exporter.lib.logs import setup

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    add_configuration_flags(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal."""
    config = configuration(args)
    setup(config.log.level, config.log.format)
    return serve(lambda: configuration(args))
