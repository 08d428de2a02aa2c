"""The rows of the benchmarks' table: what was measured, against what, and what must hold.

Every `bench/bench_*.py` measures, prints its rows and, with `--rows FILE`, appends them to a file of JSON lines, from
which `python -m bench` makes one table.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable


class Row(msgspec.Struct, frozen=True):
    """One line of the table. `ours` and `other` are figures with their units; `holds` is None where nothing must."""

    key: str
    """Sorts the table, such as `1` or `3b`."""
    what: str
    ours: str
    other: str = ""
    figure: str = ""
    """The ratio or difference that is judged."""
    must: str = ""
    holds: bool | None = None
    note: str = ""
    """How it was measured, in a sentence; printed below the table."""


HEADINGS = ("", "what", "exporter", "compared with", "result", "must be", "holds")


def at_least(value: float, bound: float, unit: str = "") -> dict[str, object]:
    """Return the fields `figure`, `must` and `holds` of a row that must reach a bound."""
    return {"figure": f"{number(value)}{unit}", "must": f"≥ {bound:g}{unit}", "holds": value >= bound}


def at_most(value: float, bound: float, unit: str = "") -> dict[str, object]:
    """Return the fields `figure`, `must` and `holds` of a row that must stay within a bound."""
    return {"figure": f"{number(value)}{unit}", "must": f"≤ {bound:g}{unit}", "holds": value <= bound}


def number(value: float) -> str:
    """Return three significant digits, and thousands with commas."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def cells(row: Row) -> tuple[str, ...]:
    """Return the row's cells under HEADINGS."""
    holds = {None: "", True: "yes", False: "NO"}[row.holds]
    return (row.key, row.what, row.ours, row.other, row.figure, row.must, holds)


def text_table(rows: Iterable[Row]) -> str:
    """Return the rows for a terminal."""
    lines = [HEADINGS, *map(cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def markdown_table(rows: Iterable[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *map(cells, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the flags that all benchmarks share."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--quick", action="store_true", help="a smoke run of seconds: its figures mean nothing")
    made.add_argument("--rows", type=Path, metavar="FILE", help="append the rows to this file as JSON lines")
    return made


def report(rows: list[Row], file: Path | None) -> None:
    """Print the rows in the order of their keys, and append them to the file if there is one."""
    rows = ordered(rows)
    print(text_table(rows), flush=True)
    for row in rows:
        if row.note:
            print(f"  {row.key}: {row.note}", flush=True)
    if file is not None:
        with file.open("ab") as opened:
            opened.write(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


def read(file: Path) -> list[Row]:
    """Return the rows of a file, in the order of their keys. ValueError where two benchmarks use one key."""
    found = [msgspec.json.decode(line, type=Row) for line in file.read_bytes().splitlines()]
    twice = sorted(key for key, times in Counter(row.key for row in found).items() if times > 1)
    if twice:
        raise ValueError(f"rows of one key: {', '.join(twice)}")
    return ordered(found)


def ordered(rows: Iterable[Row]) -> list[Row]:
    """Return the rows in the order of their keys: by number, then by letter."""
    return sorted(rows, key=lambda row: (int("".join(filter(str.isdigit, row.key)) or 0), row.key))
