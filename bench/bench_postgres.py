"""
Several exporters over one PostgreSQL against one exporter on SQLite, in the same run.

    python -m bench.bench_postgres [--quick]

Each exporter is a process with a recorder and 64 clients in it that wait for their answers: no HTTP, so that the
journals are compared and nothing else. PostgreSQL is a server of its own on the same disk, and flushes. The rounds
alternate; medians count. An event's lag is the time from its answer at one exporter until another one has applied it.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from bench.processes import ROOT, workplace
from bench.rows import Row, at_least, at_most, number, parser, report
from exporter.domain.identity import Identity
from exporter.gateways.events import DeviceEvent
from exporter.journal.storage import open_storage
from exporter.metrics.own import SelfMetrics
from exporter.recording.recorder import Recorder
from tests.postgres import Cluster, binaries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLIENTS = 64
DEVICES = 1_024
BEGAN = 1_790_000_000
BOUNDS = {1: 1.0, 2: 1.2, 4: 1.4}
"""Of so many exporters: events a second against one on SQLite."""
LAG = 250


async def work(url: str, seed: int, seconds: float) -> dict[str, Any]:
    """Send events for some seconds once told to; return when each was answered here, and applied from others."""
    recorder = Recorder(open_storage(url, time.time, ()), time.time, SelfMetrics(CollectorRegistry()))
    await recorder.start()
    answered: dict[str, float] = {}
    applied: dict[str, float] = {}
    recorder.subscribe(
        lambda change: applied.setdefault(f"{change.device.identity.device_id} {change.after.newest}", time.time())
    )

    def event(device: int, turn: int) -> DeviceEvent:
        name = f"{seed}-{device}"
        identity = Identity(name, name, "wa", name, "", f"b{device % 50}", "", "", "")
        return DeviceEvent(BEGAN + turn, turn % 2 == 0, identity)

    await asyncio.gather(*(recorder.submit(event(device, 0)) for device in range(DEVICES)))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    end = time.time() + seconds

    async def client(place: int) -> None:
        turn = 1
        while time.time() < end:
            one = event((place + turn * CLIENTS) % DEVICES, turn)
            await recorder.submit(one)
            answered[f"{one.identity.device_id} {one.timestamp}"] = time.time()
            turn += 1

    await asyncio.gather(*map(client, range(CLIENTS)))
    await asyncio.sleep(1)
    await recorder.end()
    return {"answered": answered, "applied": applied}


def measure(url: str, exporters: int, seconds: float) -> tuple[float, list[float]]:
    """Return the durable events a second of some exporters together, and the lags between them in milliseconds."""
    command = [sys.executable, "-m", "bench.bench_postgres", "--work"]
    running = [
        subprocess.Popen(
            [*command, url, str(seed), str(seconds)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for seed in range(exporters)
    ]
    for one in running:
        assert one.stdout is not None
        one.stdout.readline()
    for one in running:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    found = [json.loads(one.communicate()[0]) for one in running]
    answered = {key: at for one in found for key, at in one["answered"].items()}
    lags = [
        max(0.0, at - answered[key]) * 1000
        for one in found
        for key, at in one["applied"].items()
        if key in answered and key not in one["answered"]
    ]
    return len(answered) / seconds, lags


def rows(directory: Path, seconds: float, rounds: int) -> Iterator[Row]:
    cluster = Cluster(directory, fsync="on", full_page_writes="on", shared_buffers="128MB")
    rates: dict[int, list[float]] = {count: [] for count in (0, *BOUNDS)}
    lags: list[float] = []
    try:
        cluster.make()
        cluster.start()
        for turn in range(rounds):
            for count in rates if turn % 2 == 0 else reversed(rates):
                url = cluster.database() if count else f"sqlite:///{directory}/{turn}.db"
                rate, found = measure(url, max(1, count), seconds)
                rates[count].append(rate)
                lags += found if count == 2 else []
                print(f"    {count} on PostgreSQL (0: SQLite): {rate:,.0f} events/s", flush=True)
    finally:
        cluster.remove()
    alone = median(rates.pop(0))
    for count, bound in BOUNDS.items():
        rate = median(rates[count])
        yield Row(
            f"9{'abc'[list(BOUNDS).index(count)]}", f"durable events a second, {count} over one PostgreSQL",
            f"{number(rate)}/s", f"one on SQLite: {number(alone)}/s", **at_least(rate / alone, bound),
        )  # fmt: skip
    worst = quantiles(lags, n=100)[98]
    yield Row(
        "9d", "from an answer until another exporter knows, p99", f"{number(worst)} ms",
        f"p50: {number(median(lags))} ms", **at_most(worst, LAG, " ms"),
    )  # fmt: skip


def main() -> None:
    if sys.argv[1:2] == ["--work"]:
        url, seed, seconds = sys.argv[2:]
        print(json.dumps(asyncio.run(work(url, int(seed), float(seconds)))))
        return
    chosen = parser(__doc__).parse_args()
    try:
        binaries()
    except (pytest.skip.Exception, pytest.fail.Exception) as missing:
        print(missing)
        return
    seconds, rounds = (1.0, 1) if chosen.quick else (5.0, 4)
    with workplace() as directory:
        report(list(rows(directory, seconds, rounds)), chosen.rows)


if __name__ == "__main__":
    main()
