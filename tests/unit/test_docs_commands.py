"""Commands that README and docs show exist, with the flags that they are shown with."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

import pytest

from exporter.cli.main import program
from tests.tools import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGES = [*sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("README*.md")), ROOT / "CONTRIBUTING.md"]
TARGETS = set(re.findall(r"(?m)^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8")))
OURS = re.compile(
    r"(?:^|[\s`(]|-m )(?:device-exporter|python -m exporter) ([a-z][a-z-]+)(?![\w/.-])((?: [^\n`|#&>;)]*)?)"
)
MAKE = re.compile(r"(?:^|[\s`(])make (?:-s )?([a-z][a-z-]*)(?=[\s`,.;)&|]|$)", re.MULTILINE)


def commands(text: str) -> list[tuple[str, list[str]]]:
    """Return each command with its long flags, lines that a backslash continues as one."""
    joined = re.sub(r"\\\n\s*", " ", text)
    shown = "\n".join([*re.findall(r"```.*?```", joined, re.DOTALL), *re.findall(r"`[^`\n]+`", joined)])
    return [(name, re.findall(r"(?<![\w-])--[a-z][a-z.-]*[a-z]", rest)) for name, rest in OURS.findall(shown)]


def flags(parser: argparse.ArgumentParser) -> set[str]:
    """Return every flag of a parser and of its actions' parsers."""
    found = set(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                found |= flags(each)
    return found


def known(name: str) -> set[str] | None:
    subparsers = next(a for a in program(name)._actions if isinstance(a, argparse._SubParsersAction))
    return flags(subparsers.choices[name]) if name in subparsers.choices else None


def wrong(text: str) -> list[str]:
    found = []
    for name, given in commands(text):
        has = known(name)
        found += [name] if has is None else [f"{name} {flag}" for flag in given if flag not in has]
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_commands_of_a_page_exist_with_their_flags(path: Path) -> None:
    assert wrong(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_targets_of_make_that_a_page_names_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    shown = "\n".join([*re.findall(r"```.*?```", text, re.DOTALL), *re.findall(r"`[^`\n]+`", text)])
    assert [name for name in MAKE.findall(shown) if name not in TARGETS] == []


def test_a_command_and_a_flag_that_do_not_exist_are_found() -> None:
    text = "`device-exporter nothing` and `device-exporter report --nothing`, but `device-exporter report --by engine`"
    assert wrong(text) == ["nothing", "report --nothing"]


def test_the_pages_show_commands() -> None:
    assert len([one for page in PAGES for one in commands(page.read_text(encoding="utf-8"))]) > 30
