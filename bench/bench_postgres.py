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
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import uvloop
from prometheus_client import CollectorRegistry

from bench.processes import ROOT, Busy, workplace
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
QUIET = 0.05  # of the machine, taken by other programs


async def work(url: str, seed: int, seconds: float) -> dict[str, Any]:
    """Send events for some seconds once told to; return when each was answered here, and applied from others."""
    recorder = Recorder(open_storage(url, time.time, ()), time.time, SelfMetrics(CollectorRegistry()))
    await recorder.start()
    answered: dict[str, float] = {}
    applied: dict[str, float] = {}
    recorder.subscribe(
        lambda change: applied.setdefault(f"{change.device.identity.device_id} {change.after.newest}", time.time())
    )

    names = [f"{seed}-{device}" for device in range(DEVICES)]
    devices = [Identity(name, name, "wa", name, "", f"b{place % 50}", "", "", "") for place, name in enumerate(names)]

    def event(device: int, turn: int) -> DeviceEvent:
        return DeviceEvent(BEGAN + turn, turn % 2 == 0, devices[device])

    await asyncio.gather(*(recorder.submit(event(device, 0)) for device in range(DEVICES)))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    end, spent = time.time() + seconds, time.process_time()

    async def client(place: int) -> None:
        turn = 1
        while time.time() < end:
            one = event((place + turn * CLIENTS) % DEVICES, turn)
            await recorder.submit(one)
            answered[f"{one.identity.device_id} {one.timestamp}"] = time.time()
            turn += 1

    await asyncio.gather(*map(client, range(CLIENTS)))
    await asyncio.sleep(1)
    spent = time.process_time() - spent
    await recorder.end()
    return {"answered": answered, "applied": applied, "spent": spent}


class Load(NamedTuple):
    """What some exporters did together."""

    rate: float
    """Durable events a second."""
    lags: list[float]
    """Milliseconds from an answer until another exporter had applied the event."""
    exporters: float
    """Processor time of all exporters, microseconds an event."""
    server: float
    """The same of PostgreSQL."""
    others: float
    """Share of the machine that other programs took meanwhile."""


def measure(url: str, exporters: int, seconds: float, cluster: Cluster) -> Load:
    """Let some exporters take events for some seconds."""
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
    before, machine = cluster.processor_time(), Busy()
    for one in running:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    found = [json.loads(one.communicate()[0]) for one in running]
    server = cluster.processor_time() - before
    answered = {key: at for one in found for key, at in one["answered"].items()}
    lags = [
        max(0.0, at - answered[key]) * 1000
        for one in found
        for key, at in one["applied"].items()
        if key in answered and key not in one["answered"]
    ]
    spent = sum(one["spent"] for one in found)
    each = 1e6 / len(answered)
    return Load(len(answered) / seconds, lags, spent * each, server * each, machine.share(server))


def rounds(directory: Path, seconds: float, count: int) -> list[dict[int, Load]]:
    """Measure so many rounds, the quietest of twice as many if need be; 0 exporters: one on SQLite."""
    found: list[dict[int, Load]] = []
    cluster = Cluster(directory, fsync="on", full_page_writes="on", shared_buffers="128MB")
    try:
        cluster.make()
        cluster.start()
        while len(found) < (2 * count if count > 1 else 1) and sum(_noise(one) <= QUIET for one in found) < count:
            turn: dict[int, Load] = {}
            for many in (0, *BOUNDS)[:: -1 if len(found) % 2 else 1]:
                url = cluster.database() if many else f"sqlite:///{directory}/{len(found)}.db"
                turn[many] = load = measure(url, max(1, many), seconds, cluster)
                print(f"    {many or 'SQLite'}: {load.rate:7.0f}/s  cpu {load.exporters:4.0f} + {load.server:3.0f} us"
                      f"  others {load.others:.0%}", flush=True)  # fmt: skip
            found.append(turn)
    finally:
        cluster.remove()
    return sorted(found, key=_noise)[:count]


def _noise(turn: dict[int, Load]) -> float:
    return max(load.others for load in turn.values())


def rows(directory: Path, seconds: float, count: int) -> Iterator[Row]:
    found = rounds(directory, seconds, count)
    alone = median(turn[0].rate for turn in found)
    for letter, (many, bound) in zip("abc", BOUNDS.items(), strict=True):
        rate = median(turn[many].rate for turn in found)
        ratio = median(turn[many].rate / turn[0].rate for turn in found)
        exporters, server = (median(getattr(turn[many], part) for turn in found) for part in ("exporters", "server"))
        note = (
            f"median of {count} rounds of {seconds:g} s; processor time an event: exporters {exporters:.0f} µs "
            f"(on SQLite {median(turn[0].exporters for turn in found):.0f}), PostgreSQL {server:.0f} µs"
        )
        yield Row(
            f"9{letter}", f"durable events a second, {many} over one PostgreSQL", f"{number(rate)}/s",
            f"one on SQLite: {number(alone)}/s", note=note, **at_least(ratio, bound, " x"),
        )  # fmt: skip
    lags = [lag for turn in found for lag in turn[2].lags]
    worst = quantiles(lags, n=100)[98]
    yield Row(
        "9d", "from an answer until another exporter knows, p99", f"{number(worst)} ms",
        f"p50: {number(median(lags))} ms", note="two exporters, as loaded as above", **at_most(worst, LAG, " ms"),
    )  # fmt: skip


def main() -> None:
    if sys.argv[1:2] == ["--work"]:
        url, seed, seconds = sys.argv[2:]
        print(json.dumps(uvloop.run(work(url, int(seed), float(seconds)))))
        return
    chosen = parser(__doc__).parse_args()
    try:
        binaries()
    except (pytest.skip.Exception, pytest.fail.Exception) as missing:
        print(missing)
        return
    seconds, count = (1.0, 1) if chosen.quick else (5.0, 4)
    with workplace() as directory:
        report(list(rows(directory, seconds, count)), chosen.rows)


if __name__ == "__main__":
    main()
