"""Where the files are: in the installed package, or in the checkout that we run from."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKED: Final = Path(__file__).parent / "files"
"""setup.py puts them there when a wheel is built, at the same paths as in the checkout."""
RULES: Final = "prometheus/rules"
DASHBOARDS: Final = "grafana/dashboards"
ROUTES: Final = "alertmanager/alertmanager.yml"
TEXTS: Final = "alertmanager/templates"


def read_all(folder: str, pattern: str) -> dict[str, str]:
    """Return the texts of a folder's files by their names."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted((_base() / folder).glob(pattern))}


def read(name: str) -> str:
    """Return the text of one file."""
    return (_base() / name).read_text(encoding="utf-8")


def _base() -> Path:
    return _PACKED if _PACKED.is_dir() else Path(__file__).parents[2]
