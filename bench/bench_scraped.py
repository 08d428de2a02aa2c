"""
Webhooks while scrapes run back to back on a large fleet, and what the process weighs.

    python -m bench.bench_scraped [--quick] [--devices 100000]

The exporter has a journal of 100,000 devices. Webhooks at half of what it takes without scrapes, with and without them,
and the same rate on the bare handler. Then its memory: after ten scrapes, and how it grows with events.
"""

from __future__ import annotations

import threading
import time
import urllib.request
from statistics import linear_regression, median
from typing import TYPE_CHECKING

from bench.fleet import write_history
from bench.processes import Exporter, Wrk, bare, workplace
from bench.rows import Row, at_most, number, parser, report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Scraper(threading.Thread):
    """Scrapes back to back, gzip, until stopped."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._request = urllib.request.Request(f"{url}/metrics", headers={"Accept-Encoding": "gzip"})
        self._stopping = threading.Event()
        self.seconds: list[float] = []

    def scrape(self) -> None:
        started = time.perf_counter()
        with urllib.request.urlopen(self._request, timeout=60) as answer:
            while answer.read(1 << 20):
                pass
        self.seconds.append(time.perf_counter() - started)

    def run(self) -> None:
        while not self._stopping.is_set():
            self.scrape()

    def stop(self) -> None:
        self._stopping.set()
        self.join()


def memory(exporter: Exporter, wrk: Wrk, devices: int, events: int, seconds: float) -> Iterator[Row]:
    scraper = Scraper(exporter.admin)
    for _ in range(10):
        scraper.scrape()
    weight = exporter.memory()
    what = f"memory with {devices:,} devices after 10 scrapes"
    yield Row("6", what, f"{weight:.0f} MiB", **at_most(weight, 400, " MiB"))

    def send(events: int) -> list[tuple[int, float]]:
        """Return how many were sent and what the process weighed, again and again."""
        sent, weights = 0, []
        while sent < events:
            sent += wrk.run(exporter.url, seconds, devices=devices).requests
            scraper.scrape()
            weights.append((sent, exporter.memory()))
        return weights

    warm = send(events)[-1]
    weights = send(events * 4)  # long: what it weighs goes up and down by some MiB from one scrape to the next
    slope = linear_regression(*zip(*weights, strict=True)).slope * 1e6 if len(weights) > 1 else 0.0
    (before, first), (after, last) = warm, weights[-1]
    note = (
        f"slope over {after:,} events with scrapes in between, after {before:,} that fill caches: SQLite's of 32 MiB, "
        f"and what each device has of changing values. {first:.0f} MiB before, {last:.0f} MiB at the end. Half of the "
        "devices are down under this load, and a device that is down weighs more"
    )
    yield Row("6b", "memory growth, for 1,000,000 events", f"{last:.0f} MiB", note=note, **at_most(slope, 10, " MiB"))


def under_scrapes(exporter: Exporter, wrk: Wrk, bare_url: str, devices: int, rounds: int, seconds: float) -> Row:
    quiet, other, scraped, durations = [], [], [], []
    rate = median(wrk.run(exporter.url, seconds, devices=devices).rate for _ in range(rounds)) / 2
    for _ in range(rounds):
        other.append(wrk.run(bare_url, seconds, devices=devices, rate=rate).p99 / 1e3)
        quiet.append(wrk.run(exporter.url, seconds, devices=devices, rate=rate).p99 / 1e3)
        scraper = Scraper(exporter.admin)
        scraper.start()
        scraped.append(wrk.run(exporter.url, seconds, devices=devices, rate=rate).p99 / 1e3)
        scraper.stop()
        durations += scraper.seconds
        print(f"    p99: bare {other[-1]:.1f} ms, quiet {quiet[-1]:.1f} ms, while scraped {scraped[-1]:.1f} ms; "
              f"{len(scraper.seconds)} scrapes of {median(scraper.seconds) * 1e3:.0f} ms", flush=True)  # fmt: skip
    note = (
        f"about {rate:,.0f} webhooks a second, half of what it takes, {devices:,} devices; without scrapes "
        f"{number(median(quiet))} ms; a scrape takes {median(durations) * 1e3:.0f} ms to the last byte meanwhile"
    )
    return Row(
        "4", "webhook p99 while scrapes run back to back", f"{number(median(scraped))} ms",
        f"bare aiohttp, not scraped: {number(median(other))} ms", note=note, **at_most(median(scraped), 25, " ms"),
    )  # fmt: skip


def lag(exporter: Exporter) -> Row:
    """Return how late the event loop was over the whole run, from the exporter's own histogram."""
    metrics = exporter.metrics()
    name = "device_exporter_loop_lag_seconds"
    within, total = metrics[f'{name}_bucket{{le="0.01"}}'], metrics[f"{name}_count"]
    note = f"{total:.0f} looks during all of the above; includes what other programs took of the processors"
    return Row("4c", "event loop at most 10 ms late", f"{within / total:.1%} of the time", note=note)


def rows(directory: Path, devices: int, events: int, rounds: int, seconds: float) -> Iterator[Row]:
    write_history(directory / "exporter.db", devices, devices * 4)
    with Exporter(directory):
        pass  # its stop saves the state of all, which a later start need not do beside the load
    bare_server, bare_url = bare(directory)
    with bare_server, Exporter(directory) as exporter:
        wrk = Wrk(exporter.secret)
        yield under_scrapes(exporter, wrk, bare_url, devices, rounds, seconds)
        yield lag(exporter)
    with Exporter(directory) as exporter:
        yield from memory(exporter, wrk, devices, events, seconds)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--devices", type=int, default=100_000)
    chosen = arguments.parse_args()
    devices, events, rounds, seconds = (1000, 2000, 1, 1.0) if chosen.quick else (chosen.devices, 200_000, 5, 5.0)
    with workplace() as directory:
        report(list(rows(directory, devices, events, rounds, seconds)), chosen.rows)


if __name__ == "__main__":
    main()
