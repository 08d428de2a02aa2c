"""`device-exporter backup FILE`: a copy of the journal, also while the exporter runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from exporter.cli.flags import JOURNAL, add_configuration_flags, add_json_flag, configuration
from exporter.cli.output import say, say_json
from exporter.journal.storage import backup

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.add_argument("target", type=Path, metavar="FILE")
    add_json_flag(parser)
    add_configuration_flags(parser, JOURNAL)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Copy; return 0. Raises ConfigError, JournalUnavailable."""
    size = backup(configuration(args).storage.url, args.target)
    if args.json:
        say_json({"file": str(args.target), "bytes": size})
    else:
        say(f"{args.target}: {size} bytes")
    return 0
