"""Every configuration key with its type and default. No I/O; the values are checked elsewhere.

Durations are seconds, sizes bytes, objectives percent. A field `x` of type Secret (or a list of them) has a sibling
`x_file`, the file to read it from. docs/configuration.md describes every key; a test compares the two.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from exporter.domain.ceilings import Ceilings
from exporter.domain.policy import Policies
from exporter.gateways.mapping import Auth, Mapping
from exporter.lib.durations import Duration, Size
from exporter.lib.words import Language


class Secret(str):
    """A text that never shows itself in a representation: logs and errors print `<secret>`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<secret>"


class Webhook(msgspec.Struct, frozen=True):
    """The public listener."""

    listen_address: str = ":8080"
    secret: Secret = Secret("")
    """Empty: none is configured, see `ensure_webhook_secret`."""
    secret_file: str | None = None
    max_body: Size = 64 * 1024
    max_future_skew: Duration = 300.0


class Web(msgspec.Struct, frozen=True):
    """The admin listener."""

    listen_address: str = "127.0.0.1:9877"
    config_file: str | None = None
    """TLS and basic auth in exporter-toolkit's format."""
    external_url: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    """Further names of this listener; one that begins with a dot stands for all below it."""


class Match(msgspec.Struct, frozen=True):
    """Which devices: all given fields must be equal; none given means every device."""

    device_id: str | None = None
    engine: str | None = None
    channel_id: str | None = None
    business_id: str | None = None


class StatusPage(msgspec.Struct, frozen=True):
    """What one page shows to people outside: of `match` and `devices` at least one must be given."""

    title: str
    match: Match | None = None
    devices: tuple[str, ...] = ()
    """Only these ids; of those that match, where both are given."""
    slug: str | None = None
    """The page's own part of its address; without one, letters by chance, which the journal keeps."""
    hosts: tuple[str, ...] = ()
    """Names under which the page is asked for directly; nothing else is seen there."""
    language: Language | None = None
    """Filled with `alerts.language` where the file gives none."""
    timezone: str = ""
    """Filled with `alerts.timezone` where the file gives none."""
    publish_after: Duration = 120.0
    """Shorter outages count, but neither the banner nor the list of incidents tells of them."""
    names: dict[str, str] = {}
    """Public names by device id; without one it is the device's own, numbers of phones masked."""
    history: Duration = 90 * 86400.0
    index: bool = False
    """Whether search engines may list the page."""
    contact: str | None = None
    frames: tuple[str, ...] = ()
    """Sites that may show the page in a frame."""


class Pages(msgspec.Struct, frozen=True):
    """The listener for people outside: who has an outage, and status pages. Off without an address."""

    listen_address: str | None = None
    external_url: str | None = None
    """Where people reach it; without it no message has a link to it."""
    secret: Secret = Secret("")
    """Signs links: a line for each key, of which the first signs and all are taken. Empty: see `ensure_link_secret`."""
    secret_file: str | None = None
    items: tuple[StatusPage, ...] = ()
    """Status pages."""

    @property
    def own_hosts(self) -> set[str]:
        """Names that show one status page each and nothing else."""
        return {host for page in self.items for host in page.hosts}


class Log(msgspec.Struct, frozen=True):
    """What is logged and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["logfmt", "json"] = "logfmt"


class Storage(msgspec.Struct, frozen=True):
    """The journal."""

    url: Secret = Secret("sqlite:///data/exporter.db")
    """A secret because the URL of some other database, put here by mistake, may hold a password."""
    url_file: str | None = None
    retention: Duration = 400 * 86400.0
    retry_span: Duration = 90.0
    """How long the sender goes on retrying; a shorter silence of ours loses nothing."""
    heartbeat_interval: Duration = 10.0


class BasicAuth(msgspec.Struct, frozen=True):
    """Credentials for every Alertmanager."""

    username: str
    password: Secret = Secret("")
    password_file: str | None = None


class Tls(msgspec.Struct, frozen=True):
    """How to trust, and how to be trusted by, every Alertmanager. Paths of PEM files."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    insecure_skip_verify: bool = False


class Alertmanager(msgspec.Struct, frozen=True):
    """Where direct alerts go."""

    urls: tuple[str, ...] = ()
    resend_interval: Duration = 60.0
    told_within: Duration = 45.0
    """After so long people have been told of what it took: more than the longest `group_wait` of its routes."""
    timeout: Duration = 5.0
    basic_auth: BasicAuth | None = None
    tls: Tls | None = None


class Impact(msgspec.Struct, frozen=True):
    """Which conversations count as active."""

    window: Duration = 86400.0
    max_conversations: int = 100_000
    """Kept at most, over all channels; beyond that the longest silent are forgotten."""


class Incidents(msgspec.Struct, frozen=True):
    """What the list of incidents shows."""

    min_duration: Duration = 60.0
    """What was over sooner is kept and counted, and listed only when asked for."""


class Hook(msgspec.Struct, frozen=True):
    """Whom to tell to switch; the secret signs the call."""

    url: str
    secret: Secret = Secret("")
    secret_file: str | None = None


class Failover(msgspec.Struct, frozen=True):
    """A channel and the one that stands in for it."""

    channel: str
    backup: str
    hook: Hook
    switch_back_after: Duration = 300.0
    """How long the channel must have been up again before its traffic returns."""
    give_up_after: Duration = 600.0
    """How long a call is tried before people are told."""
    in_maintenance: bool = False
    """Whether to switch although the channel is down as planned."""


class Maintenance(msgspec.Struct, frozen=True):
    """A planned window: either `cron` and `duration`, or `start` and `end`."""

    match: Match
    cron: str | None = None
    duration: Duration | None = None
    start: str | None = None
    end: str | None = None
    timezone: str = ""
    """Filled with `alerts.timezone` where the file gives none."""
    comment: str = ""
    start_at: int | None = None
    """`start` in Unix seconds, computed."""
    end_at: int | None = None
    """`end` in Unix seconds, computed."""


class Target(msgspec.Struct, frozen=True):
    """One place the relay can send to: Apprise URLs, which hold credentials."""

    urls: tuple[Secret, ...] = ()
    urls_file: str | None = None
    language: Language | None = None
    """Filled with `alerts.language` where the file gives none."""
    sms_parts: int = 1
    """SMS messages that one text may fill, 1 to 10."""
    per_hour: int = 30
    """Texts within an hour; further ones are held back. 0: no limit."""


class Telegram(msgspec.Struct, frozen=True):
    """A bot whose messages have buttons. Off without a token and chats."""

    token: Secret = Secret("")
    token_file: str | None = None
    chats: tuple[int, ...] = ()
    """Where its messages go, and where its buttons may be pressed."""
    users: tuple[int, ...] = ()
    """Who may press them; none given: everybody in those chats."""
    api_url: str = "https://api.telegram.org"


class Notify(msgspec.Struct, frozen=True):
    """The relay for Alertmanager's webhook receivers."""

    token: Secret = Secret("")
    token_file: str | None = None
    timeout: Duration = 10.0
    """How long a delivery waits for a service."""
    repeat_window: Duration = 600.0
    """How long a notification that was sent is not sent again; shorter than Alertmanager's repeat_interval."""
    targets: dict[str, Target] = {}
    telegram: Telegram = Telegram()


class Alerts(msgspec.Struct, frozen=True):
    """What alerts look like."""

    direct: bool = True
    language: Language = "id"
    timezone: str = "Asia/Jakarta"
    dashboard_url: str | None = None
    runbook_url: str | None = None
    labels: dict[str, str] = {}
    """Put onto every direct alert, beside its own."""


class Owner(msgspec.Struct, frozen=True):
    """The business that a gateway's sessions belong to."""

    id: str
    name: str = ""


class StateApi(msgspec.Struct, frozen=True):
    """The gateway's own state API, which is asked for what webhooks did not tell."""

    url: str
    key: Secret = Secret("")
    key_file: str | None = None
    every: Duration | None = None
    """Filled with the preset's own interval where the file gives none."""
    silent_after: Duration | None = None


class Gateway(msgspec.Struct, frozen=True):
    """A gateway beside the built-in one."""

    preset: str
    secret: Secret = Secret("")
    secret_file: str | None = None
    auth: Auth | None = None
    """Filled with the preset's own where the file gives none."""
    engine: str = ""
    timezone: str = ""
    business: Owner | None = None
    businesses: dict[str, Owner] = {}
    soft_after: Duration | None = None
    """Filled with the preset's own where the file gives none."""
    state: StateApi | None = None
    mapping: dict[str, Any] = {}
    reading: Mapping | None = None
    """The preset with `mapping` over it, computed."""


class Config(msgspec.Struct, frozen=True):
    """The whole configuration, checked, with every secret read."""

    webhook: Webhook = Webhook()
    web: Web = Web()
    pages: Pages = Pages()
    log: Log = Log()
    storage: Storage = Storage()
    alertmanager: Alertmanager = Alertmanager()
    policies: Policies = Policies()
    fleet: Ceilings = Ceilings()
    impact: Impact = Impact()
    incidents: Incidents = Incidents()
    failover: tuple[Failover, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    notify: Notify = Notify()
    alerts: Alerts = Alerts()
    gateways: dict[str, Gateway] = {}


COMPUTED: Final = frozenset({"start_at", "end_at", "reading"})
"""Fields that no configuration sets."""
