"""`device-exporter simulate`: a fleet's webhooks, sent to a running exporter or written to a file."""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import msgspec

from exporter.cli.progress import Bar, progress_bar
from exporter.lib.durations import parse_duration
from exporter.report.windows import parse_time
from exporter.simulate.fleet import make_fleet
from exporter.simulate.names import ENGINES
from exporter.simulate.outages import DAY, MassOutage
from exporter.simulate.payloads import connection_test
from exporter.simulate.speed import Pace
from exporter.simulate.traffic import PROFILES, Profile, Sending, generate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.simulate.sender import Tally

SECRET_VARIABLE = "DEVICE_EXPORTER_WEBHOOK_SECRET"  # noqa: S105 - a variable's name
DEFAULT_URL = "http://127.0.0.1:8080/webhook"


class Plan(msgspec.Struct, frozen=True):
    """What to simulate. Simulated Unix seconds; history before `live_from`, `end` may be infinite."""

    start: float
    live_from: float
    end: float
    speed: float


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "simulate",
        help="send the webhooks of a believable fleet",
        description="Sends what the platform would send for a fleet of devices: flaps, short and long outages, mass "
        "outages, duplicates, late and reordered events, and retries. The same seed and window give the same events.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    target = parser.add_argument_group("where to")
    target.add_argument("--url", default=DEFAULT_URL, help="the exporter's webhook")
    target.add_argument("--secret-file", type=Path, help=f"the webhook secret; else ${SECRET_VARIABLE}[_FILE]")
    target.add_argument("--output", type=Path, help="write JSON lines {send_at, payload} instead; - is standard output")
    when = parser.add_argument_group("when")
    when.add_argument("--history", type=_duration, help="send this much of the past first, as fast as it goes: 30d")
    when.add_argument("--from", dest="start", type=_time, help="send the past from this time (ISO 8601 or Unix)")
    when.add_argument("--to", dest="end", type=_time, help="up to this time, not in the future; then stop")
    when.add_argument("--duration", type=_duration, help="then run live for so long; 0 is until interrupted")
    when.add_argument("--speed", type=_speed, default=1.0, help="how much faster live time passes, such as 60x")
    fleet = parser.add_argument_group("what")
    fleet.add_argument("--devices", type=_positive, default=200)
    fleet.add_argument("--seed", type=int, default=1)
    fleet.add_argument("--profile", choices=PROFILES, default="normal", help="how often devices fail")
    fleet.add_argument("--messages-per-device", type=float, default=0.0, help="message events a device and day")
    fleet.add_argument("--incident", choices=ENGINES, help="most devices of this engine go down as live time begins")
    fleet.add_argument("--incident-from", type=_time, metavar="TIME", help="it began then instead, and may run already")
    fleet.add_argument("--incident-for", type=_duration, default="20m", help="real duration of the incident")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Simulate; return 0, or 1 if the exporter cannot be reached or refuses."""
    try:
        plan = make_plan(args, time.time())
        secret = "" if args.output else read_secret(args.secret_file)
    except (ValueError, OSError) as error:
        print(f"simulate: {error}", file=sys.stderr)  # noqa: T201
        return 2
    sendings = _sendings(args, plan)
    if args.output:
        return _write(sendings, args.output, plan)
    try:
        return asyncio.run(_send(args, plan, secret, sendings))
    except KeyboardInterrupt:
        return 130


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
    start = end_of_past if past is None else past
    end = end_of_past if live is None else end_of_past + (live or math.inf) * args.speed
    if start >= end:
        raise ValueError("the window must end after it starts")
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


def _write(sendings: Iterator[Sending], output: Path, plan: Plan) -> int:
    pace, encoder = Pace(plan.live_from, plan.speed), msgspec.json.Encoder()
    with _opened(output) as file, progress_bar("simulate", plan.start, plan.end) as bar:
        for sending in sendings:
            line = {"send_at": round(pace.real(sending.send_at), 3), "payload": pace.payload(sending)}
            file.write(encoder.encode(line).decode() + "\n")
            bar.at(sending.send_at)
    return 0


def _opened(output: Path) -> nullcontext[TextIO] | TextIO:
    return nullcontext(sys.stdout) if str(output) == "-" else output.open("w", encoding="utf-8")


async def _send(args: argparse.Namespace, plan: Plan, secret: str, sendings: Iterator[Sending]) -> int:
    from exporter.simulate.sender import HttpTransport, Sender  # noqa: PLC0415 - aiohttp is slow to import

    async with HttpTransport(args.url, secret, connections=16) as transport:
        error = await transport(msgspec.json.encode(connection_test(int(time.time()))))
        if error:
            print(f"simulate: {args.url} does not accept webhooks: {error}", file=sys.stderr)  # noqa: T201
            return 1
        sender = Sender(transport, Pace(plan.live_from, plan.speed), clock=time.time)
        with progress_bar("simulate", plan.start, plan.end) as bar:
            tally = await sender.run(sendings, _reporting(bar, sender.tally))
    lost = f", {tally.failed} given up ({tally.last_error})" if tally.failed else ""
    print(f"simulate: {tally.sent} sent, {tally.retries} retries{lost}", file=sys.stderr)  # noqa: T201
    return 1 if tally.failed else 0


def _reporting(bar: Bar, tally: Tally) -> Callable[[float], None]:
    def report(simulated: float) -> None:
        bar.at(simulated, f"{tally.sent} sent" + (f", {tally.retries} retries" if tally.retries else ""))

    return report


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _time(text: str) -> float:
    try:
        return parse_time(text)
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


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text!r}")
    return int(text)
