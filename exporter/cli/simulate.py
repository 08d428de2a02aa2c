"""`device-exporter simulate`: a fleet's webhooks, sent to a running exporter or written to a file."""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import textwrap
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from exporter.cli.flags import duration, positive
from exporter.cli.flags import time as time_of
from exporter.cli.output import complain, opened
from exporter.cli.progress import Bar, progress_bar
from exporter.errors import ConfigError, ExporterError
from exporter.lib.address import Address, parse_address
from exporter.lib.durations import format_duration
from exporter.simulate.fleet import make_fleet
from exporter.simulate.gateways import GATEWAYS, SIGNED, headers, path, translator
from exporter.simulate.names import ENGINES
from exporter.simulate.outages import DAY, MassOutage
from exporter.simulate.payloads import connection_test
from exporter.simulate.speed import Pace
from exporter.simulate.traffic import PROFILES, Profile, Sending, generate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.simulate.gateways import Translate
    from exporter.simulate.sender import Tally

SECRET_VARIABLE = "DEVICE_EXPORTER_WEBHOOK_SECRET"  # noqa: S105 - a variable's name
SIGNED_PAST = DAY - 3600
"""Seconds; an hour for the sending."""
DEFAULT_URL = "http://127.0.0.1:8080/webhook"


class Plan(msgspec.Struct, frozen=True):
    """What to simulate. Simulated Unix seconds; history before `live_from`, `end` may be infinite."""

    start: float
    live_from: float
    end: float
    speed: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.description = textwrap.fill(
        "Sends what the platform would send for a fleet of devices: flaps, short and long outages, mass outages, "
        "duplicates, late and reordered events, and retries. The same seed and window give the same events.",
        100,
    )
    target = parser.add_argument_group("where to")
    target.add_argument(
        "--url", default=DEFAULT_URL, metavar="URL", help=f"the exporter's webhook (default: {DEFAULT_URL})"
    )
    target.add_argument(
        "--secret-file", type=Path, metavar="FILE", help=f"the webhook secret; else ${SECRET_VARIABLE}[_FILE]"
    )
    target.add_argument(
        "--gateway",
        choices=GATEWAYS,
        help="send what this gateway would send instead; --url is its path, such as http://127.0.0.1:8080/webhook/NAME",
    )
    target.add_argument(
        "--lost-webhooks", type=_share, default=0.0, metavar="SHARE", help="of a gateway's, 0.05 is one of 20"
    )
    target.add_argument(
        "--state-api",
        type=_address,
        metavar="[HOST]:PORT",
        help="serve the gateway's own state API there, which knows of lost webhooks, too",
    )
    target.add_argument(
        "--state-lies", type=_share, default=0.0, metavar="SHARE", help="of sessions that it tells wrongly for a moment"
    )
    target.add_argument(
        "--output", type=Path, metavar="FILE", help="write JSON lines {send_at, payload} instead; - is standard output"
    )
    when = parser.add_argument_group("when")
    when.add_argument(
        "--history", type=duration, metavar="DURATION", help="send this much of the past first, as fast as it goes: 30d"
    )
    when.add_argument(
        "--from", dest="start", type=time_of, metavar="TIME", help="send the past from this time (ISO 8601 or Unix)"
    )
    when.add_argument(
        "--to", dest="end", type=time_of, metavar="TIME", help="up to this time, not in the future; then stop"
    )
    when.add_argument(
        "--duration", type=duration, metavar="DURATION", help="then run live for so long; 0 is until interrupted"
    )
    when.add_argument(
        "--speed", type=_speed, default=1.0, metavar="FACTOR", help="how much faster live time passes (default: 1x)"
    )
    fleet = parser.add_argument_group("what")
    fleet.add_argument("--devices", type=positive, default=200, metavar="N", help="how many (default: 200)")
    fleet.add_argument("--seed", type=int, default=1, metavar="N", help="of chance (default: 1)")
    fleet.add_argument("--profile", choices=PROFILES, default="normal", help="how often devices fail (default: normal)")
    fleet.add_argument("--messages-per-device", type=float, default=0.0, metavar="N", help="a day (default: none)")
    fleet.add_argument("--incident", choices=ENGINES, help="most devices of this engine go down as live time begins")
    fleet.add_argument(
        "--incident-from", type=time_of, metavar="TIME", help="it began then instead, and may run already"
    )
    fleet.add_argument(
        "--incident-for", type=duration, default=1200.0, metavar="DURATION", help="really (default: 20m)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Simulate; return 0. Raises ConfigError, ExporterError if the exporter cannot be reached or refuses."""
    try:
        plan = make_plan(args, time.time())
        secret = "" if args.output else read_secret(args.secret_file)
    except (ValueError, OSError) as error:
        raise ConfigError(f"simulate: {error}") from error
    sendings = _sendings(args, plan)
    if args.output:
        return _write(sendings, args.output, plan, _translator(args))
    return asyncio.run(_send(args, plan, secret, sendings))


def make_plan(args: argparse.Namespace, now: float) -> Plan:
    """Return the plan that the options ask for. Raises ValueError."""
    if args.history is not None and args.start is not None:
        raise ValueError("--history and --from exclude each other")
    end_of_past = now if args.end is None else args.end
    if end_of_past > now:
        raise ValueError("--to must not lie in the future")
    past = end_of_past - args.history if args.history is not None else args.start
    live = args.duration if args.duration is not None or past is not None else 0.0
    if args.end is not None and live is not None:
        raise ValueError("--to stops in the past, so --duration cannot follow it" if past else "--to needs --from")
    if args.output is not None and live is not None:
        live = live or DAY / args.speed
    if args.gateway is None and (args.lost_webhooks or args.state_api or args.state_lies):
        raise ValueError("--lost-webhooks, --state-api and --state-lies need --gateway")
    start = end_of_past if past is None else past
    end = end_of_past if live is None else end_of_past + (live or math.inf) * args.speed
    if start >= end:
        raise ValueError("the window must end after it starts")
    if args.gateway in SIGNED and args.output is None and start < now - SIGNED_PAST:
        raise ValueError(
            f"{args.gateway} signs what it sends, and a signed body of a day ago is refused as a replay: "
            f"at most --history {format_duration(SIGNED_PAST)}"
        )
    return Plan(start, end_of_past, end, args.speed)


def read_secret(file: Path | None) -> str:
    """Return the webhook secret from the file or the environment. Raises ValueError, OSError."""
    named = file or os.environ.get(f"{SECRET_VARIABLE}_FILE")
    secret = Path(named).read_text("utf-8").strip() if named else os.environ.get(SECRET_VARIABLE, "").strip()
    if not secret:
        raise ValueError(f"no webhook secret: give --secret-file or ${SECRET_VARIABLE}")
    return secret


def _sendings(args: argparse.Namespace, plan: Plan) -> Iterator[Sending]:
    profile: Profile = msgspec.structs.replace(PROFILES[args.profile], messages_per_day=args.messages_per_device)
    incidents = []
    if args.incident:
        begun = plan.live_from + 1 if args.incident_from is None else args.incident_from
        incidents = [MassOutage(args.incident, begun, args.incident_for * plan.speed, 0.85, 20)]
    return generate(
        make_fleet(args.devices, args.seed),
        seed=args.seed,
        start=plan.start,
        end=plan.end,
        profile=profile,
        incidents=incidents,
        live_from=plan.live_from,
    )


def _write(sendings: Iterator[Sending], output: Path, plan: Plan, translate: Translate) -> int:
    pace, encoder = Pace(plan.live_from, plan.speed), msgspec.json.Encoder()
    with opened(output) as file, progress_bar("simulate", plan.start, plan.end) as bar:
        for sending in sendings:
            at = round(pace.real(sending.send_at), 3)
            for payload in translate(pace.payload(sending)):
                file.write(encoder.encode({"send_at": at, "payload": payload}) + b"\n")
            bar.at(sending.send_at)
    return 0


async def _send(args: argparse.Namespace, plan: Plan, secret: str, sendings: Iterator[Sending]) -> int:
    from exporter.simulate.sender import HttpTransport, Sender  # noqa: PLC0415 - aiohttp is slow to import
    from exporter.simulate.state_api import GatewaySessions, serving  # noqa: PLC0415

    url = args.url + (path(args.gateway, secret) if args.gateway else "")
    async with HttpTransport(url, partial(_headers, args.gateway, secret), connections=16) as transport:
        error = await transport(msgspec.json.encode(connection_test(int(time.time()))))
        if error:
            raise ExporterError(f"simulate: {args.url} does not accept webhooks: {error}")
        pace, translate = Pace(plan.live_from, plan.speed), _translator(args)
        sender = Sender(transport, pace, clock=time.time, translate=translate)
        api = serving(translate, args.state_api) if isinstance(translate, GatewaySessions) else nullcontext()
        async with api:
            with progress_bar("simulate", plan.start, plan.end) as bar:
                tally = await sender.run(sendings, _reporting(bar, sender.tally))
    lost = f", {tally.failed} given up ({tally.last_error})" if tally.failed else ""
    complain(f"simulate: {tally.sent} sent, {tally.retries} retries{lost}")
    return 1 if tally.failed else 0


def _translator(args: argparse.Namespace) -> Translate:
    if args.gateway is None:
        return lambda payload: [payload]
    from exporter.simulate.state_api import GatewaySessions  # noqa: PLC0415 - aiohttp is slow to import

    lost, lies = args.lost_webhooks, args.state_lies
    return GatewaySessions(args.gateway, translator(args.gateway), lost=lost, lies=lies, seed=args.seed)


def _headers(gateway: str | None, secret: str, body: bytes) -> dict[str, str]:
    return {"Authorization": secret} if gateway is None else headers(gateway, body, secret)


def _reporting(bar: Bar, tally: Tally) -> Callable[[float], None]:
    def report(simulated: float) -> None:
        bar.at(simulated, f"{tally.sent} sent" + (f", {tally.retries} retries" if tally.retries else ""))

    return report


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"expected a share from 0 to 1, got {text!r}")
    return share


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _speed(text: str) -> float:
    try:
        speed = float(text.removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not 0 < speed < math.inf:
        raise argparse.ArgumentTypeError(f"expected a factor such as 60x, got {text!r}")
    return speed
