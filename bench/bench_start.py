"""
How long a start takes, and that it does not depend on the history's length.

    python -m bench.bench_start [--quick]

100,000 devices with 2,000,000 and with 200,000 journalled events: from the start of the process to the first 200 of
`/-/ready`, after a clean stop. The starts alternate; medians count.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from bench.fleet import write_history
from bench.processes import Exporter, workplace
from bench.rows import Row, at_least, at_most, number, parser, report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def rows(parent: Path, devices: int, rounds: int) -> Iterator[Row]:
    places = {}
    for events in (devices * 20, devices * 2):
        places[events] = parent / str(events)
        places[events].mkdir()
        write_history(places[events] / "exporter.db", devices, events)
        with Exporter(places[events], timeout=300) as exporter:  # replays it all, and writes a checkpoint at its stop
            print(f"    without any checkpoint, {events:,} events: {exporter.start_seconds:.2f} s", flush=True)
    seconds: dict[int, list[float]] = {events: [] for events in places}
    for _ in range(rounds):
        for events, place in places.items():
            with Exporter(place) as exporter:
                seconds[events].append(exporter.start_seconds)
    long, short = (median(found) for found in seconds.values())
    many, few = places
    yield Row("5", f"start, {devices:,} devices, {many:,} events", f"{number(long)} s", **at_most(long, 3, " s"))
    yield Row(
        "5b", f"the same start with {few:,} events", f"{number(short)} s", f"with {many:,}: {number(long)} s",
        **at_least(short / long, 0.8, " of it"),
    )  # fmt: skip


def main() -> None:
    chosen = parser(__doc__).parse_args()
    devices, rounds = (500, 1) if chosen.quick else (100_000, 5)
    with workplace() as directory:
        report(list(rows(directory, devices, rounds)), chosen.rows)


if __name__ == "__main__":
    main()
