"""`device-exporter report`: exact availability from the journal, also while the exporter runs."""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from exporter.cli.flags import JOURNAL, add_configuration_flags, add_language_flag, configuration, positive
from exporter.cli.output import opened, say
from exporter.cli.progress import progress_bar
from exporter.errors import ConfigError, ExporterError
from exporter.journal.storage import open_reader
from exporter.lib.durations import parse_duration
from exporter.report.availability import KEYS
from exporter.report.document import compile_report
from exporter.report.formats import as_csv, as_json, print_table
from exporter.report.groups import source_by
from exporter.report.selection import OfBusinesses
from exporter.report.windows import DEFAULT_WINDOW, between, month, timezone, window
from exporter.report.wording import Wording

if TYPE_CHECKING:
    from exporter.config.schema import Config
    from exporter.lib.words import Language
    from exporter.report.document import Document
    from exporter.report.windows import Period

FORMATS = ("table", "csv", "json", "html")
WIDE = 180  # columns of a table that no terminal limits


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.description = textwrap.fill(
        "Computes availability, downtime, outages, MTTR, MTBF and the error budget from the times of the events. Time "
        "in which the exporter was blind, and planned maintenance, count neither as up nor as down.",
        100,
    )
    when = parser.add_argument_group("period")
    when.add_argument("--window", metavar="DURATION", help="the last so long, such as 30d (the default)")
    when.add_argument("--month", metavar="YYYY-MM", help="a calendar month, such as 2026-10")
    when.add_argument("--from", dest="start", metavar="TIME", help="from 2026-10-01, an ISO 8601 or Unix time")
    when.add_argument("--to", dest="end", metavar="TIME", help="up to this time, not included (default: now)")
    for former, key in (("--start", "start"), ("--end", "end")):
        when.add_argument(former, dest=key, help=argparse.SUPPRESS)
    when.add_argument(
        "--timezone", metavar="ZONE", help="of months, days and times (default: alerts.timezone of the configuration)"
    )
    parser.add_argument("--by", choices=KEYS, default="engine", help="what a row is (default: engine)")
    parser.add_argument(
        "--business", action="append", default=[], metavar="ID_OR_NAME", help="only its devices; may be given again"
    )
    parser.add_argument("--top", type=positive, metavar="N", help="show only so many rows, the least available ones")
    parser.add_argument("--format", choices=FORMATS, default="table", help="default: table")
    parser.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")
    add_language_flag(parser, "alerts.language of the configuration")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where to (default: standard output)")
    add_configuration_flags(parser, JOURNAL)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the report; return 0. Raises ConfigError, JournalUnavailable, ExporterError."""
    now = time.time()
    config = configuration(args)
    try:
        period = period_of(args, now, args.timezone or config.alerts.timezone)
    except ValueError as error:
        raise ConfigError(f"report: {error}") from error
    document = _compile(args.by, period, config, now, args.business)
    document = msgspec.structs.replace(document, top=args.top)
    language: Language = args.language or config.alerts.language
    text = _rendered(document, args.format, language, to_file=args.output is not None)
    if args.output is None:
        say(text, end="")
    else:
        with opened(args.output) as file:
            file.write(text.encode())
    return 0


def period_of(args: argparse.Namespace, now: float, zone: str) -> Period:
    """Return the period that the options ask for, by default the last 30 days. Raises ValueError."""
    timezone(zone)
    ways = [way for way in ("window", "month", "start") if getattr(args, way) is not None]
    flags = ["--from" if way == "start" else f"--{way}" for way in ways]
    if len(ways) > 1:
        raise ValueError(f"{flags[0]} and {flags[1]} exclude each other")
    if args.end is not None and ways != ["start"]:
        raise ValueError("--to needs --from")
    if ways == ["month"]:
        return month(args.month, now, zone)
    if ways == ["start"]:
        return between(args.start, args.end, now, zone)
    return window(parse_duration(args.window) if args.window else DEFAULT_WINDOW, now, zone)


def _compile(by: str, period: Period, config: Config, now: float, businesses: list[str]) -> Document:
    with open_reader(config.storage.url) as reader, progress_bar("report", 0, reader.device_count()) as bar:
        pairs = [(pair.channel, pair.backup) for pair in config.failover]
        chosen = OfBusinesses(reader, businesses)
        document = compile_report(
            source_by(by, chosen if businesses else reader, pairs),
            period,
            by,
            now=now,
            objective=lambda engine: config.policies.for_engine(engine).objective_ratio,
            on_progress=bar.at,
        )
    if missing := chosen.missing(businesses):
        raise ExporterError(f"report: no device belongs to a business {missing[0]!r}")
    return document


def _rendered(document: Document, form: str, language: Language, *, to_file: bool) -> str:
    if form == "json":
        return as_json(document)
    if form == "csv":
        return as_csv(document)
    if form == "html":
        from exporter.report.page import as_html  # noqa: PLC0415 - only this form needs templates

        return as_html(document, language)
    from rich.console import Console  # noqa: PLC0415 - only this form needs it

    terminal = not to_file and sys.stdout.isatty()
    encoding = "utf-8" if to_file else sys.stdout.encoding  # where it has no lines for boxes, none are drawn
    page = io.TextIOWrapper(io.BytesIO(), encoding, errors="replace", newline="")
    width = shutil.get_terminal_size().columns if terminal else WIDE
    print_table(document, Console(file=page, force_terminal=terminal, width=width), Wording(language))
    page.seek(0)
    return page.read()
