"""Texts of others, made harmless for where people read them: a terminal, a page, a spreadsheet. Pure."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_STEERING: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_FORMULA: Final = re.compile(r"^\s*[=+\-@|%\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]")
"""What a spreadsheet takes for a formula, the full-width signs of East Asian keyboards among it."""


def harmless(text: str) -> str:
    """Return a text without characters that steer a terminal or turn the direction of what is read."""
    return _STEERING.sub("\N{REPLACEMENT CHARACTER}", text)


def one_line(text: str) -> str:
    """Return a harmless text on one line."""
    return " ".join(harmless(text).split())


def named(name: str, identifier: str) -> str:
    """Return a name with its id, or the id alone where there is no name."""
    return f"{name} ({identifier})" if name else identifier


def cell(value: object) -> object:
    """Return a value as a cell of a CSV file: a text that a spreadsheet would run gets a ' before it, None is empty."""
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def csv_line(values: Iterable[object]) -> str:
    """Return the values as one line of a CSV file (RFC 4180), each of them harmless (`cell`)."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([cell(value) for value in values])
    return out.getvalue()
