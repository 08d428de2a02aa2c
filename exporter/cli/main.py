"""The command line: `device-exporter [COMMAND] [FLAGS]`. Without a command it serves, as Prometheus exporters do."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from exporter import __version__
from exporter.cli.commands import add_commands
from exporter.cli.output import guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status."""
    return guarded(lambda: _run(list(sys.argv[1:] if arguments is None else arguments)))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the arguments of a command, read. SystemExit where there is nothing to run."""
    arguments = list(arguments)
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "--version")):
        arguments.insert(0, "serve")
    return program(arguments[0]).parse_args(arguments)


def program(chosen: str | None) -> argparse.ArgumentParser:
    """Return the parser of all commands; only the chosen one, or for None every one, knows its flags."""
    parser = argparse.ArgumentParser(
        prog="device-exporter",
        description="Chat devices' disconnects as metrics, alerts, incidents and reports.",
        epilog="`device-exporter COMMAND --help` shows flags and examples.",
    )
    parser.add_argument("--version", action="version", version=f"device-exporter {__version__}")
    add_commands(parser.add_subparsers(metavar="COMMAND", required=True), chosen)
    return parser


def _run(arguments: list[str]) -> int:
    args = parse(arguments)
    run: Callable[[argparse.Namespace], int] = args.run
    return run(args)
