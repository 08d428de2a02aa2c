"""One word for one thing: what people read keeps to the table of docs/terms.md."""

from __future__ import annotations

import ast
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.tools import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TABLE = ROOT / "docs" / "terms.md"
TEXTS = sorted((ROOT / "exporter").glob("*/texts.json"))
TRANSLATION = ROOT / "grafana" / "source" / "translation.py"
CODE = [
    *(ROOT / "exporter" / name for name in ("alerting/texts.py", "notify/phrases.py", "lib/words.py")),
    TRANSLATION,
    ROOT / "scripts" / "setup_words.py",
    ROOT / "scripts" / "demo_words.py",
]
RULES = sorted((ROOT / "prometheus" / "rules").glob("*.yml"))
PAGES = [*sorted((ROOT / "docs").glob("*.id.md")), ROOT / "README.id.md"]


def never(column: int) -> list[str]:
    """Return the words of one column of the table."""
    rows = [line.strip("|").split("|") for line in TABLE.read_text(encoding="utf-8").splitlines() if line[:2] == "| "]
    return [word.strip() for row in rows[1:] for word in row[column].split(",") if word.strip()]


def indonesian(value: Any) -> Iterator[str]:
    """Yield the texts of rules whose key ends with _id."""
    if isinstance(value, dict):
        for key, each in value.items():
            if isinstance(each, str) and key.endswith("_id") and " " in each:
                yield each
            else:
                yield from indonesian(each)
    elif isinstance(value, list):
        for each in value:
            yield from indonesian(each)


def strings(path: Path) -> list[str]:
    """Return what people can read of a module: its texts, but no key of a dictionary and no docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    left_out = {key for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys}
    left_out |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node not in left_out]
    return [without_names(node.value) for node in found if isinstance(node.value, str)]


def surface(path: Path) -> list[str]:
    if path.suffix == ".json":
        return list(json.loads(path.read_text(encoding="utf-8"))["id"].values())
    if path.suffix == ".py":
        return strings(path)
    if path.suffix == ".yml":
        return [without_names(text) for text in indonesian(yaml.safe_load(path.read_text(encoding="utf-8")))]
    return [without_names(path.read_text(encoding="utf-8"))]


def without_names(text: str) -> str:
    """Return a text without what a template fills in, and without addresses."""
    return re.sub(r"\{\{.*?\}\}|https?://\S+", " ", text, flags=re.DOTALL)


def said(words: list[str], texts: list[str]) -> list[str]:
    """Return the texts that have one of the words, with or without Indonesian's -nya, on one line or two."""
    either = "|".join(r"\s+".join(map(re.escape, word.split())) for word in words)
    pattern = re.compile(rf"(?<![\w-])(?:{either})(?:-?nya)?(?![\w-])", re.IGNORECASE)
    return [text[max(found.start() - 40, 0) : found.end() + 40] for text in texts for found in pattern.finditer(text)]


def test_the_table_forbids_words() -> None:
    assert {"kanal", "anggaran"} <= set(never(2))
    assert {"layanan"} <= set(never(3))


def test_a_forbidden_word_is_found_in_whatever_case_and_with_its_ending() -> None:
    texts = ["Kanalnya terputus", "channel", "kanalisasi", "setelah mulai\nulang", "mulai lagi", "Timeline-nya"]
    found = ["Kanalnya terputus", "setelah mulai\nulang", "Timeline-nya"]
    assert said(["kanal", "mulai ulang", "timeline"], texts) == found


SURFACES = [*TEXTS, *CODE, *RULES, ROOT / "alertmanager" / "templates" / "id.tmpl"]


@pytest.mark.parametrize("path", SURFACES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_messages_pages_dashboards_and_reports_keep_to_the_terms(path: Path) -> None:
    texts = surface(path)
    assert said([*never(2), *never(3)], [text for text in texts if not _english(path, text)]) == []


def _english(path: Path, text: str) -> bool:
    """Where both languages share a module: whether this is none of the Indonesian texts."""
    return (
        path.suffix == ".py"
        and path != TRANSLATION
        and not re.search(r"\b(yang|dan|di|per|tidak|belum|ini|dari|untuk)\b", text)
    )


def prose(path: Path) -> str:
    """Return a page without code, keys as headings, links' targets, pictures, and menus and books in italics."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    text = re.sub(r"\[[^\]\n]*\.md\]|^### [a-z]+$", "", text, flags=re.MULTILINE)
    return re.sub(r"\]\([^)\n]*\)|<[^>\n]*>|(?<!\*)\*[^*\n]*(?:→|SLOs)[^*\n]*\*(?!\*)", "]", text)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_docs_keep_to_the_terms(path: Path) -> None:
    assert said(never(2), [prose(path)]) == []


QUIET = [path for path in [*TEXTS, TRANSLATION] if path.parent.name != "telegram"]


@pytest.mark.parametrize("path", QUIET, ids=lambda path: path.parent.name)
def test_the_loud_word_for_disconnected_is_for_alerts_alone(path: Path) -> None:
    assert said(["mati"], surface(path)) == []
