"""Pages for people: links lead somewhere, guides are short enough to be read, both languages have the same ones."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.tools import ROOT

if TYPE_CHECKING:
    from pathlib import Path

LINES = 200
# a table or a list in which one looks something up; alerts link to the runbook's headings
REFERENCE = {"configuration", "runbook", "metrics", "api", "benchmarks"}
ENGLISH_ALONE = {"api", "benchmarks", "security", "terms"}  # for programmers; the terms are in both
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)|!\[[^\]\n]*\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    names = listed.stdout.split() or [str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")]
    return [ROOT / name for name in names if (ROOT / name).exists()]


PAGES = {str(path.relative_to(ROOT)): path for path in sorted(tracked())}
GUIDES = [path for path in sorted((ROOT / "docs").glob("*.md")) if path.name.split(".")[0] not in REFERENCE]


def anchors(path: Path) -> set[str]:
    """Return what GitHub makes of a page's headings."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    headings = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", line) for line in re.findall(r"(?m)^#+ +(.+?) *$", text)]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(path: Path) -> list[str]:
    text = re.sub(r"`[^`\n]*`", "", FENCE.sub("", path.read_text(encoding="utf-8")))
    found = ["".join(parts) for parts in LINK.findall(text)]
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def dead(path: Path) -> list[str]:
    found = []
    for link in links(path):
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("name", PAGES)
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(name: str) -> None:
    assert dead(PAGES[name]) == []


def test_a_dead_link_and_a_dead_anchor_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A heading: `code`\n[a](#a-heading-code) [b](#gone) [c](gone.md) [d](https://example.com)\n```\n[e](gone)\n```\n"
    )
    assert dead(page) == ["#gone", "gone.md"]


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.name)
def test_a_guide_is_short_enough_to_be_read(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LINES


@pytest.mark.parametrize("readme", ["README.md", "README.id.md"])
def test_every_page_is_found_from_the_first_one(readme: str) -> None:
    start = ROOT / readme
    seen, ahead = {start}, [start]
    while ahead:
        page = ahead.pop()
        targets = {(page.parent / link.partition("#")[0]).resolve() for link in links(page)}
        for target in {each for each in targets if each.suffix == ".md" and each.exists()} - seen:
            seen.add(target)
            ahead.append(target)
    pages = {path for path in (ROOT / "docs").glob("*.md") if path.name.endswith(".id.md") == (readme != "README.md")}
    assert sorted(path.name for path in pages - seen) == []


def test_a_page_for_users_has_a_twin_in_the_other_language() -> None:
    names = {path.name for path in (ROOT / "docs").glob("*.md")}
    english = {name.removesuffix(".md") for name in names if not name.endswith(".id.md")}
    indonesian = {name.removesuffix(".id.md") for name in names if name.endswith(".id.md")}
    assert english - ENGLISH_ALONE == indonesian


def titles(language: str) -> set[str]:
    """Return the titles of the dashboards as Grafana shows them."""
    files = (ROOT / "grafana" / "dashboards" / language).glob("*.json")
    return {json.loads(path.read_text(encoding="utf-8"))["title"] for path in files}


@pytest.mark.parametrize("name", [name for name in PAGES if name.startswith(("docs/", "README"))])
def test_a_dashboard_is_called_what_its_title_says_in_the_language_of_the_page(name: str) -> None:
    text = FENCE.sub("", PAGES[name].read_text(encoding="utf-8"))
    language, other = ("id", "en") if name.endswith(".id.md") else ("en", "id")
    named = re.findall(r"(?:[Dd]ashboard|[Dd]asbor) \*([^*\n]+)\*", text)
    assert set(named) <= titles(language)
    assert [title for title in titles(other) - titles(language) if f"*{title}*" in text] == []
    assert named or "runbook" not in name
