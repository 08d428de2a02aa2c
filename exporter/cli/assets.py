"""`device-exporter assets FOLDER`: what a Prometheus, an Alertmanager and a Grafana of somebody's own need of us."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from exporter.assets.render import USUAL_JOB, Wanted, render
from exporter.cli.output import say
from exporter.errors import ConfigError
from exporter.lib.address import split_url
from exporter.lib.times import zone_of

if TYPE_CHECKING:
    from collections.abc import Iterable

_NEXT: Final = """
prometheus.yml:    rule_files: [{folder}/rules/*.yml]
                   scrape_configs: [{{job_name: {job}, static_configs: [{{targets: [{target}]}}]}}]
Alertmanager:      the parts of {folder}/alertmanager/alertmanager.yml beside yours, as its head says
Grafana:           import or provision {folder}/dashboards/*.json
the exporter:      DEVICE_EXPORTER_ALERTS_LABELS_JOB={job}, by which Alertmanager's route knows its alerts"""
_SETTING: Final = "                   DEVICE_EXPORTER_{name}={url}"
_NO_RUNBOOK: Final = "--runbook-url:     without it no message links to docs/runbook.md, wherever you keep that"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.add_argument(
        "folder", type=_folder, metavar="FOLDER", help="where to write; files of the same names are replaced"
    )
    parser.add_argument(
        "--language", choices=("id", "en"), default="id", help="of messages and dashboards (default: id)"
    )
    parser.add_argument("--timezone", type=_zone, default="Asia/Jakarta", help="of messages and quiet hours")
    parser.add_argument(
        "--url", type=_url, default="", help="the exporter's admin listener, as people and Alertmanager reach it"
    )
    parser.add_argument("--grafana-url", type=_url, default="", help="Grafana, for links in messages")
    parser.add_argument("--runbook-url", type=_page, default="", help="the page of the runbook, for links in messages")
    parser.add_argument(
        "--job",
        type=_job,
        default=USUAL_JOB,
        help=f"Prometheus' scrape job; of several fleets in one Prometheus each has its own (default: {USUAL_JOB})",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the files; say what becomes of them."""
    wanted = Wanted(args.language, args.timezone, args.url, args.grafana_url, args.runbook_url, args.job)
    found = render(wanted)
    try:
        _refuse_others(args.folder, found)
        for name, text in found.items():
            path = args.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {error.filename or args.folder}: {error.strerror}") from error
    say(f"{len(found)} files in {args.folder}")
    target = urlsplit(args.url).netloc or "HOST:9877"
    say(_NEXT.format(folder=args.folder, job=args.job, target=target))
    for name, url in {"WEB_EXTERNAL_URL": args.url, "ALERTS_RUNBOOK_URL": args.runbook_url}.items():
        if url:
            say(_SETTING.format(name=name, url=url))
    if not args.runbook_url:
        say(_NO_RUNBOOK)
    return 0


def _refuse_others(folder: Path, names: Iterable[str]) -> None:
    """Raise ConfigError where a file is a pipe or a device, or a symbolic link leads elsewhere; nothing is written."""
    for name in names:
        path = folder / name
        for part in (path, *list(path.parents)[: name.count("/")]):
            if part.is_symlink():
                raise ConfigError(f"cannot write {part}: it is a symbolic link, and what it leads to would be replaced")
        if path.exists() and not path.is_file():
            raise ConfigError(f"cannot write {path}: it is no regular file")


def _folder(text: str) -> Path:
    if not text.strip():
        raise argparse.ArgumentTypeError("expected a folder; . is this one")
    return Path(text)


def _url(text: str) -> str:
    if "?" in text:
        raise argparse.ArgumentTypeError("expected an address without ?, as paths are put behind it")
    return _page(text)


def _page(text: str) -> str:
    """Return a URL without a slash at its end; what is refused is not shown, as it may hold a password."""
    if not text:
        return ""
    parts, usable = split_url(text)
    if not usable or parts.username is not None or re.search(r"[\s\"'{}<>|\\#]", text):
        raise argparse.ArgumentTypeError("expected an address such as https://alerts.example.com, without a password")
    return text.rstrip("/")


def _zone(text: str) -> str:
    try:
        return zone_of(text).key
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _job(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_./-]*", text):
        raise argparse.ArgumentTypeError(f"expected letters, digits and . _ / -, got {text!r}")
    return text
