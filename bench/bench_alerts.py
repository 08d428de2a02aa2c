"""
From a webhook to the receiver of the notification: directly, and through scrape and rule alone.

    python -m bench.bench_alerts [--quick]

A real Alertmanager with the shipped configuration, all of its receivers on; the one on Slack's place is watched.
Single outages, each of another business and further apart than what counts as a burst; 1,000 devices of one engine at
once; then, without direct alerts, single outages that a real Prometheus finds with the shipped rules, scraping and
evaluating every 15 s. The outages of the rule are reported 90 s late, so that the grace that it leaves the direct path
does not count.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from typing import TYPE_CHECKING, NamedTuple

import aiohttp

from bench.processes import ROOT, Exporter, workplace
from bench.rows import Row, at_most, number, parser, report
from exporter.alerting.bursts import BURST
from tests.e2e.harness import Alertmanager, Prometheus, Sinks, running, shipped_config, sinks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ENGINES = [f"engine{n}" for n in range(10)]
RULES = [ROOT / "prometheus" / "rules" / name for name in ("devices.yml", "exporter.yml")]
TOLD_SINGLY = 5  # by one exporter within a minute; of more than six it makes a digest
GRACE = 91  # seconds; what the rules add to the threshold


class Size(NamedTuple):
    """How much to measure."""

    singles: int
    at_once: int
    by_rule: int
    interval: int  # seconds between scrapes and between evaluations
    spread: float  # seconds between the outages for the rule


FULL = Size(singles=60, at_once=1000, by_rule=12, interval=15, spread=3.7)
QUICK = Size(singles=10, at_once=50, by_rule=2, interval=1, spread=0.3)


class Quiet(Alertmanager):
    """An Alertmanager that logs as it does in production."""

    def arguments(self) -> list[str]:
        return [argument for argument in super().arguments() if not argument.startswith("--log.level")]


class Site:
    """An exporter that tells an Alertmanager, or not, and what arrives on Slack's place."""

    def __init__(self, exporter: Exporter, alertmanager: Alertmanager, where: Sinks) -> None:
        self.exporter = exporter
        self.alertmanager = alertmanager
        self.where = where

    async def report(self, session: aiohttp.ClientSession, engine: str, name: str, *, up: bool, ago: int = 0) -> float:
        """Post a device's event; return when it was sent, Unix seconds."""
        status = "connected" if up else "disconnected"
        body = {
            "event": f"device.{status}",
            "timestamp": int(time.time()) - ago,
            "status": status,
            "device": {
                "id": name,
                "name": f"Kasir {name}",
                "channel": {"id": "channel_11", "name": "Layanan Pelanggan", "engine": engine},
                "bisnis": {"id": f"biz_{name}", "name": "Toko Makmur"},
                "user": {"id": "merchant_2", "name": "Ibu Sari"},
            },
        }
        sent = time.time()
        headers = {"Authorization": self.exporter.secret}
        async with session.post(self.exporter.url, json=body, headers=headers) as answer:
            if answer.status != 200:
                raise RuntimeError(f"the exporter answered {answer.status}")
        return sent

    def arrival(self, words: str) -> float | None:
        """Return when the first message with these words arrived, Unix seconds."""
        return next((post.at for post in self.where.http.at("/slack") if words.encode() in post.body), None)

    async def arrived(self, words: str, within: float = 60) -> float:
        found: list[float] = []

        def there() -> bool:
            at = self.arrival(words)
            return at is not None and not found.append(at)

        await wait_until(there, words, within)
        return found[0]


async def wait_until(condition: Callable[[], object], what: str, within: float) -> None:
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {within:g} s: {what}")
        await asyncio.sleep(0.02)


@contextlib.contextmanager
def site_in(folder: Path, *, direct: bool) -> Iterator[Site]:
    folder.mkdir()
    with sinks(folder / "sinks") as where:
        alertmanager = Quiet(folder / "alertmanager", shipped_config(where, quick=False))
        policies = "".join(
            f"  {name}: {{alert_after: 0s, severity: critical, escalate_after: 15m}}\n" for name in [*ENGINES, "rule"]
        )
        target = f"alertmanager: {{urls: [{alertmanager.url}]}}\n" if direct else ""
        (folder / "exporter.yml").write_text(f"{target}policies:\n{policies}")
        with running(alertmanager), Exporter(folder, "--config.file", str(folder / "exporter.yml")) as exporter:
            yield Site(exporter, alertmanager, where)


async def singles(site: Site, count: int) -> list[float]:
    """Return seconds from webhook to receiver of outages that have nothing to do with each other."""
    times = []
    async with aiohttp.ClientSession() as session:
        for engine in ENGINES:
            await asyncio.gather(
                *(site.report(session, engine, f"{engine}up{n}", up=True, ago=600) for n in range(count))
            )
        for n in range(count):
            sent = await site.report(session, ENGINES[n % len(ENGINES)], f"single{n}x", up=False)
            times.append(await site.arrived(f"single{n}x") - sent)
            await asyncio.sleep(BURST)
    return times


async def at_once(site: Site, count: int) -> tuple[float, float, float]:
    """Return seconds from the first webhook until all are sent, all are posted, and the mass outage is told."""
    connector = aiohttp.TCPConnector(limit=50)
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(site.report(session, "wa", f"wa{n}", up=True, ago=600) for n in range(count)))
        received = "alertmanager_alerts_received_total"
        before = site.alertmanager.metric(received)
        began = time.time()
        await asyncio.gather(*(site.report(session, "wa", f"wa{n}", up=False) for n in range(count)))
        sent = time.time() - began
        told = await site.arrived("GANGGUAN MASSAL") - began
        all_posted = count + 1
        await wait_until(lambda: site.alertmanager.metric(received) >= before + all_posted, "all posted", 60)
        return sent, time.time() - began, told


async def by_rule(site: Site, size: Size, folder: Path) -> list[float]:
    """Return seconds from webhook to receiver with nothing but scrape and rule."""
    interval = f"{size.interval}s"
    prometheus = Prometheus(
        folder / "prometheus",
        targets={"device-exporter": site.exporter.admin.removeprefix("http://")},
        rules=RULES,
        alertmanagers=[site.alertmanager.url.removeprefix("http://")],
        interval=interval,
    )
    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(site.report(session, "rule", f"up{n}", up=True, ago=600) for n in range(100)))
        with running(prometheus):
            await wait_until(lambda: prometheus.query("fleet_devices"), "a scrape", 60)
            sent = {}
            for n in range(size.by_rule):
                sent[n] = await site.report(session, "rule", f"rule{n}x", up=False, ago=GRACE)
                await asyncio.sleep(size.spread)
            return [await site.arrived(f"rule{n}x", 120) - at for n, at in sent.items()]


def percentile(times: list[float], share: float) -> float:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def rows(folder: Path, size: Size) -> Iterator[Row]:
    idle: list[float] = []
    while len(idle) < size.singles:
        with site_in(folder / f"single{len(idle)}", direct=True) as site:
            idle += asyncio.run(singles(site, TOLD_SINGLY))
    with site_in(folder / "direct", direct=True) as site:
        sent, posted, told = asyncio.run(at_once(site, size.at_once))
    with site_in(folder / "rule", direct=False) as site:
        slow = asyncio.run(by_rule(site, size, folder))
    p50, p99 = (percentile(idle, share) * 1000 for share in (0.5, 0.99))
    rule_p50, rule_max = statistics.median(slow), max(slow)
    yield Row(
        "7", "webhook to notification, p50", f"{number(p50)} ms", f"scrape and rule: {number(rule_p50)} s",
        figure=f"{number(rule_p50 * 1000 / p50)} x sooner",
        note=f"{size.singles} single outages, and {size.by_rule} for the rule, without its grace of 90 s; "
        f"scrape and evaluation every {size.interval} s",
    )  # fmt: skip
    yield Row(
        "7b", "webhook to notification, p99", f"{number(p99)} ms", f"scrape and rule: {number(rule_max)} s (longest)",
        **at_most(p99, 50, " ms"),
    )  # fmt: skip
    yield Row(
        "7c", f"{size.at_once:,} devices down at once", f"{number(max(posted, told))} s",
        note=f"from the first webhook: the last one acknowledged after {number(sent)} s, the mass outage told after "
        f"{number(told)} s, every alert at Alertmanager after {number(posted)} s",
        **at_most(max(posted, told), 2, " s"),
    )  # fmt: skip


def main() -> None:
    arguments = parser(__doc__).parse_args()
    with workplace() as folder:
        report(list(rows(folder, QUICK if arguments.quick else FULL)), arguments.rows)


if __name__ == "__main__":
    main()
