"""
Several exporters over one PostgreSQL against one exporter on SQLite, in the same run.

    python -m bench.bench_postgres [--quick]

Exporters as they are, each with a wrk of its own that sends webhooks on 32 connections: first each exporter, also the
one on SQLite, is held to the same share of a processor, as if it had a (slow) machine of its own, and the rest of this
one is for PostgreSQL and wrk; then all of them take what they can of the processors of this machine. Then their
journals alone: each exporter is a process with a recorder and 64 clients in it that wait for their answers, without
HTTP. PostgreSQL is a server of its own on the same disk, and flushes. The rounds alternate; medians count. An event's
lag is the time from its answer at one exporter until another one has applied it.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import uvloop
from prometheus_client import CollectorRegistry

from bench.processes import ROOT, Busy, Exporter, Wrk, has_wrk, on_a_share, workplace
from bench.rows import Row, at_least, at_most, number, parser, report
from exporter.domain.identity import Identity
from exporter.gateways.events import DeviceEvent
from exporter.journal.storage import open_storage
from exporter.metrics.own import SelfMetrics
from exporter.recording.recorder import Recorder
from tests.postgres import binaries, own_cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.postgres import Cluster

    Measure = Callable[[str, int, float, Cluster, Path], "Load"]

CLIENTS = 64
DEVICES = 1_024
FEW = 256
"""Devices of each wrk: all of them are known within two seconds, as they are to exporters that have run a while."""
BEGAN = 1_790_000_000
BOUNDS = {1: 1.0, 2: 1.2, 4: 1.4}
"""Of so many exporters: events a second against one on SQLite."""
LAG = 250
SHARE = 0.25
"""Of a processor, for each exporter: four of them, PostgreSQL and four wrk fit two processors then."""
QUIET = 0.05  # of the machine, taken by other programs
_SECRET = "of-all"


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
    held: bool = False
    """Whether each exporter was held to its share of a processor."""


def on_shares(url: str, exporters: int, seconds: float, cluster: Cluster, directory: Path) -> Load:
    """Send webhooks for some seconds to some exporters, each of which has the same share of a processor."""
    return webhooks(url, exporters, seconds, cluster, directory, SHARE)


def webhooks(
    url: str, exporters: int, seconds: float, cluster: Cluster, directory: Path, share: float | None = None
) -> Load:
    """Send webhooks to some exporters for some seconds."""
    with ExitStack() as stack:
        running = [stack.enter_context(_exporter(directory, url)) for _ in range(exporters)]
        senders = [Wrk(_SECRET, place * FEW) for place in range(exporters)]
        threads = stack.enter_context(ThreadPoolExecutor(exporters))

        def send(seconds: float) -> list[int]:
            loads = threads.map(lambda wrk, to: wrk.run(to.url, seconds, devices=FEW), senders, running)
            return [load.requests for load in loads]

        def spent() -> float:
            return sum(sum(one.cpu().values()) for one in running)

        send(2.0)  # names of devices are new only once
        held = share is not None and all(stack.enter_context(on_a_share(one.pid, share)) for one in running)
        before, server, machine = spent(), cluster.processor_time(), Busy()
        taken = sum(send(seconds))
        after, server = spent() - before, cluster.processor_time() - server
        each = 1e6 / max(1, taken)  # none in a quick run on a busy machine
        return Load(taken / seconds, [], after * each, server * each, machine.share(after + server), held)


def _exporter(directory: Path, url: str) -> Exporter:
    place = Path(tempfile.mkdtemp(dir=directory))
    secret, file = place / "secret", place / "exporter.yml"
    secret.write_text(_SECRET)
    file.write_text(f"webhook: {{secret_file: {secret}}}\n")
    return Exporter(place, "--config.file", str(file), storage=url)


def journals(url: str, exporters: int, seconds: float, cluster: Cluster, _directory: Path) -> Load:
    """Let the journals of some exporters take events for some seconds."""
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


def rounds(measure: Measure, directory: Path, seconds: float, count: int, cluster: Cluster) -> list[dict[int, Load]]:
    """Measure so many rounds, the quietest of twice as many if need be; 0 exporters: one on SQLite."""
    found: list[dict[int, Load]] = []
    while len(found) < (2 * count if count > 1 else 1) and sum(_noise(one) <= QUIET for one in found) < count:
        turn: dict[int, Load] = {}
        for many in (0, *BOUNDS)[:: -1 if len(found) % 2 else 1]:
            url = cluster.database() if many else f"sqlite:///{directory}/{measure.__name__}-{len(found)}.db"
            turn[many] = load = measure(url, max(1, many), seconds, cluster, directory)
            print(f"    {measure.__name__} {many or 'SQLite':6}: {load.rate:7.0f}/s  cpu {load.exporters:4.0f}"
                  f" + {load.server:3.0f} us  others {load.others:.0%}", flush=True)  # fmt: skip
        found.append(turn)
    return sorted(found, key=_noise)[:count]


def _noise(turn: dict[int, Load]) -> float:
    return max(load.others for load in turn.values())


def rows(directory: Path, seconds: float, count: int, cluster: Cluster) -> Iterator[Row]:
    if has_wrk():
        found = rounds(on_shares, directory, seconds, count, cluster)
        held = found[0][0].held
        how = f"each exporter on {SHARE:.0%} of a processor" if held else "NOT held to a share of a processor each"
        for letter, (many, bound) in zip("abc", BOUNDS.items(), strict=True):
            yield _row(f"9{letter}", "webhooks a second, durable", found, many, bound, f"{how}; ")
    found = rounds(journals, directory, seconds, count, cluster)
    lags = [lag for turn in found for lag in turn[2].lags]
    worst = quantiles(lags, n=100)[98]
    yield Row(
        "9d", "from an answer until another exporter knows, p99", f"{number(worst)} ms",
        f"p50: {number(median(lags))} ms", note="two exporters, as loaded as in 9f", **at_most(worst, LAG, " ms"),
    )  # fmt: skip
    for letter, many in zip("efg", BOUNDS, strict=True):
        yield _row(f"9{letter}", "events a second without HTTP", found, many)
    if has_wrk():
        found = rounds(webhooks, directory, seconds, -(-count // 2), cluster)
        for letter, many in zip("hij", BOUNDS, strict=True):
            yield _row(f"9{letter}", "webhooks a second of the whole machine", found, many)


def _row(
    key: str, what: str, found: list[dict[int, Load]], many: int, bound: float | None = None, how: str = ""
) -> Row:
    def middle(which: int, figure: str) -> float:
        return median(getattr(turn[which], figure) for turn in found)

    ratio = median(turn[many].rate / turn[0].rate for turn in found)
    judged: dict[str, Any] = {"figure": f"{number(ratio)} x"} if bound is None else at_least(ratio, bound, " x")
    note = (
        f"{how}median of {len(found)} rounds; processor time an event: exporters {middle(many, 'exporters'):.0f} µs "
        f"(on SQLite {middle(0, 'exporters'):.0f}), PostgreSQL {middle(many, 'server'):.0f} µs"
    )
    return Row(
        key, f"{what}, {many} over one PostgreSQL", f"{number(middle(many, 'rate'))}/s",
        f"one on SQLite: {number(middle(0, 'rate'))}/s", note=note, **judged,
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
        settings = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "128MB", "max_connections": "60"}
        with own_cluster(directory, **settings) as cluster:
            report(list(rows(directory, seconds, count, cluster)), chosen.rows)


if __name__ == "__main__":
    main()
