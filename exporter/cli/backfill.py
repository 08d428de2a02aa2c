"""`device-exporter backfill`: history for Prometheus from before it ran, or across its outage."""

from __future__ import annotations

import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.backfill.labels import parse_labels
from exporter.backfill.steps import Steps
from exporter.backfill.writer import FAMILY_NAMES, Backfill
from exporter.cli.flags import JOURNAL, add_configuration_flags, configuration
from exporter.cli.output import complain, opened
from exporter.cli.progress import progress_bar
from exporter.errors import ConfigError
from exporter.journal.storage import open_reader
from exporter.lib.durations import parse_duration
from exporter.report.windows import DEFAULT_TIMEZONE, timezone, unix_time

if TYPE_CHECKING:
    import argparse

LONGEST_STEP = 300  # seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.description = textwrap.fill(
        "Writes the journal's history as OpenMetrics with timestamps. Load it with: promtool tsdb create-blocks-from "
        "openmetrics --max-block-duration=486h FILE DIRECTORY",
        100,
    )
    parser.add_argument("--from", dest="start", required=True, metavar="TIME", help="2026-10-01, ISO 8601 or Unix time")
    parser.add_argument("--to", dest="end", metavar="TIME", help="end, not included (default: now)")
    parser.add_argument(
        "--step", default="60s", metavar="DURATION", help="time between samples, at most 5m (default: 60s)"
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
    add_configuration_flags(parser, JOURNAL)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the file; return 0. Raises ConfigError, JournalUnavailable, ExporterError."""
    try:
        steps, only, labels = _steps(args), _only(args.only), parse_labels(args.label)
    except ValueError as error:
        raise ConfigError(f"backfill: {error}") from error
    samples = _write(args, steps, only, labels)
    complain(f"backfill: {samples} samples at {steps.count} times")
    return 0


def _steps(args: argparse.Namespace) -> Steps:
    zone = timezone(args.timezone)
    now = time.time()
    end = now if args.end is None else min(now, unix_time(args.end, zone))
    step = parse_duration(args.step)
    if step != int(step) or not 1 <= step <= LONGEST_STEP:
        raise ValueError("the step must be whole seconds from 1s to 5m: Prometheus forgets a sample after 5m")
    return Steps(int(unix_time(args.start, zone)), int(end), int(step))


def _only(text: str | None) -> list[str]:
    only = text.split(",") if text else list(FAMILY_NAMES)
    for name in only:
        if name not in FAMILY_NAMES:
            raise ValueError(f"unknown family {name!r}; allowed: {', '.join(FAMILY_NAMES)}")
    return only


def _write(args: argparse.Namespace, steps: Steps, only: list[str], labels: dict[str, str]) -> int:
    config = configuration(args)
    with (
        open_reader(config.storage.url) as reader,
        opened(args.output) as out,
        progress_bar("backfill", 0, len(only)) as bar,
    ):
        backfill = Backfill(reader, steps, out, bar.at, policies=config.policies, labels=labels)
        backfill.write(only)
        return backfill.samples
