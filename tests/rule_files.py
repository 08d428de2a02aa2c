"""Prometheus' rules and promtool's tests of them as they stand here; read once, as their tests alone are 300 kB."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import yaml

from tests.tools import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER = ROOT / "prometheus" / "rules"
FILES = sorted(FOLDER.glob("*.yml"))
TESTS = sorted(path for path in (FOLDER / "tests").glob("*.yml") if not path.name.startswith("slo"))
"""Those of the SLO rules are run by test_slo_rules.py."""


@functools.cache
def read(path: Path) -> dict[str, Any]:
    """Return a file's document, which must not be changed."""
    return yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)


def rules(*names: str) -> Iterator[dict[str, Any]]:
    """Yield the rules of the files of these names, or of all."""
    for file in FILES:
        if not names or file.name in names:
            for group in read(file)["groups"]:
                yield from group["rules"]
