"""`device-exporter gateway list|try`: which gateways are configured, and what one of their bodies would do.

Nothing is sent and nothing is stored. A body is shown by what is understood of it, so that no key, token or QR code
gets onto the screen.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from exporter.cli.commands import add_parser
from exporter.cli.flags import add_configuration_flags, add_json_flag, configuration
from exporter.cli.output import local_time, say, say_json, say_table
from exporter.config.gateways import preset_of
from exporter.errors import ConfigError, ExporterError, InvalidEvent
from exporter.gateways.events import SessionEvent
from exporter.lib.durations import format_duration
from exporter.lib.times import zone_of
from exporter.web.public import WEBHOOK_PATH

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from exporter.config import Config
    from exporter.config.schema import Gateway
    from exporter.gateways.events import Seen

_EFFECT: Final = {
    "up": "connected",
    "hard": "disconnected at once",
    "soft": "disconnected if it lasts {soft_after}",
    "gone": "deleted at the gateway: forgotten",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's actions."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = add_parser(actions, "list", "the configured gateways", ("gateway list --config.file=exporter.yml",))
    trying = add_parser(
        actions, "try", "what a body of a gateway would do, and why", ("gateway try evo-jkt body.json",)
    )
    trying.add_argument("name", metavar="NAME", help="its name under gateways")
    trying.add_argument("file", type=Path, metavar="FILE", help="a body as the gateway sends it; - is standard input")
    trying.add_argument("--path", default="", help="what follows /webhook/NAME in the path, without a secret")
    for one, run in ((listing, _list), (trying, _try)):
        add_json_flag(one)
        add_configuration_flags(one, ())
        one.set_defaults(run=run)


def _list(args: argparse.Namespace) -> int:
    gateways = configuration(args).gateways
    rows = [
        {
            "name": name,
            "preset": gateway.preset,
            "webhook": _webhook(name, gateway),
            "auth": (gateway.auth or "") if _calls(gateway) else "",
            "soft_after": format_duration(gateway.soft_after or 0),
            "state": "" if gateway.state is None else format_duration(gateway.state.every or 0),
        }
        for name, gateway in gateways.items()
    ]
    if args.json:
        say_json(rows)
    elif rows:
        say_table(
            [("NAME", "PRESET", "WEBHOOK", "AUTH", "SOFT AFTER", "ASKED EVERY"), *(tuple(r.values()) for r in rows)]
        )
    else:
        say("no gateways are configured; POST /webhook is the platform's own")
    return 0


def _calls(gateway: Gateway) -> bool:
    return gateway.reading is not None and gateway.reading.webhook


def _webhook(name: str, gateway: Gateway) -> str:
    if not _calls(gateway):
        return ""
    return f"{WEBHOOK_PATH}/{name}" + ("/<secret>" if gateway.auth == "path" else "")


def _try(args: argparse.Namespace) -> int:
    config = configuration(args)
    gateway = _gateway(config, args.name)
    try:
        body = sys.stdin.buffer.read() if str(args.file) == "-" else args.file.read_bytes()
    except OSError as error:
        raise ExporterError(f"gateway: cannot read {args.file}: {error.strerror}") from None
    now = time.time()
    preset = preset_of(args.name, gateway, lambda: now)
    path = f"secret/{args.path}" if gateway.auth == "path" else args.path
    try:
        seen = preset.read(body, now=now, latest=now + config.webhook.max_future_skew, known=lambda _: None, path=path)
    except InvalidEvent as error:
        raise ExporterError(f"gateway: the body would be quarantined as {error.code}: {error}") from None
    _show(seen, gateway, config, as_json=args.json)
    return 0


def _show(seen: Sequence[Seen], gateway: Gateway, config: Config, *, as_json: bool) -> None:
    events = [one for one in seen if isinstance(one, SessionEvent)]
    if as_json:
        say_json([_plain(event) for event in events])
        return
    if not events:
        say("nothing: the body is answered with 200 and counted as ignored")
        return
    zone = zone_of(config.alerts.timezone)
    soft_after = format_duration(gateway.soft_after or 0)
    rows = [
        (
            event.identity.device_id,
            event.identity.engine,
            event.identity.business_id,
            local_time(event.at_ms / 1000, zone),
            _EFFECT[event.state].format(soft_after=soft_after),
            event.reason if event.state in ("hard", "soft") else "",
        )
        for event in events
    ]
    say_table([("DEVICE", "ENGINE", "BUSINESS", "TIME", "EFFECT", "REASON"), *rows])
    if any(event.shift for event in events):
        say("the gateway's own time is hours off and is not used: set `timezone`")


def _plain(event: SessionEvent) -> dict[str, Any]:
    identity = event.identity
    return {
        "device_id": identity.device_id,
        "device_name": identity.device_name,
        "engine": identity.engine,
        "business_id": identity.business_id,
        "state": event.state,
        "reason": event.reason,
        "time": event.at_ms / 1000,
    }


def _gateway(config: Config, name: str) -> Gateway:
    found = config.gateways.get(name)
    if found is None:
        known = ", ".join(sorted(config.gateways)) or "none"
        raise ConfigError(f"gateway: no gateway {name!r} under gateways; configured: {known}")
    return found
