"""What a report says, in Indonesian and English."""

from __future__ import annotations

from importlib.resources import files
from typing import Final, Literal

import msgspec

Language = Literal["id", "en"]

MONTHS: Final[dict[Language, tuple[str, ...]]] = {
    "id": (
        *("Januari", "Februari", "Maret", "April", "Mei", "Juni"),
        *("Juli", "Agustus", "September", "Oktober", "November", "Desember"),
    ),
    "en": (
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
}

UNITS: Final[dict[Language, tuple[str, str, str, str]]] = {
    "id": (" hari", " jam", " mnt", " dtk"),
    "en": ("d", "h", "m", "s"),
}
"""Day, hour, minute, second, as they follow a number."""

TEXTS: Final[dict[Language, dict[str, str]]] = msgspec.json.decode(
    files(__package__).joinpath("texts.json").read_bytes(), type=dict[Language, dict[str, str]]
)
"""Texts by name; a test holds both languages to the same names."""

METHOD: Final = ("method_1", "method_2", "method_3", "method_4", "method_5")
"""The accounting method, which stands on every report."""

METHOD_IN_SHORT: Final = (
    "exact event times; blind and planned time in neither sum; availability = 1 - downtime / observed"
)
"""The same for forms with room for one line."""
