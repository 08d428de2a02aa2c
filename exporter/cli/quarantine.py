"""`device-exporter quarantine list|show|requeue`: bodies that had the right secret and could not be used."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exporter.cli.admin import Client
from exporter.cli.commands import add_parser
from exporter.cli.flags import JOURNAL, add_configuration_flags, add_json_flag, configuration, positive
from exporter.cli.output import local_time, say, say_json, say_table
from exporter.errors import ConfigError, ExporterError
from exporter.gateways.again import proven, rebuilt
from exporter.journal.storage import open_reader, storage_folder
from exporter.lib.address import parse_address
from exporter.lib.times import zone_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from exporter.cli.commands import Actions
    from exporter.config import Config
    from exporter.domain.records import Rejected

WEBHOOK_PATH: Final = "/webhook"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's actions."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    add_json_flag(_action(actions, "list", "what waits for a decision", _list))
    show = _action(actions, "show", "one body, without what must not be kept", _show)
    requeue = _action(actions, "requeue", "send a body to the running exporter once more", _requeue)
    requeue.add_argument("--url", help="the webhook (default: webhook.listen_address of the configuration)")
    for one in (show, requeue):
        one.add_argument("id", type=positive, metavar="ID", help="as `quarantine list` shows it")


def _action(
    actions: Actions, name: str, summary: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser = add_parser(actions, name, summary, (f"quarantine {name}{'' if name == 'list' else ' 3'}",))
    add_configuration_flags(parser, JOURNAL)
    parser.set_defaults(run=run)
    return parser


def _list(args: argparse.Namespace) -> int:
    config = configuration(args)
    with open_reader(config.storage.url) as reader:
        found = reader.rejected()
    if args.json:
        say_json([{name: value for name, value in one._asdict().items() if name != "payload"} for one in found])
        return 0
    zone = zone_of(config.alerts.timezone)
    rows = [(str(one.id), local_time(one.received_at, zone), f"{one.times}x", one.code, one.message) for one in found]
    say_table([("ID", "RECEIVED", "TIMES", "CODE", "REASON"), *rows])
    return 0


def _show(args: argparse.Namespace) -> int:
    config = configuration(args)
    entry = _entry(config, args.id)
    received = local_time(entry.received_at, zone_of(config.alerts.timezone))
    say_json({"received": received, **entry._asdict(), "payload": json.loads(entry.payload) if entry.payload else None})
    return 0


def _requeue(args: argparse.Namespace) -> int:
    config = configuration(args)
    entry = _entry(config, args.id)
    if entry.payload is None:
        raise ExporterError(
            f"quarantine: entry {entry.id} has no payload that could be kept safely; resend it from the platform"
        )
    kept, url = json.loads(entry.payload), args.url or _webhook_url(config)
    if isinstance(kept.get("gateway"), str):
        _requeue_of_gateway(config, url, kept)
    else:
        secret = config.webhook.secret or _generated_secret(config.storage.url)
        Client(url, {"Authorization": secret}).send("POST", "", entry.payload)
    say(f"entry {entry.id} was accepted")
    return 0


def _requeue_of_gateway(config: Config, url: str, kept: dict[str, str]) -> None:
    """Send what was kept of a body of a gateway, proved as that gateway proves itself."""
    name = kept["gateway"]
    gateway = config.gateways.get(name)
    if gateway is None or gateway.reading is None or gateway.auth is None:
        raise ExporterError(f"quarantine: the configuration has no gateway {name}")
    body = rebuilt(kept)
    path, headers = proven(gateway.auth, gateway.reading.proof, str(gateway.secret), body, time.time())
    answer = Client(f"{url}/{name}", headers).send("POST", path, body)
    if answer.startswith(b"{"):
        raise ExporterError(f"quarantine: it was put there again: {json.loads(answer).get('quarantined')}")


def _entry(config: Config, number: int) -> Rejected:
    with open_reader(config.storage.url) as reader:
        found = reader.rejected(number)
    if not found:
        raise ExporterError(f"quarantine: no entry {number}")
    return found[0]


def _webhook_url(config: Config) -> str:
    """Return where the configured exporter takes webhooks, seen from its own machine."""
    address = parse_address(config.webhook.listen_address)
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)  # noqa: S104
    return f"http://{address._replace(host=host)}{WEBHOOK_PATH}"


def _generated_secret(storage_url: str) -> str:
    path = (storage_folder(storage_url) or Path()) / "webhook-secret"
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ConfigError(f"webhook.secret: none is configured, and {path} cannot be read: {error.strerror}") from error
