"""`device-exporter notify-test TARGET`: send a test text to every URL of a target, without a running exporter.

Prints one line a URL with its service and the result; never the URL. Exit status: 0 all sent, 1 some failed, 2 the
configuration or the target cannot be used.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from exporter.config import load
from exporter.errors import ExporterError
from exporter.notify.sending import Result, TargetUnavailable, read_urls, send_now
from exporter.notify.sms import measure
from exporter.notify.text import Style, render_test

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.config.schema import Config, Target

SENT, SOME_FAILED, UNUSABLE = 0, 1, 2

_UNITS: Final = {"gsm7": "septets of GSM-7", "ucs2": "units of UCS-2"}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program's own."""
    parser = subparsers.add_parser(
        "notify-test", help="send a test text to a target of the relay", description=__doc__, formatter_class=_Raw
    )
    parser.add_argument("target", metavar="TARGET", help="its name under notify.targets")
    parser.add_argument("--config.file", dest="config_file", type=Path, metavar="PATH", default=argparse.SUPPRESS)
    parser.set_defaults(run=run)


_Raw = argparse.RawDescriptionHelpFormatter


def run(args: argparse.Namespace) -> int:
    """Send and report; return the exit status."""
    try:
        config = load(getattr(args, "config_file", None), os.environ, {})
        target = _target(config, args.target)
        urls = read_urls(target.urls_file) if target.urls_file else tuple(target.urls)
    except ExporterError as error:
        print(f"notify-test: {error}", file=sys.stderr)  # noqa: T201 - a command's answer
        return UNUSABLE
    style = Style(target.language or config.alerts.language, ZoneInfo(config.alerts.timezone))
    text = render_test(args.target, style, time.time())
    return _send(urls, text)


def _send(urls: Sequence[str], text: str) -> int:
    size = measure(text)
    print(text)  # noqa: T201
    print(f"{size.units} {_UNITS[size.encoding]}, {size.parts} SMS")  # noqa: T201
    failed = False
    for number, url in enumerate(urls, 1):
        result = send_now(url, text, resolved=False)
        failed |= result is not Result.SENT
        print(f"URL {number} ({_service(url)}): {result.value}")  # noqa: T201
    return SOME_FAILED if failed else SENT


def _target(config: Config, name: str) -> Target:
    target = config.notify.targets.get(name)
    if target is None:
        known = ", ".join(sorted(config.notify.targets)) or "none"
        raise TargetUnavailable(f"no target {name!r} under notify.targets; configured: {known}")
    return target


def _service(url: str) -> str:
    """Return the scheme, which names the service; a line without one may be nothing but a secret."""
    scheme, separator, _ = url.partition("://")
    return scheme if separator and scheme.isalnum() and len(scheme) <= 20 else "no scheme"
