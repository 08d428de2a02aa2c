"""The Alertmanager configuration that is in force: the source with the settings in it, without what is switched off.

alertmanager.yml lists every integration. Alertmanager accepts an entry whose secret file is missing and then fails at
each notification; so this leaves such entries out: an integration is on when its secret file exists and its address is
no longer the example. Receivers stay, so routes stay valid; one without integrations notifies nobody.

Usage, where no stack renders it: python -m scripts.alertmanager_config SOURCE TARGET
"""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from scripts.settings import SECRETS, Settings, read_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Node = dict[str, Any]

# start of a global setting's name -> the integration that cannot work when its secret is missing
GLOBAL_SECRETS = {"smtp_": "email_configs", "slack_": "slack_configs", "telegram_": "telegram_configs"}

# what stands in the shipped file for an address that only `.env` knows -> its key there
ONCE = "-once"
"""How the name of a receiver ends that tells no ends: a way that another one has already."""
EXAMPLES: dict[tuple[str, object], str] = {
    ("to", "operator@example.com"): "MAIL_TO",
    ("to", "management@example.com"): "MANAGEMENT_MAIL_TO",
    ("chat_id", 1): "TELEGRAM_CHAT",
    ("chat_id", 2): "MANAGEMENT_TELEGRAM_CHAT",
    ("smtp_smarthost", "smtp.example.com:587"): "SMTP_HOST",
}
SHIPPED_ZONE = "Asia/Jakarta"
SHIPPED_GRAFANA = "http://localhost:3000"


class _PlainDumper(yaml.SafeDumper):
    """Writes every value where it is used, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401, ARG002 - the signature of the overridden method
        return True


def dump(config: Node) -> str:
    """Return YAML in the order of the source."""
    return yaml.dump(config, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True, width=10**6)


def rendered(
    source: str, settings: Settings, templates: Path, change: Callable[[Node], None] = lambda _: None
) -> tuple[Node, list[str]]:
    """Return the configuration in force and a line about each integration that is off.

    `templates` is the folder from which relative globs are read; `change` may change the configuration in place.
    """
    config: Node = yaml.safe_load(source)
    apply_settings(config, settings)
    change(config)
    off = switch_off(config)
    config["templates"] = [str(templates / pattern) for pattern in config.get("templates") or []]
    return config, off


def apply_settings(config: Node, settings: Settings) -> None:
    """Put the settings where the shipped file has its examples, in place."""
    config["templates"] = [
        re.sub(r"\b(id|en)\.tmpl$", f"{settings.language}.tmpl", name) for name in config.get("templates") or []
    ]
    config["global"] = _mail(config.get("global") or {}, settings)
    given = {
        "MAIL_TO": settings.mail_to,
        "MANAGEMENT_MAIL_TO": settings.management_mail_to,
        "TELEGRAM_CHAT": settings.telegram_chat,
        "MANAGEMENT_TELEGRAM_CHAT": settings.management_telegram_chat,
    }
    for entry in _entries(config):
        for (key, example), setting in EXAMPLES.items():
            if entry.get(key) == example and given.get(setting):
                entry[key] = given[setting]
    for interval in _intervals(config):
        if interval.get("location") == SHIPPED_ZONE:
            interval["location"] = settings.timezone


def templates_with(text: str, settings: Settings) -> str:
    """Return a message template with the time zone and the addresses of the settings in it."""
    return (
        text.replace(f'"{SHIPPED_ZONE}"', f'"{settings.timezone}"')
        .replace(f'$grafana := "{SHIPPED_GRAFANA}"', f'$grafana := "{settings.grafana_link}"')
        .replace('$pages := ""', f'$pages := "{settings.public_url}"')
        .replace('$runbook := ""', f'$runbook := "{settings.runbook_url}"')
    )


def switch_off(config: Node) -> list[str]:
    """Drop every entry that cannot work, in place; return a line about each."""
    off: list[str] = []
    lacking = _global_lacks(config.get("global") or {})
    for receiver in config["receivers"]:
        for kind in [key for key in receiver if key.endswith("_configs")]:
            entries = receiver.pop(kind)
            kept = [entry for entry in entries if not list(_missing(entry, lacking.get(kind, [])))]
            if kept:
                receiver[kind] = kept
            lost = sorted({path for entry in entries for path in _missing(entry, lacking.get(kind, []))})
            if lost and not receiver["name"].endswith(ONCE):
                off.append(f"{receiver['name']}: {kind.removesuffix('_configs')} is off without {_named(lost)}")
    return off


def _named(lost: list[str]) -> str:
    """Return what is missing by its key in `.env` where it has one, without repeating."""
    keys = [Path(path).name.upper() if Path(path).name in SECRETS else path for path in lost]
    return ", ".join(dict.fromkeys(keys))


def ways_on(config: Node) -> dict[str, list[str]]:
    """Return the integrations of each receiver that has any."""
    on = {
        receiver["name"]: [key.removesuffix("_configs") for key in receiver if key.endswith("_configs")]
        for receiver in config["receivers"]
        if not receiver["name"].endswith(ONCE)
    }
    return {name: kinds for name, kinds in on.items() if kinds}


def _mail(globals_: Node, settings: Settings) -> Node:
    if not settings.smtp_host:
        return globals_
    kept = {key: value for key, value in globals_.items() if settings.smtp_user or not key.startswith("smtp_auth_")}
    mail: Node = {"smtp_smarthost": settings.smtp_host, "smtp_from": settings.smtp_from}
    if settings.smtp_user:
        mail["smtp_auth_username"] = settings.smtp_user
    if not settings.smtp_tls:
        mail["smtp_require_tls"] = False
    return kept | mail


def _global_lacks(settings: Node) -> dict[str, list[str]]:
    """Drop missing secrets, in place; return what each integration lacks."""
    lacking: dict[str, list[str]] = {}
    for key, value in list(settings.items()):
        lacks = EXAMPLES.get((key, value)) if isinstance(value, str) else None
        if key.endswith("_file") and _is_missing(value):
            lacks = settings.pop(key)
        for start, kind in GLOBAL_SECRETS.items():
            if lacks and key.startswith(start):
                lacking.setdefault(kind, []).append(lacks)
    return lacking


def _missing(entry: Node, global_lacks: list[str]) -> Iterator[str]:
    own = list(_secret_files(entry))
    if not own and "smarthost" not in entry:
        yield from global_lacks
    yield from (path for path in own if _is_missing(path))
    yield from (setting for (key, example), setting in EXAMPLES.items() if entry.get(key) == example and key in entry)


def _entries(config: Node) -> Iterator[Node]:
    for receiver in config["receivers"]:
        for kind in [key for key in receiver if key.endswith("_configs")]:
            yield from receiver[kind]


def _intervals(config: Node) -> Iterator[Node]:
    for named in config.get("time_intervals") or []:
        yield from named.get("time_intervals") or []


def _secret_files(node: Any) -> Iterator[str]:  # noqa: ANN401 - any part of a YAML document
    if isinstance(node, dict):
        for key, value in node.items():
            if isinstance(value, str) and key.endswith("_file"):
                yield value
            else:
                yield from _secret_files(value)
    elif isinstance(node, list):
        for item in node:
            yield from _secret_files(item)


def _is_missing(path: str) -> bool:
    try:
        return not Path(path).read_bytes().strip()
    except OSError:
        return True


def main() -> None:
    """Render one file, with the templates where they are."""
    parser = argparse.ArgumentParser(description="write the Alertmanager configuration that is in force")
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    text = arguments.source.read_text(encoding="utf-8")
    config, off = rendered(text, read_settings(os.environ), arguments.source.absolute().parent)
    arguments.target.write_text(dump(config), encoding="utf-8")
    for line in off:
        print(line)


if __name__ == "__main__":
    main()
