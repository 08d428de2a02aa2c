"""The commands as data: what each is for, with examples. Its module is imported only when it is asked for.

A module has `add_arguments(parser)`, which sets `run`, a function that takes the arguments and returns an exit status:
0 done, 1 failed, 2 wrong usage or configuration.
"""

from __future__ import annotations

import argparse
import gc
import textwrap
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    Actions = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse names it no other way


class Command(NamedTuple):
    """One command. `examples` are what follows the program's name."""

    name: str
    summary: str
    examples: tuple[str, ...]

    @property
    def module(self) -> Any:  # noqa: ANN401 - a module with the functions that stand above
        """The module, imported."""
        gc.disable()  # what is imported stays: to look for garbage in it would be a fifth of the whole start
        try:
            return import_module(f"exporter.cli.{self.name.replace('-', '_')}")
        finally:
            gc.enable()


COMMANDS: Final = (
    Command(
        "serve",
        "receive webhooks and expose metrics (the default)",
        ("serve --config.file=exporter.yml", "serve --storage.url=sqlite:////var/lib/exporter/exporter.db"),
    ),
    Command(
        "check-config",
        "print the configuration in force, or all that is wrong with it",
        ("check-config --config.file=exporter.yml",),
    ),
    Command(
        "status",
        "whether the running exporter works, and whom it would tell",
        ("status", "status --json"),
    ),
    Command(
        "devices",
        "devices of the running exporter, what is down first",
        ("devices --state down", "devices --engine wa --json"),
    ),
    Command(
        "pages",
        "the addresses of the status pages",
        ("pages --config.file exporter.yml",),
    ),
    Command(
        "report",
        "exact availability from the journal",
        (
            "report",
            "report --month 2026-10 --by business",
            "report --month 2026-10 --by device --business 'Toko Makmur' --format html --output october.html",
            "report --by business --top 10",
        ),
    ),
    Command(
        "incidents",
        "list, show and annotate incidents of the running exporter",
        ("incidents list --status open", 'incidents note 12 "SIM card replaced"', "incidents export > incidents.csv"),
    ),
    Command(
        "maintenance",
        "plan maintenance: no alerts inside its windows, and no effect on the SLO",
        (
            'maintenance add --business biz_9 --from "2026-11-25 01:00" --duration 2h --comment "New phone"',
            "maintenance list",
        ),
    ),
    Command(
        "forget",
        "take a decommissioned device out of the metrics; reports keep it",
        ("forget device_7f3a", "forget device_7f3a --yes"),
    ),
    Command(
        "quarantine",
        "list, show and requeue rejected webhook bodies",
        ("quarantine list", "quarantine show 3", "quarantine requeue 3"),
    ),
    Command(
        "notify-test",
        "send a test by Slack, e-mail, Telegram, or a target of the relay",
        ("notify-test telegram", "notify-test sms --config.file=exporter.yml"),
    ),
    Command(
        "gateway",
        "the configured gateways, and what a body of one would do",
        ("gateway list", "gateway try evo-jkt body.json"),
    ),
    Command(
        "backup",
        "copy the journal to a file, also while the exporter runs",
        ("backup /backups/exporter.db",),
    ),
    Command(
        "migrate",
        "move everything to another database, to the second; no exporter may use either meanwhile",
        (
            "migrate --from sqlite:////data/exporter.db --to-file /run/secrets/storage_url",
            "migrate --from-file /run/secrets/storage_url --to sqlite:////data/exporter.db",
        ),
    ),
    Command(
        "backfill",
        "write history for Prometheus from before it ran, or across its outage",
        ("backfill --from 2026-10-01 --to 2026-11-01 --step 5m --output history.om",),
    ),
    Command(
        "simulate",
        "send the webhooks of a believable fleet",
        (
            "simulate --secret-file data/webhook-secret --history 30d",
            "simulate --secret-file data/webhook-secret --duration 10m --speed 60x",
        ),
    ),
    Command(
        "assets",
        "write rules, dashboards and routes for a Prometheus, Alertmanager and Grafana of your own",
        (
            "assets monitoring/ --language en --url https://alerts.example.com",
            "assets fleet-b/ --job fleet-b",
        ),
    ),
    Command(
        "completion",
        "what the shell offers at the Tab key",
        ("completion bash > /etc/bash_completion.d/device-exporter", "completion zsh > ~/.zfunc/_device-exporter"),
    ),
    Command("version", "print the version", ("version",)),
)


def add_commands(commands: Actions, chosen: str | None) -> None:
    """Add every command by its name; the chosen one, or for None every one, with its flags."""
    for command in COMMANDS:
        parser = add_parser(commands, command.name, command.summary, command.examples)
        if chosen is None or command.name == chosen:
            command.module.add_arguments(parser)


def add_parser(
    commands: Actions, name: str, summary: str, examples: tuple[str, ...], description: str = ""
) -> argparse.ArgumentParser:
    """Add a command or one of its actions, with help that shows how it is used."""
    return commands.add_parser(
        name,
        help=summary,
        description=textwrap.fill(description or f"{summary[:1].upper()}{summary[1:]}.", 100),
        epilog="\n".join(("examples:", *(f"  device-exporter {example}" for example in examples))),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
