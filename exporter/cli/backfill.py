"""`device-exporter backfill`: history for Prometheus from before it ran, or across its outage."""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from exporter.backfill.labels import parse_labels
from exporter.backfill.steps import Steps
from exporter.backfill.writer import FAMILY_NAMES, Backfill
from exporter.cli.journal import add_journal_flags, config_of
from exporter.cli.progress import progress_bar
from exporter.errors import ConfigError, ExporterError
from exporter.journal.sqlite.reader import open_reader
from exporter.lib.durations import parse_duration
from exporter.report.windows import DEFAULT_TIMEZONE, parse_time, timezone

if TYPE_CHECKING:
    import argparse
    from contextlib import AbstractContextManager

BUFFER = 1 << 20  # bytes


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "backfill",
        help="write history for Prometheus",
        description="Writes the journal's history as OpenMetrics with timestamps. Load it with: promtool tsdb "
        "create-blocks-from openmetrics --max-block-duration=480h FILE DIRECTORY",
    )
    parser.add_argument("--from", dest="start", required=True, metavar="TIME", help="2026-10-01, ISO 8601 or Unix time")
    parser.add_argument("--to", dest="end", metavar="TIME", help="end, not included (default: now)")
    parser.add_argument(
        "--step", default="60s", metavar="DURATION", help="time between samples, below 5m (default: 60s)"
    )
    parser.add_argument(
        "--timezone", default=DEFAULT_TIMEZONE, help=f"of times without one (default: {DEFAULT_TIMEZONE})"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="where to; - is standard output")
    parser.add_argument("--only", metavar="NAME,…", help=f"only these families of {', '.join(FAMILY_NAMES)}")
    parser.add_argument(
        "--label",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a label for every series, repeatable: the job and instance of the scrape target, so that series continue",
    )
    add_journal_flags(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the file; return 0. Raises ConfigError, JournalUnavailable, ExporterError."""
    try:
        steps, only, labels = _steps(args), _only(args.only), parse_labels(args.label)
    except ValueError as error:
        raise ConfigError(f"backfill: {error}") from error
    try:
        samples = _write(args, steps, only, labels)
    except OSError as error:
        raise ExporterError(f"backfill: {error}") from error
    print(f"backfill: {samples} samples at {steps.count} times", file=sys.stderr)  # noqa: T201 - a command's answer
    return 0


def _steps(args: argparse.Namespace) -> Steps:
    zone = timezone(args.timezone)
    now = time.time()
    end = now if args.end is None else min(now, parse_time(args.end, zone))
    step = parse_duration(args.step)
    if step != int(step):
        raise ValueError("the step must be whole seconds")
    return Steps(int(parse_time(args.start, zone)), int(end), int(step))


def _only(text: str | None) -> list[str]:
    only = text.split(",") if text else list(FAMILY_NAMES)
    for name in only:
        if name not in FAMILY_NAMES:
            raise ValueError(f"unknown family {name!r}; allowed: {', '.join(FAMILY_NAMES)}")
    return only


def _write(args: argparse.Namespace, steps: Steps, only: list[str], labels: dict[str, str]) -> int:
    config = config_of(args)
    with (
        open_reader(config.storage.url) as reader,
        _opened(args.output) as out,
        progress_bar("backfill", 0, len(only)) as bar,
    ):
        backfill = Backfill(reader, steps, out, bar.at, policies=config.policies, labels=labels)
        backfill.write(only)
        return backfill.samples


def _opened(output: Path) -> AbstractContextManager[BinaryIO]:
    return nullcontext(sys.stdout.buffer) if str(output) == "-" else output.open("wb", buffering=BUFFER)
