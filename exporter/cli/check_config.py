"""`device-exporter check-config`: whether the configuration is right, and what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.cli.flags import add_configuration_flags, add_json_flag, configuration
from exporter.cli.output import complain, say, say_json
from exporter.config import describe, ensure_link_secret, ensure_webhook_secret
from exporter.journal.storage import storage_folder
from exporter.lib.yaml import parse_yaml
from exporter.web.webconfig import WebConfigFile

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    add_json_flag(parser)
    add_configuration_flags(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the configuration as it would be used, then OK. Raises ConfigError with a line for each mistake."""
    config = configuration(args)
    if config.web.config_file:
        WebConfigFile(config.web.config_file).load()
    if storage_folder(config.storage.url) is None:  # otherwise a start makes those that are missing
        ensure_webhook_secret(config, None)
        ensure_link_secret(config, None)
    if args.json:
        say_json(parse_yaml(describe(config)))
    else:
        say(describe(config), end="")
    complain("OK: the configuration can be used")
    return 0
