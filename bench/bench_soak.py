"""
Half an hour as a large fleet lives it: what the process weighs and holds at the end, and whether that grows.

    python -m bench.bench_soak [--quick] [--devices 50000] [--rate 200] [--minutes 30]

The exporter has a journal of a month of these devices. Webhooks come at a steady rate, each of which changes a device's
state; it is scraped every 15 seconds and reloaded every minute. The first half fills caches; the second must be flat.
Not one of `make bench`: it takes too long, and it wants no quiet machine.
"""

from __future__ import annotations

import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import linear_regression
from typing import TYPE_CHECKING, NamedTuple

from bench.bench_scraped import Scraper
from bench.fleet import write_history
from bench.processes import Exporter, Wrk, workplace
from bench.rows import Row, at_most, number, parser, report

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECTIONS = 320
"""Each waits 1.5 seconds between two webhooks, and some milliseconds for an answer: what is asked for is sent."""
MOST_GROWTH = 8.0
"""MiB in the second half: two per cent of what it may weigh."""


class Look(NamedTuple):
    """What the process had at a time."""

    seconds: float
    mebibytes: float
    descriptors: int
    threads: int


def look(exporter: Exporter, began: float) -> Look:
    process = Path(f"/proc/{exporter.pid}")
    counts = (sum(1 for _ in (process / of).iterdir()) for of in ("fd", "task"))
    return Look(time.monotonic() - began, exporter.memory(), *counts)


def reload(exporter: Exporter) -> None:
    request = urllib.request.Request(f"{exporter.admin}/-/reload", method="POST")
    urllib.request.urlopen(request, timeout=60).close()


def looks(exporter: Exporter, seconds: float, every: float) -> Iterator[Look]:
    """Scrape, reload every fourth time, and look, again and again."""
    scraper, began, turn = Scraper(exporter.admin), time.monotonic(), 0
    while (now := time.monotonic() - began) < seconds:
        scraper.scrape()
        if turn % 4 == 3:
            reload(exporter)
        yield look(exporter, began)
        turn += 1
        time.sleep(max(0.0, turn * every - now))


def rows(directory: Path, devices: int, rate: float, seconds: float, every: float) -> Iterator[Row]:
    write_history(directory / "exporter.db", devices, devices * 4)
    with Exporter(directory):
        pass  # its stop saves the state of all
    with Exporter(directory) as exporter:
        with ThreadPoolExecutor(1) as beside:
            send = partial(Wrk(exporter.secret).run, exporter.url, seconds, devices=devices)
            sending = beside.submit(send, rate=rate * 1.05, connections=CONNECTIONS)
            seen = list(looks(exporter, seconds, every))
            sent = sending.result()
        failures = sum(value for name, value in exporter.metrics().items() if "failures_total" in name)
    second = [one for one in seen if one.seconds >= seconds / 2]
    slope = linear_regression([one.seconds for one in second], [one.mebibytes for one in second]).slope
    what = f"{seconds / 60:.0f} minutes, {devices:,} devices, {number(sent.rate)} webhooks a second"
    yield Row("18", f"{what}: memory", f"{seen[-1].mebibytes:.0f} MiB",
              note=f"{seen[0].mebibytes:.0f} MiB at first, {second[0].mebibytes:.0f} at half time; the slope of its "
              f"second half is {slope * 3600:.1f} MiB an hour; webhooks' p99 {sent.p99 / 1e3:.1f} ms",
              **at_most(slope * seconds / 2, MOST_GROWTH, " MiB"))  # fmt: skip
    for key, which in (("18b", "descriptors"), ("18c", "threads")):
        first, last = (max(getattr(one, which) for one in part) for part in halves(second))
        yield Row(key, f"{what}: {which}", str(last), f"in the quarter before: {first}", **at_most(last - first, 0))
    yield Row("18d", f"{what}: failures that it counted", f"{failures:.0f}", **at_most(failures, 0))


def halves(looks: list[Look]) -> tuple[list[Look], list[Look]]:
    middle = len(looks) // 2
    return looks[:middle], looks[middle:]


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--devices", type=int, default=50_000)
    arguments.add_argument("--rate", type=float, default=200.0, metavar="WEBHOOKS_A_SECOND")
    arguments.add_argument("--minutes", type=float, default=30.0)
    chosen = arguments.parse_args()
    sizes = (200, 100.0, 6.0, 0.5) if chosen.quick else (chosen.devices, chosen.rate, chosen.minutes * 60, 15.0)
    with workplace() as directory:
        report(list(rows(directory, *sizes)), chosen.rows)


if __name__ == "__main__":
    main()
