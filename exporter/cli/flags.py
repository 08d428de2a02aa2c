"""Flags that several commands share, and what they mean."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exporter.config import Config, load
from exporter.lib.durations import parse_duration
from exporter.report.windows import unix_time

if TYPE_CHECKING:
    from collections.abc import Iterable

FLAGS: Final = {
    "storage.url": "where the journal is, such as sqlite:///data/exporter.db",
    "webhook.listen-address": "public listener",
    "web.listen-address": "admin listener: metrics, API, pages",
    "web.config.file": "TLS and basic auth of the admin listener, in exporter-toolkit's format",
    "web.external-url": "URL under which people reach the admin listener",
    "pages.listen-address": "pages listener, for people outside",
    "pages.external-url": "URL under which people reach the pages listener",
    "log.level": "debug, info, warning or error",
    "log.format": "logfmt or json",
}
"""Keys of the configuration that a flag overrides."""
JOURNAL: Final = ("storage.url",)
"""The flags by which commands that need no running exporter find the journal."""
_KEYS: Final = {flag: flag.replace("-", "_").replace("web.config.file", "web.config_file") for flag in FLAGS}


def add_configuration_flags(parser: argparse.ArgumentParser, flags: Iterable[str] = FLAGS) -> None:
    """Add --config.file and flags that override single keys."""
    group = parser.add_argument_group("configuration")
    group.add_argument(
        "--config.file", dest="config_file", type=Path, metavar="FILE", help="the exporter's configuration (YAML)"
    )
    for flag in flags:
        group.add_argument(f"--{flag}", dest=_KEYS[flag], metavar="VALUE", help=FLAGS[flag])


def configuration(args: argparse.Namespace) -> Config:
    """Return the configuration that the flags, the environment and the file give. Raises ConfigError."""
    given = {key: value for key in _KEYS.values() if (value := getattr(args, key, None)) is not None}
    return load(args.config_file, os.environ, given)


def add_json_flag(parser: argparse.ArgumentParser) -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="for programs; times are Unix seconds")


def add_language_flag(parser: argparse.ArgumentParser, default: str) -> None:
    """Add --language; `default` says what holds without it."""
    parser.add_argument("--language", choices=("id", "en"), help=f"default: {default}")


def duration(text: str) -> float:
    """Return the seconds of a duration."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def time(text: str) -> float:
    """Return the Unix seconds of a time."""
    try:
        return unix_time(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def positive(text: str) -> int:
    """Return a positive whole number."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:19]) < 10**18):
        raise argparse.ArgumentTypeError(f"expected a positive whole number, got {text!r}")
    return int(text)
