"""
What the rules of the SLO cost Prometheus, over a month of real blocks.

    python -m bench.bench_rules [--quick] [--groups 200 400]

A history of 31 days with a sample every 15 s for each group of engine and business, a target that goes on with it, and
a real Prometheus that evaluates the committed rules on one core (GOMAXPROCS=1). The cost is processor time, for each
group of rules what it adds to those before it; scrapes are taken off. It is linear in the number of groups, so the
figure for 10,000 is that of one times 10,000; the short windows, which need no month, are measured with many groups.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, TextIO

import yaml

from bench.processes import workplace
from bench.prometheus import Prometheus, Target, blocks
from bench.rows import Row, at_most, number, parser, report
from exporter.conventions import POLICY_OBJECTIVE, SELF_PREFIX
from prometheus import slo_rules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STEP = 15
WANTED = 10_000
_NOTHING = {"name": "nothing", "rules": [{"record": "nothing", "expr": "1"}]}
ENGINES = ("wa", "telegram", "instagram", "facebook")
_UNITS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class History:
    """Made-up sums: group `n` has n % 7 + 1 devices, and was down for a minute in every n % 5 + 1 hours."""

    groups: int
    start: int
    end: int

    def labels(self, number: int) -> str:
        return f'engine="{ENGINES[number % len(ENGINES)]}",business_id="biz_{number // len(ENGINES)}"'

    def observed(self, number: int, at: int) -> int:
        return (number % 7 + 1) * (at - self.start)

    def down(self, number: int, at: int) -> int:
        period = 3600 * (number % 5 + 1)
        turns, rest = divmod(at - self.start, period)
        return turns * 60 + min(rest, 60)

    def _values(self, of: slo_rules.Sum, number: int, at: int) -> int:
        return self.observed(number, at) if of is slo_rules.OBSERVED else self.down(number, at)

    def write(self, file: Path) -> None:
        """Write what was scraped, and the sparse copies that the rules would have made meanwhile."""
        times = range(self.start, self.end, STEP)
        sparse = range(self.start, self.end, seconds(slo_rules.SPARSE_INTERVAL))
        target = 'instance="a:9877",job="device-exporter"'
        with file.open("w") as out:
            for of in (slo_rules.OBSERVED, slo_rules.DOWN):
                out.write(
                    f"# TYPE {of.metric.removesuffix('_total')} {'counter' if '_total' in of.metric else 'gauge'}\n"
                )
                self._write(out, of, of.metric, times, f",{target}")
                out.write(f"# TYPE {of.sparse} gauge\n")
                self._write(out, of, of.sparse, sparse, "")
            out.write(f"# TYPE {SELF_PREFIX}_build_info gauge\n")
            out.writelines(f"{SELF_PREFIX}_build_info{{{target}}} 1 {at}\n" for at in times)
            out.write("# EOF\n")

    def _write(self, out: TextIO, of: slo_rules.Sum, name: str, times: range, more: str) -> None:
        tails: dict[tuple[int, int], list[str]] = {}
        for n in range(self.groups):
            kind = (n % 7, n % 5)
            if kind not in tails:  # the same for all groups alike
                tails[kind] = [f" {self._values(of, n, at)} {at}\n" for at in times]
            head = f"{name}{{{self.labels(n)}{more}}}"
            out.write(head + head.join(tails[kind]))

    def now(self) -> bytes:
        """Return what is scraped now."""
        at = int(time.time())
        lines = [f"{SELF_PREFIX}_build_info 1"]
        lines += [f'{POLICY_OBJECTIVE}{{engine="{engine}"}} 0.995' for engine in ENGINES]
        for of in (slo_rules.OBSERVED, slo_rules.DOWN):
            lines += [f"{of.metric}{{{self.labels(n)}}} {self._values(of, n, at)}" for n in range(self.groups)]
        return "\n".join([*lines, ""]).encode()


def seconds(interval: str) -> int:
    return int(interval[:-1]) * _UNITS[interval[-1]]


def costs(folder: Path, groups: int, span: int, rounds: int, every: str) -> dict[str, float]:
    """Return the processor time of one evaluation of each group of rules."""
    folder.mkdir()
    end = int(time.time()) // STEP * STEP
    history = History(groups, end - span, end)
    began = time.monotonic()
    history.write(folder / "history.om")
    blocks(folder / "history.om", folder / "data")
    print(
        f"    {groups:,} groups over {span / 86400:.1f} days: blocks made in {time.monotonic() - began:.0f} s",
        flush=True,
    )
    target, running, used = Target(history.now), [_NOTHING], []
    for group in [None, *slo_rules.groups()]:
        running += [group] if group else []  # each reads what those before it record
        _clear(folder)
        rules = folder / "rules.yml"
        rules.write_text(yaml.safe_dump({"groups": running}, sort_keys=False))
        with Prometheus(folder, target, [rules], every=every) as prometheus:
            used.append(prometheus.cost_of_an_evaluation(rounds))
            if prometheus.failed():
                raise RuntimeError(str(prometheus.failed()))
        print(f"    {len(running)} groups of rules: {used[-1]:.2f} s", flush=True)
    target.close()
    names = [group["name"] for group in slo_rules.groups()]
    return {name: after - before for name, (before, after) in zip(names, pairwise(used), strict=True)}


def _clear(folder: Path) -> None:
    """Forget what an earlier Prometheus over the same blocks was told and recorded."""
    for path in ("rules", "data/wal", "data/chunks_head"):
        shutil.rmtree(folder / path, ignore_errors=True)


def rows(folder: Path, groups: int, many: int, days: float, rounds: int, every: str) -> Iterator[Row]:
    month = costs(folder / "month", groups, int(days * 86400), rounds, every)
    short = costs(folder / "short", many, 6 * 3600 + 1800, rounds, every)
    for key, group in zip(("11", "11b", "11c"), slo_rules.groups(), strict=True):
        name, interval = group["name"], group["interval"]
        cost, of, span = (short[name], many, "6.5 hours") if name == "slo" else (month[name], groups, f"{days:g} days")
        whole = max(0.0, cost) / of * WANTED
        note = f"{cost / of * 1e3:.2f} ms each, measured with {of:,} groups and {span} of samples every {STEP} s"
        yield Row(key, f"rules `{name}` for {WANTED:,} groups, every {interval}", f"{number(whole)} s of a core",
                  note=note, **at_most(whole, seconds(interval) / 2, " s"))  # fmt: skip


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--groups", type=int, default=40, help="with a month of samples")
    arguments.add_argument("--many", type=int, default=1500, help="with as many hours as the short windows reach")
    chosen = arguments.parse_args()
    os.environ["GOMAXPROCS"] = "1"
    sizes = (2, 4, 1.0, 1, "2s") if chosen.quick else (chosen.groups, chosen.many, 31.0, 4, "10s")
    with workplace() as folder:
        report(list(rows(folder, *sizes)), chosen.rows)


if __name__ == "__main__":
    main()
