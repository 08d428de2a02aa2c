"""`.env` as Docker Compose reads it: values by key, and a change that leaves every other line as it is."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*")


def read_env(path: Path) -> dict[str, str]:
    """Return the values of a file, {} without one."""
    if not path.exists():
        return {}
    found = (LINE.fullmatch(line) for line in path.read_text(encoding="utf-8").splitlines())
    return {match[1]: _unquoted(match[2]) for match in found if match}


def write_env(path: Path, values: Mapping[str, str]) -> None:
    """Set values; an empty one takes the key out. The file is private: it may hold secrets."""
    left = {key: value for key, value in values.items() if value}
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        match = LINE.fullmatch(line)
        if not match or match[1] not in values:
            lines.append(line)
        elif match[1] in left:
            lines.append(f"{match[1]}={_quoted(left.pop(match[1]))}")
    lines += [f"{key}={_quoted(value)}" for key, value in left.items()]
    write_private(path, "".join(f"{line}\n" for line in lines))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)


def _quoted(value: str) -> str:
    """Return a value as Compose takes it back: in single quotes nothing is special but they themselves."""
    if re.fullmatch(r"[\w@%+=:,./-]+", value, re.ASCII):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'") if "'" in value else value
    return f"'{escaped}'"


def _unquoted(text: str) -> str:
    quoted = re.fullmatch(r"(['\"])(.*)\1(?:\s+#.*)?", text)
    if not quoted:
        return re.sub(r"\s+#.*$", "", text)
    return quoted[2].replace("\\'", "'").replace("\\\\", "\\") if "\\'" in quoted[2] else quoted[2]
