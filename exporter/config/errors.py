"""How configuration errors read: where the value came from, the path to it, what is allowed, the nearest name."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from exporter.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

Path = tuple[str, ...]
"""The way to a value: keys, and list positions as "[0]"."""


class Origins:
    """Where each value came from: the file, except what an environment variable or a flag has set."""

    def __init__(self, file: str | None) -> None:
        self.file = file
        self._set_by: dict[Path, str] = {}

    def record(self, path: Path, origin: str) -> None:
        """Remember that the value at `path` came from `origin`, such as "flag --storage.url"."""
        self._set_by[path] = origin

    def of(self, path: Path) -> str | None:
        """Return the origin of the value at `path`, or None where nothing but a default is known."""
        for length in range(len(path), 0, -1):
            if path[:length] in self._set_by:
                return self._set_by[path[:length]]
        return self.file

    def is_file(self, path: Path) -> bool:
        """Tell whether the value at `path` was written in the configuration file."""
        return self.file is not None and self.of(path) == self.file

    def error(self, path: Path, message: str) -> ConfigError:
        """Return the error for the value at `path`."""
        where = [part for part in (self.of(path), dotted(path)) if part]
        return ConfigError(": ".join([*where, message]))


def dotted(path: Path) -> str:
    """Return a path as people write it: `failover[0].hook.url`."""
    return ".".join(path).replace(".[", "[")


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean `x`?)" for the nearest known name, or the list of all names where none is near."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f" (did you mean `{near[0]}`?)"
    return f" (known: {', '.join(names)})" if len(names) <= 12 else ""
