"""`device-exporter pages`: the addresses of the status pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.cli.flags import add_configuration_flags, add_json_flag, configuration
from exporter.cli.output import say, say_json, say_table
from exporter.journal.storage import open_reader
from exporter.status_pages import slugs
from exporter.status_pages.feature import PATH

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    add_json_flag(parser)
    add_configuration_flags(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the pages that the exporter has made known; one without a slug has its address from the first start on."""
    pages = configuration(args).pages
    base = (pages.external_url or "").rstrip("/")
    with open_reader(configuration(args).storage.url) as reader:
        known = slugs.known(reader, pages.items)
    rows = [
        (page.title, f"{base}{PATH}/{slug}", ", ".join(f"https://{host}/" for host in page.hosts))
        for slug, page in known.items()
    ]
    if args.json:
        say_json([{"title": title, "url": url, "hosts": hosts} for title, url, hosts in rows])
    elif rows:
        say_table([("TITLE", "ADDRESS", "HOSTS"), *rows])
    else:
        say("no status page is configured; see docs/pages.md")
    return 0
