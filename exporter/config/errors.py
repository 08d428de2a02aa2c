"""How configuration errors read: where the value came from, the path to it, what is allowed, the nearest name.

Mistakes are collected: a value that cannot be read is left out, and the rest is looked at.
"""

from __future__ import annotations

from contextlib import contextmanager
from difflib import get_close_matches
from typing import TYPE_CHECKING

from exporter.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Path = tuple[str, ...]
"""The way to a value: keys, and list positions as "[0]"."""


class Mistake(ConfigError):
    """One mistake, at a path."""

    def __init__(self, message: str, path: Path = ()) -> None:
        super().__init__(message)
        self.path = path


class Mistakes:
    """All mistakes of one configuration, so that people mend them in one go."""

    def __init__(self) -> None:
        self._found: list[Mistake] = []
        self._built = 0

    def add(self, mistake: Mistake) -> None:
        """Note a mistake; once `built` was called, not what only follows from one that was noted before."""
        known = {one.path[:2] for one in self._found[: self._built] if one.path}
        if str(mistake) and mistake.path[:2] not in known:
            self._found.append(mistake)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Note the mistake that ends the block, and go on behind it."""
        try:
            yield
        except Mistake as mistake:
            self.add(mistake)

    def built(self) -> None:
        """Say that all values are read: what is noted from now on is about how they go together."""
        self._built = len(self._found)

    def __bool__(self) -> bool:
        return bool(self._found)

    def raise_all(self) -> None:
        """Raise a ConfigError with one line a mistake, if there is any."""
        if self._found:
            raise ConfigError("\n".join(map(str, self._found)))


class Origins:
    """Where each value came from: the file, except what an environment variable or a flag has set."""

    def __init__(self, file: str | None) -> None:
        self.file = file
        self._set_by: dict[Path, str] = {}
        self.mistakes = Mistakes()

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

    def error(self, path: Path, message: str) -> Mistake:
        """Return the mistake at `path`."""
        where = [part for part in (self.of(path), dotted(path)) if part]
        return Mistake(": ".join([*where, message]), path)


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
