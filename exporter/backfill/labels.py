"""Labels that every sample carries besides its family's own, such as the `job` and `instance` of the scrape target."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from exporter import conventions as names
from exporter.metrics.exposition.lines import label_writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_NAME: Final = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_TAKEN: Final = frozenset((*names.DEVICE_LABELS, *names.INFO_LABELS, *names.GROUP_LABELS, "state", "le", "severity"))


def parse_labels(pairs: Iterable[str]) -> dict[str, str]:
    """Return the labels of `name=value` texts. ValueError for a name that Prometheus refuses or that a family has."""
    labels: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not value or not _NAME.fullmatch(name):
            raise ValueError(f"expected a label as name=value, got {pair!r}")
        if name in _TAKEN or name in labels:
            raise ValueError(f"the label {name!r} is there already")
        labels[name] = value
    return labels


class Labels:
    """Writes label sets that all end up with the same additional labels."""

    def __init__(self, added: Mapping[str, str]) -> None:
        self._added = dict(added)

    def writer(self, own: Sequence[str]) -> Callable[[tuple[str, ...]], bytes]:
        """Return a function from the values of the labels `own` to the bytes of the whole label set."""
        ordered = sorted((*own, *self._added))
        write = label_writer(ordered)

        def written(values: tuple[str, ...]) -> bytes:
            label_set = {**dict(zip(own, values, strict=True)), **self._added}
            return write(tuple(label_set[name] for name in ordered))

        return written
