"""What a release rests on: pinned actions, one version everywhere, notes out of the changelog."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml

from exporter import __version__
from scripts import changelog
from tests.tools import ROOT

if TYPE_CHECKING:
    from pathlib import Path

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEXT = """# Changelog

About it.

## [Unreleased]

### Fixed
- Two.

### Added
- New.

## [0.2.0]

Coming from 0.1: look.

### Added
- First,
  in two lines.

- Second.

### Fixed
- One.

## [0.1.0] - 2026-01-01

### Added
- All.
"""


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_every_action_is_pinned_by_the_digest_of_a_release(file: Path) -> None:
    used = re.findall(r"uses: (.+)", file.read_text())
    foreign = [one for one in used if not one.startswith("./")]
    assert [one for one in foreign if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one)] == []


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_workflow_may_do_nothing_that_it_does_not_ask_for(file: Path) -> None:
    workflow = yaml.safe_load(file.read_text())
    assert workflow["permissions"] in ({}, {"contents": "read"})
    assert all("timeout-minutes" in job or "uses" in job for job in workflow["jobs"].values())


def test_every_python_that_is_promised_is_tested() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    promised = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', text)
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["python"] == promised


def test_the_code_and_the_chart_have_one_version_which_the_changelog_knows() -> None:
    left = changelog.problems(__version__)
    assert [problem for problem in left if not problem.startswith("CHANGELOG.md")] == []
    assert f"\n## [{__version__}]" in changelog.CHANGELOG.read_text(encoding="utf-8")
    assert len(changelog.problems("9.9.9")) >= 3


def test_notes_are_the_versions_section_alone() -> None:
    assert changelog.section(TEXT, "0.1.0") == "### Added\n- All."
    assert changelog.section(TEXT, "0.3.0") == ""


def test_a_fold_puts_what_is_unreleased_into_the_version_kind_by_kind_and_again_changes_nothing() -> None:
    once = changelog.folded(TEXT, "0.2.0", "2026-11-28")
    assert changelog.section(once, "Unreleased") == ""
    assert changelog.section(once, "0.2.0") == (
        "Coming from 0.1: look.\n\n### Added\n- First,\n  in two lines.\n- Second.\n- New.\n\n### Fixed\n- One.\n- Two."
    )
    assert "## [0.2.0] - 2026-11-28\n" in once
    assert once.endswith("## [0.1.0] - 2026-01-01\n\n### Added\n- All.\n")
    assert changelog.folded(once, "0.2.0", "2026-11-28") == once


def test_the_projects_own_changelog_can_be_folded_without_losing_an_entry() -> None:
    text = changelog.CHANGELOG.read_text(encoding="utf-8")
    once = changelog.folded(text, __version__, "2026-11-28")
    assert sorted(line for line in once.splitlines() if line.startswith("- ")) == sorted(
        line for line in text.splitlines() if line.startswith("- ")
    )


def test_what_people_are_told_to_install_is_our_distribution_and_not_a_namesake() -> None:
    name = re.search(r'(?m)^name = "([^"]+)"', (ROOT / "pyproject.toml").read_text())
    assert name is not None
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "exporter").rglob("*.py")]
    texts += [path.read_text(encoding="utf-8") for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))]
    told = re.findall(r"(?:pipx? (?:install|run --spec)|uv tool install) ['\"]?([a-z][a-z-]+)", "".join(texts))
    assert set(told) == {name[1]}
