"""What a report says, in Indonesian and English."""

from __future__ import annotations

from typing import Final

from exporter.lib.words import read_texts

TEXTS: Final = read_texts("exporter.report")

METHOD: Final = ("method_1", "method_2", "method_3", "method_4", "method_5")
"""The accounting method, which stands on every report."""

METHOD_IN_SHORT: Final = (
    "exact event times; blind and planned time in neither sum; availability = 1 - downtime / observed"
)
"""The same for forms with room for one line."""
