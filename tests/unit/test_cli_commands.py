"""What holds for every command: help with an example, and an output that may be closed, full or poor in letters."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from exporter.cli.commands import COMMANDS
from exporter.cli.completion import SHELLS
from exporter.cli.main import parse, program
from exporter.domain.identity import Identity
from exporter.domain.records import Append
from exporter.domain.timeline import Kind
from exporter.journal.sqlite.database import Database
from exporter.report.windows import DEFAULT_TIMEZONE
from tests.tools import ROOT, require
from tests.unit.test_incidents_web import site
from tests.unit.web_site import NOW, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def parsers(parser: argparse.ArgumentParser, name: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield each command and each of its actions with its parser."""
    inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for one in inner:
        for word, parser in one.choices.items():
            yield f"{name} {word}".strip(), parser
            yield from parsers(parser, f"{name} {word}".strip())


EVERY = dict(parsers(program(None)))


@pytest.mark.parametrize("parser", EVERY.values(), ids=EVERY)
def test_each_command_has_help_with_examples_that_can_be_run(parser: argparse.ArgumentParser) -> None:
    text = parser.format_help()
    assert "None" not in text
    assert parser.description
    examples = [line.strip() for line in text.partition("examples:")[2].splitlines() if line.strip()]
    assert examples
    for example in examples:
        words = shlex.split(example.partition(" > ")[0].partition(" < ")[0])
        assert f"device-exporter {' '.join(words[1:3])}".startswith(parser.prog[: len("device-exporter")])
        assert callable(parse(words[1:]).run)


def test_a_command_imports_no_other_command() -> None:
    code = """
import os, sys
from exporter.cli.main import program
for name in sys.argv[1:]:
    if not os.fork():  # a process that knows what all commands share, and nothing else
        program(name)
        print(name, *(module for module in sys.modules if module.startswith("exporter.cli.")), flush=True)
        os._exit(0)
    os.wait()
"""
    names = [command.name for command in COMMANDS]
    command = [sys.executable, "-c", code, *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    imported = {name: set(modules) for name, *modules in map(str.split, done.stdout.splitlines())}
    shared = {f"exporter.cli.{name}" for name in ("main", "commands", "output", "flags", "admin", "progress")}
    assert {name: imported[name] - shared for name in names} == {
        name: {f"exporter.cli.{name.replace('-', '_')}"} for name in names
    }


# -- output that cannot be written ------------------------------------------------------------------------------------
NAME = "Meja depan ☎ “Toko”"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a journal, a configuration and a rejected body, all with letters that ASCII lacks."""
    made = tmp_path_factory.mktemp("commands")
    journal = Database(made / "exporter.db", lambda: NOW)
    who = Identity("device_1", NAME, "wa", "c1", "WhatsApp ☎", "b1", "Toko “Makmur”", "u1", "Ibu")
    for number in range(3):
        kind = (Kind.CONNECTED, Kind.DISCONNECTED)[number % 2]
        journal.append([Append(who, int(NOW) + number * 100, kind)], number)
    journal.quarantine("invalid_json", NAME, b'{"a": "\xe2\x98\x8e"}', "d")
    journal.close()
    (made / "exporter.yml").write_text("alerts: {dashboard_url: 'https://x/☎'}\n", "utf-8")
    return made


OFFLINE = [
    "report --from 2025-01-28 --by device",
    "check-config --config.file=exporter.yml",
    "backfill --from 2025-01-28 --to 2025-01-30 --output -",
    "version",
    "--help",
    "report --help",
    "completion fish",
    "version --json",
    "backup copy-$RANDOM.db",
    "backup copy-$RANDOM.db --json",
    "quarantine list",
    "quarantine show 1",
    "report --from 2025-01-28 --by device --json",
    "report --from 2025-01-28 --by device --format html",
    "simulate --from 2025-01-28 --to 2025-01-29 --devices 5 --output -",
]


def shell(folder: Path, command: str, **other: str) -> subprocess.CompletedProcess[str]:
    """Run a command line in which `exporter` is the program."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DEVICE_EXPORTER_")}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **other}
    environment["DEVICE_EXPORTER_STORAGE_URL"] = f"sqlite:///{folder}/exporter.db"
    line = f'exporter() {{ "{sys.executable}" -m exporter "$@"; }}; {command}'
    return subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        timeout=60,
    )


def assert_output_may_fail(folder: Path, command: str) -> None:
    reader = shell(folder, f"{{ sleep 0.1; exporter {command}; echo $? >&2; }} | true")
    assert [line for line in reader.stderr.splitlines() if not line.startswith(("backfill:", "OK:"))] == ["141"]
    full = shell(folder, f"exporter {command} > /dev/full")
    sentence = "device-exporter: standard output cannot be written: No space left on device"
    assert full.returncode == 1, full.stderr
    assert [line for line in full.stderr.splitlines() if not line.startswith(("backfill:", "OK:"))] == [sentence]
    poor = shell(folder, f"exporter {command}", PYTHONIOENCODING="ascii")
    assert poor.returncode == 0, poor.stderr
    assert "Traceback" not in poor.stderr
    if not command.startswith(("backfill", "simulate")):  # these write UTF-8, as their formats are
        assert poor.stdout.isascii()


def seldom(commands: list[str], first: int) -> list[Any]:
    """Mark all but the first commands as slow: one place writes for all of them, and each is three starts."""
    return [*commands[:first], *(pytest.param(one, marks=pytest.mark.slow) for one in commands[first:])]


@pytest.mark.parametrize("command", seldom(OFFLINE, 3))
def test_output_may_be_closed_full_or_poor_in_letters(folder: Path, command: str) -> None:
    assert_output_may_fail(folder, command)


ONLINE = [
    "devices",
    "status",
    "incidents list",
    "incidents show 1",
    "incidents export",
    "incidents export --format markdown --language id",
]


@pytest.mark.parametrize("command", seldom(ONLINE, 1))
async def test_output_of_the_running_exporter_may_be_too(tmp_path: Path, folder: Path, command: str) -> None:
    async with site(tmp_path) as browser:
        await asyncio.to_thread(assert_output_may_fail, folder, f"{command} --url {browser.root}")


def test_a_file_on_a_full_disk_is_named(folder: Path) -> None:
    for command in (
        "report --from 2025-01-28",
        "backfill --from 2025-01-28 --to 2025-01-30",
        "simulate --from 2025-01-28 --to 2025-01-29 --devices 5",
    ):
        done = shell(folder, f"exporter {command} --output /dev/full")
        assert done.returncode == 1
        assert done.stderr == "device-exporter: /dev/full cannot be written: No space left on device\n"


def test_a_terminal_that_nobody_reads_is_no_error(folder: Path) -> None:
    assert shell(folder, "exporter version >&- 2>&-").returncode == 0
    assert shell(folder, "exporter report --month 1999-13 2>/dev/full").returncode == 2


# -- local time, JSON -------------------------------------------------------------------------------------------------
def test_the_quarantine_is_told_in_local_time(folder: Path) -> None:
    rows = shell(folder, "exporter quarantine list").stdout.splitlines()
    assert rows[0].split() == ["ID", "RECEIVED", "TIMES", "CODE", "REASON"]
    assert rows[1] == f"1   2025-01-28 17:26:40 WIB  1x     invalid_json  {NAME}"
    east = shell(folder, "exporter quarantine list", DEVICE_EXPORTER_ALERTS_TIMEZONE="Asia/Jayapura").stdout
    assert "19:26:40 WIT" in east
    (entry,) = json.loads(shell(folder, "exporter quarantine list --json").stdout)
    assert (entry["received_at"], entry["code"]) == (NOW, "invalid_json")
    shown = json.loads(shell(folder, "exporter quarantine show 1").stdout)
    assert (shown["received"], shown["payload"]) == ("2025-01-28 17:26:40 WIB", {"a": "☎"})


async def test_requeue_goes_to_the_configured_listener(folder: Path) -> None:
    async with running() as public:
        port = public.public.port
        done = await asyncio.to_thread(
            shell,
            folder,
            "exporter quarantine requeue 1",
            DEVICE_EXPORTER_WEBHOOK_LISTEN_ADDRESS=f":{port}",
            DEVICE_EXPORTER_WEBHOOK_SECRET=public.settings.secret,
        )
    assert done.returncode == 1  # it was sent there and is as wrong as before
    assert done.stderr.startswith("device-exporter: ")
    assert public.counted("invalid") == 1


def test_steps_that_prometheus_forgets_are_refused(folder: Path) -> None:
    for step in ("2h", "301s", "0s", "1500ms"):
        done = shell(folder, f"exporter backfill --from 2025-01-28 --step {step} --output -")
        assert done.returncode == 2
        assert "whole seconds from 1s to 5m" in done.stderr


def test_former_flags_still_work(folder: Path) -> None:
    new = shell(folder, "exporter report --from 2025-01-28 --to 2025-01-29 --format csv")
    old = shell(folder, "exporter report --start 2025-01-28 --end 2025-01-29 --format csv")
    assert new.stdout == old.stdout != ""
    assert DEFAULT_TIMEZONE in new.stdout


def test_check_config_says_ok_or_all_that_is_wrong(folder: Path) -> None:
    good = shell(folder, "exporter check-config --config.file exporter.yml")
    assert (good.returncode, good.stderr) == (0, "OK: the configuration can be used\n")
    assert json.loads(shell(folder, "exporter check-config --json").stdout)["alerts"]["timezone"] == "Asia/Jakarta"
    bad = shell(folder, "exporter check-config --log.level loud --webhook.listen-address x")
    assert bad.returncode == 2
    assert [line.split(": ")[:2] for line in bad.stderr.splitlines()] == [
        ["device-exporter", "flag --log.level"],
        ["device-exporter", "flag --webhook.listen-address"],
    ]


# -- completion -------------------------------------------------------------------------------------------------------
OFFERED = {
    "": {"serve", "incidents", "completion"},
    "incidents ": {"list", "show", "note", "status", "export"},
    "incidents list --sta": {"--status"},
    "incidents list --status ": {"open", "resolved"},
    "report --by ": {"engine", "device"},
    "completion ": set(SHELLS),
}
ASK = {
    "bash": (
        "source {script}; read -ra COMP_WORDS <<< {line}; [[ {line} = *' ' ]] && COMP_WORDS+=(''); "
        "COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _device_exporter; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    ),
    "zsh": (
        "compdef() {{ :; }}; compadd() {{ shift; print -l -- $@; }}; _files() {{ :; }}; source {script}; "
        "line={line}; words=(${{(s: :)line}}); [[ $line = *' ' ]] && words+=(''); CURRENT=$#words; _device_exporter"
    ),
    "fish": "source {script}; complete --do-complete={line} | string replace -r '\\t.*' ''",
}


@pytest.mark.parametrize("name", SHELLS)
def test_the_shell_offers_commands_actions_flags_and_values(folder: Path, tmp_path: Path, name: str) -> None:
    require(name)
    script = tmp_path / "completion"
    script.write_text(shell(folder, f"exporter completion {name}").stdout)
    for line, wanted in OFFERED.items():
        ask = ASK[name].format(script=script, line=shlex.quote(f"device-exporter {line}"))
        done = subprocess.run([name, "-c", ask], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30)
        assert done.stderr == ""
        assert wanted <= set(done.stdout.split()), line
    assert "--lang " not in script.read_text()
