"""Texts of which there is nothing to be seen."""

from __future__ import annotations

import pytest

from exporter.gateways.preset import clean_name
from exporter.incidents.api import clean
from exporter.lib.visible import shows

BLANK = [
    "",
    " ",
    "\u00a0\u3000",
    "\u200b",
    "\u2060\ufeff",
    "\u00ad",
    "\u3164",
    "\u115f\u1160",
    "\uffa0",
    "\u2800",
    "\ufe0f",
]


@pytest.mark.parametrize("text", [*BLANK, "".join(BLANK), "\U000e0041"])
def test_of_spaces_fillers_and_joiners_nothing_is_seen(text: str) -> None:
    assert not shows(text)
    assert clean(text) == ""
    assert clean_name(text) == ""


@pytest.mark.parametrize("text", ["a", "\u200bcs", "\u263a\ufe0f", "1", "-", "\uac00", "\u0e01\u0e33", "\u2801"])
def test_of_anything_else_something_is(text: str) -> None:
    assert shows(text)
    assert clean(text)
