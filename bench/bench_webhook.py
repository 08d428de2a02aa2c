"""
Durable webhooks against a bare handler that only decodes the same JSON, driven in turn by wrk on 32 connections.

    python -m bench.bench_webhook [--quick] [--rounds 5] [--seconds 5]

Processor time of device events and of message events, and the latency at half of what the exporter takes. Both servers
run all the time; rounds alternate; medians count. The exporter logs warnings and worse: a bare handler without an
access log writes no line for each request either.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from bench.processes import Busy, Exporter, Server, Wrk, bare, workplace
from bench.rows import Row, at_most, number, parser, report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.processes import Load

QUIET = 0.05  # of the machine, taken by other programs


class Round(NamedTuple):
    """One run of wrk, and the server's processor time in microseconds a request."""

    load: Load
    main: float
    threads: float
    others: float
    """Share of the machine that other programs took meanwhile."""


class Duel:
    """The exporter and the bare handler, side by side."""

    def __init__(self, exporter: Exporter, bare_server: Server, bare_url: str, engine: str = "instagram") -> None:
        self.exporter = exporter
        self._servers = {"exporter": (exporter, exporter.url), "bare": (bare_server, bare_url)}
        self._wrk = Wrk(exporter.secret)
        self._engine = engine

    def rounds(self, count: int, seconds: float, *, kind: str, rate: float = 0.0) -> dict[str, list[Round]]:
        """Load both in turn, the one that begins changing. Of three times as many pairs as asked for, if need be, the
        quietest ones are returned: where other programs take processors away, three threads suffer more than one.
        """
        pairs: list[dict[str, Round]] = []
        self._one("exporter", min(seconds, 2), kind, rate)  # warm up
        self._one("bare", min(seconds, 2), kind, rate)
        while len(pairs) < (3 * count if count > 1 else 1) and sum(_noise(pair) <= QUIET for pair in pairs) < count:
            order = ("exporter", "bare")[:: -1 if len(pairs) % 2 else 1]
            pairs.append({name: self._one(name, seconds, kind, rate) for name in order})
        chosen = sorted(pairs, key=_noise)[:count]
        return {name: [pair[name] for pair in chosen] for name in ("exporter", "bare")}

    def _one(self, name: str, seconds: float, kind: str, rate: float) -> Round:
        server, url = self._servers[name]
        before, machine = server.cpu(), Busy()
        load = self._wrk.run(url, seconds, kind=kind, rate=rate, engine=self._engine)
        after = server.cpu()
        others = machine.share(sum(after.values()) - sum(before.values()))
        main, threads = ((after[part] - before[part]) / load.requests * 1e6 for part in ("main", "threads"))
        print(f"    {kind:8} {name:8} {load.rate:8.0f}/s  p50 {load.p50 / 1e3:6.2f} ms  p99 {load.p99 / 1e3:6.2f} ms"
              f"  cpu {main:5.1f} + {threads:4.1f} us  others {others:.0%}", flush=True)  # fmt: skip
        return Round(load, main, threads, others)


def _noise(pair: dict[str, Round]) -> float:
    return max(one.others for one in pair.values())


def cost(
    duel: Duel, key: str, what: str, kind: str, rounds: int, seconds: float, *, bound: float | None
) -> tuple[Row, float]:
    """Return the row of the processor time a request, and the exporter's requests a second.

    Rates move with the machine and what else it does, so they are reported only. Without a bound the row is there to
    be known.
    """
    found = duel.rounds(rounds, seconds, kind=kind)
    rates = {name: number(median(one.load.rate for one in found[name])) for name in found}
    spent = {name: median(one.main + one.threads for one in found[name]) for name in found}
    loop, threads = (median(getattr(one, part) for one in found["exporter"]) for part in ("main", "threads"))
    pairs = zip(found["exporter"], found["bare"], strict=True)
    ratio = median((one.main + one.threads) / (two.main + two.threads) for one, two in pairs)
    note = (
        f"median of {rounds} rounds of {seconds:g} s; {rates['exporter']} a second, bare aiohttp {rates['bare']}; "
        f"event loop {loop:.0f} µs a request, the journal's thread {threads:.0f} µs"
    )
    fields = {"figure": f"{number(ratio)} x"} if bound is None else at_most(ratio, bound, " x")
    row = Row(
        key, what, f"{number(spent['exporter'])} µs", f"bare aiohttp: {number(spent['bare'])} µs", note=note, **fields
    )
    return row, median(one.load.rate for one in found["exporter"])


def latency(duel: Duel, rate: float, rounds: int, seconds: float) -> Row:
    """Return the row of the p99 at a given rate."""
    found = duel.rounds(rounds, seconds, kind="device", rate=rate)
    ours, other = (median(one.load.p99 for one in found[name]) / 1e3 for name in ("exporter", "bare"))
    reached = median(one.load.rate for one in found["exporter"])
    note = f"{number(reached)} requests a second on both, spread at random over 32 connections"
    return Row(
        "2", "webhook p99 at half load", f"{number(ours)} ms", f"bare aiohttp: {number(other)} ms", note=note,
        **at_most(ours - other, 20, " ms more"),
    )  # fmt: skip


def rows(directory: Path, rounds: int, seconds: float) -> Iterator[Row]:
    bare_server, bare_url = bare(directory)
    few = max(1, rounds // 2)
    with bare_server:
        with started(directory, "plain") as exporter:
            duel = Duel(exporter, bare_server, bare_url)
            row, rate = cost(duel, "1", "device webhook, durable", "device", rounds, seconds, bound=3.2)
            yield row
            yield latency(duel, rate / 2, few, seconds)
            yield cost(duel, "1b", "message webhook", "message", few, seconds, bound=2.0)[0]
        with started(directory, "log", "--log.level", "info") as exporter:
            duel = Duel(exporter, bare_server, bare_url)
            yield cost(duel, "1c", "device webhook, each one logged", "device", few, seconds, bound=None)[0]
        with started(directory, "incidents") as exporter:
            duel = Duel(exporter, bare_server, bare_url, engine="wa")
            what = "device webhook, each outage an incident"
            yield cost(duel, "1d", what, "device", few, seconds, bound=None)[0]


def started(directory: Path, name: str, *flags: str) -> Exporter:
    place = directory / name
    place.mkdir()
    return Exporter(place, *flags)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--seconds", type=float, default=5)
    chosen = arguments.parse_args()
    rounds, seconds = (1, 1) if chosen.quick else (chosen.rounds, chosen.seconds)
    with workplace() as directory:
        report(list(rows(directory, rounds, seconds)), chosen.rows)


if __name__ == "__main__":
    main()
