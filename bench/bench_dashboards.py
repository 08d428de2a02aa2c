"""
What the dashboards and the rules about devices cost Prometheus, for a fleet of 100,000 devices.

    python -m bench.bench_dashboards [--quick] [--devices N] [--businesses N] [--down N]

A made-up fleet with its past in blocks, its last minutes and its present scraped as in life, and a real Prometheus:
first the committed rules record there; then another one over the same data, which does nothing else, answers each
expression of these rules, and each query of each dashboard as Grafana would ask it on a screen 1,920 pixels wide. The
cost is processor time.
"""

from __future__ import annotations

import json
import math
import os
import re
import time
import urllib.error
import urllib.parse
from typing import TYPE_CHECKING, Any, Final

import yaml

from bench import large_fleet
from bench.processes import ROOT, workplace
from bench.prometheus import Prometheus, Target, blocks
from bench.rows import Row, at_most, number, parser, report
from exporter import conventions as c
from grafana import build

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.large_fleet import LargeFleet

RULES: Final = ROOT / "prometheus" / "rules" / "devices.yml"
WIDTH: Final = 1920
MOST: Final = 2.0
"""Seconds of a core, for a refresh of a dashboard and for an evaluation of the rules."""
MOST_BYTES: Final = 200_000
"""Of a choice of devices."""
EVALUATIONS: Final = 5
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds(text: str) -> int:
    """Return the seconds of a duration such as `now-24h` or `1d`."""
    found = re.fullmatch(r"(?:now-)?(\d+)([smhd])", text)
    if found is None:
        raise ValueError(text)
    return int(found[1]) * _UNITS[found[2]]


class Asked:
    """Asks as Grafana does, at one time."""

    def __init__(self, prometheus: Prometheus, at: int, device: int) -> None:
        self._prometheus = prometheus
        self._at = at
        self._device = f"device_{device:06}"

    def _filled(self, expr: str, span: int, step: int) -> str:
        known = {
            "__range_s": str(span),
            "__range": f"{span}s",
            "__interval": f"{step}s",
            "__to": f"{self._at}000",
            "__rate_interval": f"{max(step + 15, 60)}s",
            "business": ".*",
            "engine": ".*",
            "instance": ".*",
            "device": self._device,
            "channel": "channel_0",
            "find": "",
        }
        return re.sub(r"\$(?:(\w+)|\{(\w+)(?::\w+)?\})", lambda match: known.get(match[1] or match[2], match[0]), expr)

    def variable(self, query: str) -> bytes:
        """Ask for a variable's values; return what Prometheus sends."""
        kind, inside = re.fullmatch(r"(\w+)\((.*)\)", query, re.DOTALL).groups()  # type: ignore[union-attr]
        if kind == "query_result":
            return self._prometheus.answer("query", query=self._filled(inside, 3600, 60), time=self._at)
        metric, _, label = inside.rpartition(",")
        found = urllib.parse.urlencode({"match[]": self._filled(metric, 3600, 60), "end": self._at})
        return self._prometheus.answer(f"label/{label.strip()}/values?start={self._at - 3600}&{found}")

    def target(self, panel: dict[str, Any], target: dict[str, Any], span: int) -> bytes:
        """Ask what a target of a panel asks."""
        span = seconds(panel["timeFrom"]) if panel.get("timeFrom") else span
        points = panel.get("maxDataPoints") or panel["gridPos"]["w"] * WIDTH // 24
        least = seconds(target["interval"]) if target.get("interval") else 15
        step = max(least, math.ceil(span / points / 15) * 15)
        expr = self._filled(target["expr"], span, step)
        if target.get("instant"):
            return self._prometheus.answer("query", query=expr, time=self._at)
        end = self._at // step * step
        return self._prometheus.answer("query_range", query=expr, start=end - span, end=end, step=step)

    def rule(self, expr: str) -> bytes:
        """Ask what a rule asks when it is evaluated."""
        counted = f"count(\n{expr}\n)"  # a rule writes no series of its result as JSON
        return self._prometheus.answer("query", query=counted, time=self._at)

    def annotation(self, found: dict[str, Any], span: int) -> bytes:
        """Ask for the times that are marked."""
        step = max(60, math.ceil(span / 11_000 / 60) * 60)
        expr = self._filled(found["target"]["expr"], span, step)
        return self._prometheus.answer("query_range", query=expr, start=self._at - span, end=self._at, step=step)

    def cost(self, ask: Any, *args: object) -> tuple[float, int]:  # noqa: ANN401 - one of the above
        """Return the processor time of a question, and the bytes of its answer."""
        before = self._prometheus.cpu()
        try:
            answer = ask(*args)
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{args}: {error.read()[:500]!r}") from error
        return self._prometheus.cpu() - before, len(answer)


def dashboards(asked: Asked, *, explain: bool = False) -> Iterator[tuple[str, float, dict[str, int]]]:
    """Yield the name of each dashboard, its cost of a refresh, and the bytes of the values of each of its variables."""
    for path, text in build.render_all().items():
        dashboard, name = json.loads(text), path.removeprefix("en/").removesuffix(".json")
        if path == name + ".json":
            continue
        span, costs, sizes = seconds(dashboard["time"]["from"]), [], {}
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                cost, sizes[variable["name"]] = asked.cost(asked.variable, variable["query"])
                _explain(explain, f"{name} ${variable['name']}", cost)
        for found in dashboard["annotations"]["list"]:
            costs.append(asked.cost(asked.annotation, found, span)[0])
            _explain(explain, f"{name} {found['name']}", costs[-1])
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                costs.append(asked.cost(asked.target, panel, target, span)[0])
                _explain(explain, f"{name}: {panel['title']} {target['refId']}", costs[-1])
        yield name, sum(costs), sizes


def _explain(wanted: bool, what: str, cost: float) -> None:
    if wanted and cost >= 0.02:
        print(f"    {cost:5.2f} s  {what}", flush=True)


def record(folder: Path, target: Target, devices: int, *, quick: bool) -> None:
    """Let the rules record what they do of a fleet that was scraped: dashboards and other rules read it."""
    every, scrape, rounds = ("2s", "2s", 1) if quick else ("15s", "60s", 3)
    with Prometheus(folder, target, [RULES], every=every, scrape=scrape) as prometheus:
        while not prometheus.get("query", query=f"count(device_up) >= {devices}")["result"]:
            time.sleep(1)
        prometheus.evaluate(rounds)
        if prometheus.failed():
            raise RuntimeError(str(prometheus.failed()))
        before = prometheus.get("query", query=f"count({c.DEVICE_DOWNTIME} offset 30m)")["result"]
        if [int(found["value"][1]) for found in before] != [devices]:
            raise RuntimeError(f"of {devices} devices half an hour ago, Prometheus took {before}")


def evaluations(asked: Asked) -> Iterator[tuple[str, str, float]]:
    """Yield what an evaluation of each group of rules costs: all its expressions, one after the other.

    It is the mean of several, so that each has its share of Prometheus' looking for garbage.
    """
    for letter, group in zip("abcdefgh", yaml.safe_load(RULES.read_text())["groups"], strict=False):
        costs = [asked.cost(asked.rule, rule["expr"])[0] for _ in range(EVALUATIONS) for rule in group["rules"]]
        yield f"12{letter}", group["name"], sum(costs) / EVALUATIONS


def rows(folder: Path, fleet: LargeFleet, days: int, *, quick: bool) -> Iterator[Row]:
    """Measure: the rules first, then the dashboards over what they have recorded."""
    began = time.monotonic()
    fleet.write_past(folder / "history.om", days)
    blocks(folder / "history.om", folder / "data")
    print(f"    the past in blocks after {time.monotonic() - began:.0f} s", flush=True)
    late, body = iter([fleet.recent(int(time.time()))]), fleet.now()
    target = Target(lambda: next(late, body))
    size = f"{fleet.devices:,} devices, {fleet.down:,} down, {fleet.businesses:,} businesses"
    record(folder, target, fleet.devices, quick=quick)
    at = int(time.time()) - 10
    with Prometheus(folder, None, [], every="1h") as prometheus:
        prometheus.settle()
        asked = Asked(prometheus, at, 0)
        for key, group, cost in evaluations(asked):
            yield Row(key, f"an evaluation of the rules `{group}`, {size}", f"{number(cost)} s of a core",
                      **at_most(cost, MOST, " s"))  # fmt: skip
        for n, (name, cost, sizes) in enumerate(dashboards(asked), 1):
            what, key = f"a refresh of the dashboard `{name}`, {size}", f"13{'abcde'[n - 1]}"
            yield Row(key, what, f"{number(cost)} s of a core", **at_most(cost, MOST, " s"))
            if "device" in sizes:
                kilobytes = sizes["device"] / 1000
                bound = at_most(kilobytes, MOST_BYTES / 1000, " kB")
                yield Row("14", f"the choice of a device, {size}", f"{number(kilobytes)} kB", **bound)
    target.close()


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--devices", type=int, default=100_000)
    arguments.add_argument("--businesses", type=int, default=1_000)
    arguments.add_argument("--down", type=int, default=1_000)
    chosen = arguments.parse_args()
    os.environ["GOMAXPROCS"] = "1"
    sizes = (200, 20, 20) if chosen.quick else (chosen.devices, chosen.businesses, chosen.down)
    with workplace() as folder:
        report(list(rows(folder, large_fleet.made(*sizes), 2 if chosen.quick else 30, quick=chosen.quick)), chosen.rows)


if __name__ == "__main__":
    main()
