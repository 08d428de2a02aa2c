"""A new configuration: what takes it into use, and what is named because it waits for the next start."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest

from exporter.app.settings import AT_A_START, Settings
from exporter.config.schema import (
    COMPUTED,
    Alertmanager,
    BasicAuth,
    Config,
    Failover,
    Gateway,
    Hook,
    Log,
    Maintenance,
    Match,
    Secret,
    StatusPage,
    Storage,
    Target,
    Telegram,
    Tls,
    Web,
    Webhook,
)
from exporter.domain.policy import Policies, Policy
from exporter.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


class Changed(NamedTuple):
    """Another value of a key, and what a reload makes of it."""

    value: Any
    fate: str


ASKED = "asked for each time that it is needed"
TOLD = "told to who keeps something made of it"
NAMED = "named in the log: it waits for the next start"

KEYS = {
    "webhook.listen_address": Changed(":1", NAMED),
    "webhook.secret": Changed(Secret("other"), ASKED),
    "webhook.secret_file": Changed("/run/secret", ASKED),
    "webhook.max_body": Changed(1, ASKED),
    "webhook.max_future_skew": Changed(1.0, ASKED),
    "web.listen_address": Changed(":2", NAMED),
    "web.config_file": Changed("web.yml", NAMED),
    "web.external_url": Changed("https://ops.example", ASKED),
    "web.allowed_hosts": Changed((".example.com",), ASKED),
    "pages.listen_address": Changed(":3", NAMED),
    "pages.external_url": Changed("https://status.example", ASKED),
    "pages.secret": Changed(Secret("other"), ASKED),
    "pages.secret_file": Changed("/run/link", ASKED),
    "pages.items": Changed((StatusPage("A page", devices=("d1",)),), TOLD),
    "log.level": Changed("error", TOLD),
    "log.format": Changed("json", TOLD),
    "storage.url": Changed(Secret("sqlite:///elsewhere.db"), NAMED),
    "storage.url_file": Changed("/run/url", ASKED),
    "storage.retention": Changed(1.0, ASKED),
    "storage.retry_span": Changed(1.0, TOLD),
    "storage.heartbeat_interval": Changed(1.0, ASKED),
    "alertmanager.urls": Changed(("http://127.0.0.1:1",), TOLD),
    "alertmanager.resend_interval": Changed(1.0, ASKED),
    "alertmanager.told_within": Changed(1.0, ASKED),
    "alertmanager.timeout": Changed(1.0, ASKED),
    "alertmanager.basic_auth": Changed(BasicAuth("a"), ASKED),
    "alertmanager.tls": Changed(Tls(), ASKED),
    "policies": Changed(Policies({"default": Policy(alert_after=1.0)}), TOLD),
    "fleet.max_devices": Changed(1, TOLD),
    "fleet.max_engines": Changed(1, TOLD),
    "fleet.max_groups": Changed(1, TOLD),
    "incidents.min_duration": Changed(1.0, ASKED),
    "impact.window": Changed(1.0, NAMED),
    "impact.max_conversations": Changed(1, NAMED),
    "failover": Changed((Failover("c1", "c2", Hook("http://127.0.0.1:1")),), TOLD),
    "maintenance": Changed((Maintenance(Match()),), TOLD),
    "gateways": Changed({"evo-jkt": Gateway(preset="evolution", secret=Secret("x"))}, TOLD),
    "notify.token": Changed(Secret("other"), TOLD),
    "notify.token_file": Changed("/run/token", TOLD),
    "notify.timeout": Changed(1.0, TOLD),
    "notify.repeat_window": Changed(1.0, TOLD),
    "notify.targets": Changed({"sms": Target()}, TOLD),
    "notify.telegram": Changed(Telegram(chats=(1,)), ASKED),
    "alerts.direct": Changed(False, ASKED),
    "alerts.language": Changed("en", ASKED),
    "alerts.timezone": Changed("Asia/Jayapura", ASKED),
    "alerts.dashboard_url": Changed("https://ops.example", ASKED),
    "alerts.runbook_url": Changed("https://ops.example", ASKED),
    "alerts.labels": Changed({"job": "fleet-b"}, ASKED),
}


def keys() -> set[str]:
    """Return every key of the configuration, parts of lists and of the policies not apart."""
    found: set[str] = set()
    for section in msgspec.structs.fields(Config):
        inner = section.type if isinstance(section.type, type) and issubclass(section.type, msgspec.Struct) else None
        inner = None if inner is Policies else inner
        names = [field.name for field in msgspec.structs.fields(inner)] if inner else []
        found |= {f"{section.name}.{name}" for name in names if name not in COMPUTED} or {section.name}
    return found


def with_key(config: Config, key: str, value: object) -> Config:
    section, _, name = key.partition(".")
    if name:
        value = msgspec.structs.replace(getattr(config, section), **{name: value})
    return msgspec.structs.replace(config, **{section: value})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(lambda: Config(webhook=Webhook(secret=Secret("first"))), lambda _: tmp_path)


def test_of_every_key_it_is_known_what_a_reload_makes_of_it() -> None:
    assert set(KEYS) == keys()
    assert {key for key, changed in KEYS.items() if changed.fate is NAMED} == set(AT_A_START)


@pytest.mark.parametrize("key", sorted(KEYS))
async def test_a_changed_key_is_in_force_and_named_only_where_it_waits(
    key: str, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Config] = []

    async def tell(config: Config) -> None:
        told.append(config)

    settings.changed(tell)
    changed = with_key(settings.current(), key, KEYS[key].value)
    assert changed != settings.current()
    await settings.take(changed)
    assert settings.current() is changed
    assert told == [changed]
    named = [record.__dict__["fields"]["setting"] for record in caplog.records if record.levelno == logging.WARNING]
    assert named == ([key] if KEYS[key].fate is NAMED else [])


async def test_everybody_is_told_in_the_order_in_which_they_asked(settings: Settings) -> None:
    order: list[str] = []
    for name in ("first", "second", "third"):

        async def tell(_: Config, name: str = name) -> None:
            order.append(name)

        settings.changed(tell)
    await settings.take(Config())
    assert order == ["first", "second", "third"]


async def test_a_secret_that_is_no_longer_configured_is_made_in_the_data_directory_of_the_start(tmp_path: Path) -> None:
    config = [Config(webhook=Webhook(secret=Secret("given")), storage=Storage(url=Secret("sqlite:///a.db")))]
    settings = Settings(lambda: config[0], lambda found: tmp_path / found.storage.url[-4:-3])
    assert (settings.current().webhook.secret, settings.secret_path) == ("given", None)
    config[0] = Config(web=Web(), log=Log(), storage=Storage(url=Secret("sqlite:///b.db")))
    read = await settings.read()
    assert settings.current().webhook.secret == "given"
    assert settings.secret_path == tmp_path / "a" / "webhook-secret"
    assert read.webhook.secret == settings.secret_path.read_text().strip()


async def test_a_bad_file_changes_nothing(tmp_path: Path) -> None:
    good = [True]

    def load() -> Config:
        if good[0]:
            return Config(alertmanager=Alertmanager(timeout=2.0))
        raise ConfigError("line 3")

    settings = Settings(load, lambda _: tmp_path)
    before = settings.current()
    good[0] = False
    with pytest.raises(ConfigError, match="line 3"):
        await settings.read()
    assert settings.current() is before
