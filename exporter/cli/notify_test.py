"""`device-exporter notify-test WAY`: send a test by one way, without a running exporter.

Slack, e-mail and Telegram are Alertmanager's: a test alert goes through every Alertmanager, whose own metrics say what
became of it. Everything else is a target of the relay: one line a URL with its service and the result, never the URL.
Exit status: 0 all sent, 1 some failed, 2 the configuration or the target cannot be used.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from exporter.alerting.client import Client, Refused, Unavailable, session
from exporter.alerting.members import members_of
from exporter.alerting.trial import try_out
from exporter.cli.flags import add_configuration_flags, add_json_flag, configuration
from exporter.cli.output import say, say_json
from exporter.errors import ConfigError
from exporter.lib.times import zone_of
from exporter.notify.sending import Result, read_urls, send_now
from exporter.notify.sms import measure
from exporter.notify.text import Style, render_test

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from exporter.config.schema import Config, Target

WAYS: Final = ("slack", "email", "telegram")
"""Alertmanager's own."""
_UNITS: Final = {"gsm7": "septets of GSM-7", "ucs2": "units of UCS-2"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.add_argument("target", metavar="WAY", help="slack, email, telegram, or a name under notify.targets, as sms")
    add_json_flag(parser)
    add_configuration_flags(parser, ())
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Send and report; return the exit status."""
    config = configuration(args)
    if args.target in WAYS and args.target not in config.notify.targets:
        return _told(asyncio.run(_by_alertmanager(config, args.target)), "", as_json=args.json)
    target = _target(config, args.target)
    urls = read_urls(target.urls_file) if target.urls_file else tuple(target.urls)
    style = Style(target.language or config.alerts.language, zone_of(config.alerts.timezone))
    text = render_test(args.target, style, time.time())
    return _told(_send(urls, text), text, as_json=args.json)


class _Sent(NamedTuple):
    """What became of a test by one address."""

    where: str
    result: str
    ok: bool


def _told(sent: Sequence[_Sent], text: str, *, as_json: bool) -> int:
    """Say what became of it; return the exit status."""
    size = measure(text)
    if as_json:
        sms = {"text": text, "units": size.units, "encoding": size.encoding, "parts": size.parts} if text else {}
        say_json({**sms, "sent": [one._asdict() for one in sent]})
    else:
        if text:
            say(text)
            say(f"{size.units} {_UNITS[size.encoding]}, {size.parts} SMS")
        for one in sent:
            say(f"{one.where}: {one.result}")
    return 0 if all(one.ok for one in sent) else 1


async def _by_alertmanager(config: Config, way: str) -> list[_Sent]:
    """Try every Alertmanager."""
    urls = config.alertmanager.urls
    if not urls:
        raise ConfigError("notify-test: alertmanager.urls is empty; without an Alertmanager nobody is told anything")
    sent = []
    try:
        members = [member for url in urls for member in await members_of(url)]
    except (OSError, TimeoutError) as error:
        raise ConfigError(f"notify-test: alertmanager.urls: a name cannot be looked up: {error}") from None
    async with session(config.alertmanager) as opened:
        for number, member in enumerate(members, 1):
            try:
                problem = await try_out(Client(member.url, opened, member.server_name), way, config.alerts.labels)
            except (Unavailable, Refused) as error:
                problem = f"it cannot be reached: {error}"
            sent.append(_Sent(f"Alertmanager {number} ({way})", problem or "sent", not problem))
    return sent


def _send(urls: Sequence[str], text: str) -> list[_Sent]:
    results = [send_now(url, text, resolved=False) for url in urls]
    return [
        _Sent(f"URL {number} ({_service(url)})", result.value, result is Result.SENT)
        for number, (url, result) in enumerate(zip(urls, results, strict=True), 1)
    ]


def _target(config: Config, name: str) -> Target:
    target = config.notify.targets.get(name)
    if target is None:
        known = ", ".join([*WAYS, *sorted(config.notify.targets)])
        raise ConfigError(f"notify-test: no way {name!r}; there are: {known}")
    return target


def _service(url: str) -> str:
    """Return the scheme, which names the service; a line without one may be nothing but a secret."""
    scheme, separator, _ = url.partition("://")
    return scheme if separator and scheme.isalnum() and len(scheme) <= 20 else "no scheme"
