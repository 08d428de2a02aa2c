"""Write the Alertmanager configuration that is in force: what is switched on, without what is not.

Usage: alertmanager_config.py SOURCE TARGET [--mail-catcher HOST:PORT]

alertmanager.yml lists every integration. Alertmanager accepts an entry whose secret file is missing and then fails at
each notification; so this leaves such entries out: an integration is on when its secret file exists, and off without.
Receivers stay, so routes stay valid; one without integrations notifies nobody. The demo's mail catcher stands in for
every mail server.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

Node = dict[str, Any]

# start of a global setting's name -> the integration that cannot work when its secret is missing
GLOBAL_SECRETS = {"smtp_": "email_configs", "slack_": "slack_configs", "telegram_": "telegram_configs"}


class _PlainDumper(yaml.SafeDumper):
    """Writes every value where it is used, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401, ARG002 - the signature of the overridden method
        return True


def switch_off(config: Node) -> list[str]:
    """Drop every entry whose secret file is missing or empty, in place; return a line about each."""
    off: list[str] = []
    lacking = _global_secrets(config.get("global") or {})
    for receiver in config["receivers"]:
        for kind in [key for key in receiver if key.endswith("_configs")]:
            entries = receiver.pop(kind)
            kept = [entry for entry in entries if not list(_missing(entry, lacking.get(kind)))]
            if kept:
                receiver[kind] = kept
            lost = sorted({path for entry in entries for path in _missing(entry, lacking.get(kind))})
            if lost:
                off.append(f"{receiver['name']}: {kind.removesuffix('_configs')} is off without {', '.join(lost)}")
    return off


def catch_mail(config: Node, smarthost: str) -> None:
    """Make every receiver send mail to the catcher, in place, whatever else it does."""
    settings = config.get("global") or {}
    config["global"] = {key: value for key, value in settings.items() if not key.startswith("smtp_")}
    for receiver in config["receivers"]:
        entries = receiver.get("email_configs") or [{"to": f"{receiver['name']}@demo.invalid"}]
        receiver["email_configs"] = [_caught(entry, smarthost) for entry in entries]


def _caught(entry: Node, smarthost: str) -> Node:
    kept = {key: value for key, value in entry.items() if not key.startswith(("auth_", "tls_"))}
    catcher = {"smarthost": smarthost, "require_tls": False, "send_resolved": True}
    return {"from": "alerts@demo.invalid"} | kept | catcher


def _global_secrets(settings: Node) -> dict[str, str]:
    """Drop the missing ones, in place; return the path that each integration lacks."""
    lacking = {}
    for key in [key for key in settings if key.endswith("_file") and _is_missing(settings[key])]:
        path = settings.pop(key)
        lacking |= {kind: path for start, kind in GLOBAL_SECRETS.items() if key.startswith(start)}
    return lacking


def _missing(entry: Node, global_secret: str | None) -> Iterator[str]:
    own = list(_secret_files(entry))
    if global_secret and not own:
        yield global_secret
    yield from (path for path in own if _is_missing(path))


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
    except PermissionError:
        # Alertmanager, another user still, could not read it either
        print(f"{path} cannot be read in the container: chmod 755 secrets; chmod 644 secrets/*")
        return True
    except OSError:
        return True


def _write(config: Node, source: Path, target: Path) -> None:
    # relative globs would be looked for beside the target
    config["templates"] = [str(source.absolute().parent / pattern) for pattern in config.get("templates") or []]
    text = yaml.dump(config, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True, width=10**6)
    partial = target.with_suffix(".partial")
    partial.write_text(f"# written from {source.name}: change that, and start again\n{text}", encoding="utf-8")
    partial.chmod(0o644)
    partial.replace(target)


def main() -> None:
    """Read, reduce, write."""
    parser = argparse.ArgumentParser(description="write the Alertmanager configuration that is in force")
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--mail-catcher", metavar="HOST:PORT")
    arguments = parser.parse_args()
    config = yaml.safe_load(arguments.source.read_text(encoding="utf-8"))
    if arguments.mail_catcher:
        catch_mail(config, arguments.mail_catcher)
    for line in switch_off(config):
        print(line)
    _write(config, arguments.source, arguments.target)
    print(f"{sum(len(receiver) > 1 for receiver in config['receivers'])} receivers notify somebody")


if __name__ == "__main__":
    main()
