"""What the types cannot say: ranges, URLs, time zones, pairs of keys. Pure but for time zone data and TLS files."""

from __future__ import annotations

import re
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Final

import msgspec

from exporter.config import gateways, pages
from exporter.config.schema import Config, Failover, Maintenance, Pages, Secret, Target, Tls, Webhook
from exporter.conventions import ALERT_LABELS
from exporter.domain.identity import ENGINE_LENGTH
from exporter.errors import ConfigError
from exporter.journal.storage import check
from exporter.lib.address import Address, parse_address, split_url
from exporter.lib.cron import parse_cron
from exporter.lib.durations import format_duration
from exporter.lib.times import parse_time, zone_of

LONGEST_SECRET: Final = 1024

if TYPE_CHECKING:
    from urllib.parse import SplitResult
    from zoneinfo import ZoneInfo

    from exporter.config.errors import Origins, Path
    from exporter.domain.policy import Policy

_TARGET_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PASSWORD = re.compile(r"[a-z]+://[^/@]*:[^/]*@")
_HOST_NAME = re.compile(r"\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_TO = re.compile(r"[a-z0-9_-]{1,32}")
MOST_STEPS = 4
"""As many as the rules know."""
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Checks:
    """Checks one configuration; `origins` says where its values came from."""

    def __init__(self, origins: Origins) -> None:
        self._origins = origins

    def checked(self, config: Config) -> Config:
        """Return the configuration with what follows from it filled in; mistakes are noted with the origins."""
        self._listeners(config)
        self._storage(config)
        self._alertmanager(config)
        for engine, policy in config.policies.by_engine.items():
            self._policy(policy, ("policies", engine))
        self.at_least(config.impact.window, 1, ("impact", "window"))
        for name in ("max_devices", "max_engines", "max_groups"):
            if getattr(config.fleet, name) < 1:
                self.wrong(("fleet", name), "must be at least 1")
        if config.impact.max_conversations < 1:
            self.wrong(("impact", "max_conversations"), "must be at least 1")
        self._failover(config.failover)
        zone = self.zone(config.alerts.timezone, ("alerts", "timezone")).key
        for key in ("dashboard_url", "runbook_url"):
            self._optional_url(getattr(config.alerts, key), ("alerts", key))
        self._labels(config.alerts.labels, ("alerts", "labels"))
        return msgspec.structs.replace(
            config,
            webhook=self._webhook(config.webhook),
            maintenance=tuple(
                self._window(window, zone, ("maintenance", f"[{place}]"))
                for place, window in enumerate(config.maintenance)
            ),
            gateways=gateways.checked(config.gateways, self),
            notify=msgspec.structs.replace(config.notify, targets=self._targets(config)),
            pages=msgspec.structs.replace(config.pages, items=pages.checked(config, zone, self)),
        )

    # Sections -------------------------------------------------------------------------------------------------
    def _listeners(self, config: Config) -> None:
        public = self._address(config.webhook.listen_address, ("webhook", "listen_address"))
        admin = self._address(config.web.listen_address, ("web", "listen_address"))
        if public.clashes(admin) and not self._origins.mistakes:
            self.wrong(("web", "listen_address"), "takes the same port as webhook.listen_address")
        self._optional_url(config.web.external_url, ("web", "external_url"))
        self._pages(config.pages, public, admin)
        for place, host in enumerate(config.web.allowed_hosts):
            if not _HOST_NAME.fullmatch(host):
                message = "expected a name without port, such as exporter.example.com or .example.com"
                raise self._origins.error(("web", "allowed_hosts", f"[{place}]"), message)

    def _pages(self, pages: Pages, public: Address, admin: Address) -> None:
        path = ("pages", "listen_address")
        self._optional_url(pages.external_url, ("pages", "external_url"))
        if pages.listen_address is None:
            return
        address = self._address(pages.listen_address, path)
        for other, name in ((public, "webhook"), (admin, "web")):
            if address.clashes(other) and not self._origins.mistakes:
                self.wrong(path, f"takes the same port as {name}.listen_address")

    def _webhook(self, webhook: Webhook) -> Webhook:
        if webhook.max_body < 1024:
            self.wrong(("webhook", "max_body"), "must be at least 1KiB")
        return msgspec.structs.replace(webhook, secret=self.secret(webhook.secret, ("webhook", "secret")))

    def _storage(self, config: Config) -> None:
        storage = config.storage
        try:
            check(storage.url)
        except ConfigError as error:
            self.wrong(("storage", "url"), str(error).removeprefix("storage.url: "))
        if _PASSWORD.match(storage.url) and (self._origins.of(("storage", "url")) or "").startswith("flag"):
            self.wrong(("storage", "url"), "everybody on this machine can read a flag's password: use storage.url_file")
        self.at_least(storage.retention, 86400, ("storage", "retention"))
        self.at_least(storage.heartbeat_interval, 1, ("storage", "heartbeat_interval"))

    def _alertmanager(self, config: Config) -> None:
        section, path = config.alertmanager, ("alertmanager",)
        for place, url in enumerate(section.urls):
            parts = self.url(url.removeprefix("dns+"), (*path, "urls", f"[{place}]"))
            if parts.username is not None:
                self.wrong((*path, "urls", f"[{place}]"), "put credentials into alertmanager.basic_auth")
        if len(set(section.urls)) < len(section.urls):
            self.wrong((*path, "urls"), "names the same Alertmanager twice")
        self.at_least(section.resend_interval, 1, (*path, "resend_interval"))
        self.at_least(section.timeout, 0.1, (*path, "timeout"))
        if section.basic_auth is not None and not section.basic_auth.password:
            self.wrong((*path, "basic_auth"), "needs `password` or `password_file`")
        if section.tls is not None:
            self._tls(section.tls, (*path, "tls"))

    def _tls(self, tls: Tls, path: Path) -> None:
        if bool(tls.cert_file) != bool(tls.key_file):
            self.wrong(path, "give both cert_file and key_file, or neither")
        for key in ("ca_file", "cert_file", "key_file"):
            file = getattr(tls, key)
            if file and not FilePath(file).is_file():
                self.wrong((*path, key), f"there is no file {file}")

    def _policy(self, policy: Policy, path: Path) -> None:
        if not 0 < len(path[-1]) <= ENGINE_LENGTH:
            self.wrong(path, f"an engine's name has 1 to {ENGINE_LENGTH} characters")
        if policy.rescan_url:
            self.url(policy.rescan_url, (*path, "rescan_url"))
        if not 0 < policy.objective < 100:
            self.wrong((*path, "objective"), "must be between 0 and 100 percent, both excluded")
        if policy.escalate_after is not None and policy.escalate_after < policy.alert_after:
            after, before = format_duration(policy.alert_after), format_duration(policy.escalate_after)
            message = f"is {before}, earlier than alert_after, {after}; must be the same or later, or null"
            self.wrong((*path, "escalate_after"), message)
        self._escalate(policy, (*path, "escalate"))
        self.at_least(policy.acknowledge_max, 3600, (*path, "acknowledge_max"))

    def _escalate(self, policy: Policy, path: Path) -> None:
        steps = policy.escalate or ()
        if steps and policy.escalate_after is not None:
            self.wrong(path, "give `escalate` or `escalate_after`, not both")
        if len(steps) > MOST_STEPS:
            self.wrong(path, f"has {len(steps)} steps; {MOST_STEPS} are the most")
        if len({step.to for step in steps}) < len(steps):
            self.wrong(path, "names the same `to` twice")
        for place, step in enumerate(steps):
            if not _TO.fullmatch(step.to):
                self.wrong((*path, f"[{place}]", "to"), "has 1 to 32 small letters, digits, _ or -")
            if step.after < policy.alert_after:
                least = format_duration(policy.alert_after)
                self.wrong((*path, f"[{place}]", "after"), f"must not be earlier than alert_after, {least}")

    def _failover(self, rules: tuple[Failover, ...]) -> None:
        seen: set[str] = set()
        for place, rule in enumerate(rules):
            path = ("failover", f"[{place}]")
            if rule.channel == rule.backup:
                self.wrong((*path, "backup"), "must be another channel than `channel`")
            if rule.channel in seen:
                self.wrong((*path, "channel"), f"{rule.channel!r} has a backup already")
            seen.add(rule.channel)
            self.at_least(rule.give_up_after, 1, (*path, "give_up_after"))
            self.url(rule.hook.url, (*path, "hook", "url"))
            if not rule.hook.secret:
                self.wrong((*path, "hook"), "needs `secret` or `secret_file`, which sign the call")

    def _targets(self, config: Config) -> dict[str, Target]:
        path = ("notify", "targets")
        telegram = config.notify.telegram
        self.url(telegram.api_url, ("notify", "telegram", "api_url"))
        if telegram.token and not telegram.chats:
            self.wrong(("notify", "telegram", "chats"), "is required where there is a token")
        self.at_least(config.notify.timeout, 1, ("notify", "timeout"))
        if config.notify.targets and not config.notify.token:
            self.wrong(("notify", "token_file"), "is required where there are targets")
        for name, target in config.notify.targets.items():
            if not _TARGET_NAME.fullmatch(name):
                self.wrong((*path, name), "a target's name has 1 to 64 letters, digits, - or _")
            if not target.urls:
                self.wrong((*path, name), "needs `urls_file` or `urls`")
            if not 1 <= target.sms_parts <= 10:
                self.wrong((*path, name, "sms_parts"), "must be from 1 to 10")
            if target.per_hour < 0:
                self.wrong((*path, name, "per_hour"), "must not be below 0; 0 is no limit")
        return {
            name: msgspec.structs.replace(target, language=target.language or config.alerts.language)
            for name, target in config.notify.targets.items()
        }

    def _window(self, window: Maintenance, default_zone: str, path: Path) -> Maintenance:
        """Return a maintenance window with its zone and its times in Unix seconds."""
        zone = self.zone(window.timezone or default_zone, (*path, "timezone"))
        recurring = (window.cron is not None, window.duration is not None)
        single = (window.start is not None, window.end is not None)
        if (recurring, single) not in (((True, True), (False, False)), ((False, False), (True, True))):
            self.wrong(path, "needs either `cron` and `duration`, or `start` and `end`")
        if window.cron is not None:
            self._cron(window.cron, (*path, "cron"))
        if window.duration is not None:
            self.at_least(window.duration, 1, (*path, "duration"))
        start = self._time(window.start, zone, (*path, "start"))
        end = self._time(window.end, zone, (*path, "end"))
        if start is not None and end is not None and end <= start:
            self.wrong((*path, "end"), "must be later than `start`")
        return msgspec.structs.replace(window, timezone=zone.key, start_at=start, end_at=end)

    def _labels(self, labels: dict[str, str], path: Path) -> None:
        """Check the labels that all alerts get."""
        for name, value in labels.items():
            if not _LABEL.fullmatch(name) or name.startswith("__"):
                self.wrong((*path, name), "a label's name has letters, digits and _, and begins with no digit")
            elif name in ALERT_LABELS:
                self.wrong((*path, name), "alerts have a label of this name already")
            elif not value:
                self.wrong((*path, name), "must not be empty")

    def wrong(self, path: Path, message: str) -> None:
        """Note a mistake."""
        self._origins.mistakes.add(self._origins.error(path, message))

    # Values ---------------------------------------------------------------------------------------------------
    def _time(self, text: str | None, zone: ZoneInfo, path: Path) -> int | None:
        """Return Unix seconds of an ISO 8601 time; one without an offset is local to the zone."""
        if text is None:
            return None
        try:
            return int(parse_time(text, zone))
        except (ValueError, OverflowError):
            example = "2026-02-01 01:00 or 2026-02-01T01:00:00+07:00"
            self.wrong(path, f"expected a time such as {example}, got {text[:40]!r}")
            return None

    def _cron(self, text: str, path: Path) -> None:
        try:
            parse_cron(text)
        except ValueError as error:
            self.wrong(path, str(error))

    def zone(self, name: str, path: Path) -> ZoneInfo:
        """Return the time zone of that name; UTC where there is none."""
        try:
            return zone_of(name)
        except ValueError as error:
            self.wrong(path, str(error))
            return zone_of("UTC")

    def _address(self, text: str, path: Path) -> Address:
        try:
            return parse_address(text)
        except ValueError as error:
            self.wrong(path, str(error))
            return Address("", 0)

    def _optional_url(self, text: str | None, path: Path) -> None:
        if text is not None:
            self.url(text, path)

    def secret(self, given: str, path: Path) -> Secret:
        """Return a sender's secret without white space around it."""
        secret = Secret(given.strip())
        if not secret.isprintable() or len(secret) > LONGEST_SECRET:
            self.wrong(path, f"must be one line of at most {LONGEST_SECRET} printable characters")
        if given and not secret:
            self.wrong(path, "is blank")
        return secret

    def url(self, text: str, path: Path) -> SplitResult:
        """Return the parts of a URL that can be called."""
        parts, usable = split_url(text)
        if not usable:
            self.wrong(path, "expected a URL that begins with http:// or https://")
        return parts

    def at_least(self, value: float, least: float, path: Path) -> None:
        """Note a duration that is too short."""
        if value < least:
            self.wrong(path, f"must be at least {format_duration(least)}, got {format_duration(value)}")
