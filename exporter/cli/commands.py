"""All commands of `device-exporter`, each with its flags."""

from __future__ import annotations

import json
import sys
from os import environ
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from exporter import __version__
from exporter.cli import backfill as backfill_cli
from exporter.cli import incidents as incidents_cli
from exporter.cli import maintenance as maintenance_cli
from exporter.cli import notify as notify_cli
from exporter.cli import report as report_cli
from exporter.cli import simulate as simulate_cli
from exporter.cli.main import add_configuration_flags, check_config, configuration
from exporter.errors import ConfigError, ExporterError
from exporter.journal.sqlite.backup import backup
from exporter.journal.sqlite.database import storage_path
from exporter.journal.sqlite.reader import open_reader
from exporter.lib.logs import setup

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping

    from exporter.domain.records import Rejected

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse names it no other way

ADMIN_URL = environ.get("EXPORTER_ADMIN_URL") or "http://127.0.0.1:9877"


def add_parsers(subparsers: Subparsers) -> None:
    """Add every command."""
    _configured(subparsers, "serve", "receive webhooks and expose metrics (the default)", _serve)
    _configured(subparsers, "check-config", "print the configuration in force, or what is wrong", check_config)
    forget = subparsers.add_parser("forget", help="take a decommissioned device out of the metrics; reports keep it")
    forget.add_argument("device_id", metavar="DEVICE_ID")
    forget.add_argument("--url", default=ADMIN_URL, help="admin listener of the running exporter (%(default)s)")
    forget.set_defaults(run=_forget)
    quarantine = _configured(subparsers, "quarantine", "list, show and requeue rejected webhook bodies", _quarantine)
    quarantine.add_argument("action", choices=["list", "show", "requeue"])
    quarantine.add_argument("id", type=int, nargs="?", metavar="ID")
    quarantine.add_argument(
        "--url", default="http://127.0.0.1:8080/webhook", help="where to send it again (%(default)s)"
    )
    copy = _configured(subparsers, "backup", "copy the journal to a file, also while the exporter runs", _backup)
    copy.add_argument("target", type=Path, metavar="FILE")
    subparsers.add_parser("version", help="print the version").set_defaults(run=_version)
    for module in (report_cli, backfill_cli, incidents_cli, maintenance_cli, notify_cli, simulate_cli):
        module.add_parser(subparsers)


def _configured(
    subparsers: Subparsers, name: str, text: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser = subparsers.add_parser(name, help=text, description=text)
    add_configuration_flags(parser)
    parser.set_defaults(run=run)
    return parser


def _serve(args: argparse.Namespace) -> int:
    from exporter.app.app import serve  # noqa: PLC0415 - commands that do not serve start faster without it

    config = configuration(args)
    setup(config.log.level, config.log.format)
    return serve(lambda: configuration(args))


def _version(_: argparse.Namespace) -> int:
    _say(f"device-exporter {__version__}")
    return 0


def _forget(args: argparse.Namespace) -> int:
    _call(f"{args.url.rstrip('/')}/api/v1/devices/{quote(args.device_id, safe='')}", "DELETE")
    _say(f"{args.device_id} is forgotten")
    return 0


def _backup(args: argparse.Namespace) -> int:
    size = backup(Path(storage_path(configuration(args).storage.url)), args.target)
    _say(f"{args.target}: {size} bytes")
    return 0


def _quarantine(args: argparse.Namespace) -> int:
    config = configuration(args)
    if args.action != "list" and args.id is None:
        raise ConfigError(f"quarantine {args.action}: give the ID that `quarantine list` shows")
    with open_reader(config.storage.url) as reader:
        found = reader.rejected(args.id)
    if args.action == "list":
        for entry in found:
            _say(f"{entry.id}\t{entry.received_at:.0f}\t{entry.times}x\t{entry.code}\t{entry.message}")
        return 0
    if not found:
        raise ExporterError(f"quarantine: no entry {args.id}")
    if args.action == "show":
        _say(json.dumps(_shown(found[0]), indent=2, ensure_ascii=False))
        return 0
    return _requeue(found[0], args.url, config.webhook.secret or _generated_secret(config.storage.url))


def _shown(entry: Rejected) -> dict[str, object]:
    payload = json.loads(entry.payload) if entry.payload else None
    return {**entry._asdict(), "payload": payload}


def _requeue(entry: Rejected, url: str, secret: str) -> int:
    if entry.payload is None:
        raise ExporterError(
            f"quarantine: entry {entry.id} has no payload that could be kept safely; resend it from the platform"
        )
    _call(url, "POST", entry.payload, {"Authorization": secret, "Content-Type": "application/json"})
    _say(f"entry {entry.id} was accepted")
    return 0


def _generated_secret(storage_url: str) -> str:
    path = Path(storage_path(storage_url)).with_name("webhook-secret")
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ConfigError(f"webhook.secret: none is configured, and {path} cannot be read: {error.strerror}") from error


def _call(url: str, method: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> None:
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"--url: expected http:// or https://, got {url!r}")
    try:
        with urlopen(Request(url, body, dict(headers or {}), method=method), timeout=30):  # noqa: S310 - checked
            pass
    except HTTPError as error:
        raise ExporterError(f"{url}: {error.code} {error.read(1000).decode(errors='replace')}") from error
    except URLError as error:
        raise ExporterError(f"{url}: {error.reason}") from error


def _say(text: str) -> None:
    print(text, file=sys.stdout)  # noqa: T201 - a command's answer
