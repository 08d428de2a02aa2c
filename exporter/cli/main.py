"""The command line: `device-exporter [COMMAND] [FLAGS]`. Without a command it serves, as Prometheus exporters do.

Every command is a module with `add_parser(subparsers)` and `run(args) -> exit status`. Exit status: 0 done, 1 failed,
2 wrong usage or configuration.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exporter import __version__
from exporter.config import Config, describe, load
from exporter.errors import ExporterError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FLAGS: Final = {
    "storage.url": "where the journal is: sqlite:///PATH",
    "webhook.listen-address": "public listener",
    "web.listen-address": "admin listener: metrics, API, pages",
    "web.config.file": "TLS and basic auth of the admin listener, in exporter-toolkit's format",
    "web.external-url": "URL under which people reach the admin listener",
    "log.level": "debug, info, warning or error",
    "log.format": "logfmt or json",
}
_KEYS: Final = {flag: flag.replace("-", "_").replace("web.config.file", "web.config_file") for flag in FLAGS}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser()
    first_is_flag = bool(arguments) and arguments[0].startswith("-")
    if not arguments or (first_is_flag and arguments[0] not in ("-h", "--help", "--version")):
        arguments.insert(0, "serve")
    args = parser.parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = args.run
    try:
        return run(args)
    except ExporterError as error:
        print(f"device-exporter: {error}", file=sys.stderr)  # noqa: T201 - a command's answer
        return 2 if error.code == "config" else 1
    except KeyboardInterrupt:
        return 130


def add_configuration_flags(parser: argparse.ArgumentParser) -> None:
    """Add --config.file and the flags that override single keys."""
    parser.add_argument("--config.file", dest="config_file", type=Path, metavar="PATH", help="the policy file (YAML)")
    for flag, text in FLAGS.items():
        parser.add_argument(f"--{flag}", dest=_KEYS[flag], metavar="VALUE", help=text)


def configuration(args: argparse.Namespace) -> Config:
    """Return the configuration that the flags, the environment and the file give. Raises ConfigError."""
    given = {key: value for key in _KEYS.values() if (value := getattr(args, key, None)) is not None}
    return load(args.config_file, os.environ, given)


def _parser() -> argparse.ArgumentParser:
    from exporter.cli import commands  # noqa: PLC0415 - the commands import this module

    parser = argparse.ArgumentParser(prog="device-exporter", description="Chat devices' disconnects as metrics.")
    parser.add_argument("--version", action="version", version=f"device-exporter {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    commands.add_parsers(subparsers)
    return parser


def check_config(args: argparse.Namespace) -> int:
    """Print the configuration as it would be used."""
    print(describe(configuration(args)), end="")  # noqa: T201 - a command's answer
    return 0
