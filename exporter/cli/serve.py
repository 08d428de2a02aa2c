"""`device-exporter serve`: the exporter itself."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from exporter.app.serving import serve
from exporter.cli.flags import add_configuration_flags, configuration
from exporter.journal.storage import storage_folder
from exporter.lib.logs import fields, setup

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
    _tell_of_new_folder(config.storage.url)
    return serve(lambda: configuration(args))


def _tell_of_new_folder(storage_url: str) -> None:
    """Say where the journal will be, where nothing is yet: a first start need not have named it."""
    folder = storage_folder(storage_url)
    if folder is not None and not folder.exists():
        told = fields(folder=folder.absolute(), flag="--storage.url")
        logging.getLogger(__name__).info("a folder is made for the journal; a flag names another", extra=told)
