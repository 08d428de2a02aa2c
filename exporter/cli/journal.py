"""The flags by which offline commands find the journal: the same as the exporter's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.config import Config, load

if TYPE_CHECKING:
    import argparse


def add_journal_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `config_of` reads."""
    where = parser.add_argument_group("journal")
    where.add_argument(
        "--config.file", dest="config_file", type=Path, metavar="FILE", help="the exporter's configuration"
    )
    where.add_argument("--storage.url", dest="storage_url", metavar="URL", help="the journal, such as sqlite:///x.db")


def config_of(args: argparse.Namespace) -> Config:
    """Return the configuration that the flags, the environment and the file give. Raises ConfigError."""
    overrides = {"storage.url": args.storage_url} if args.storage_url else {}
    return load(args.config_file, os.environ, overrides)
