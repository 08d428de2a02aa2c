"""
Debian's Pushgateway, which many would use for this: pushes of one device's state a group, and its scrape.

    python -m bench.bench_pushgateway [--quick]

10,000 devices on 32 connections, in turn: webhooks to the exporter, pushes to a Pushgateway with its default settings
and to one without the consistency check. Then one scrape of each, gzip. A push is in memory only; a webhook is on disk.
"""

from __future__ import annotations

import urllib.request
from statistics import median
from typing import TYPE_CHECKING

from bench.bench_scraped import Scraper
from bench.processes import ROOT, Exporter, Server, Wrk, free_port, workplace
from bench.rows import Row, number, parser, report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAM = ROOT / ".tools" / "bin" / "prometheus-pushgateway"
DEVICES = 10_000


def pushgateway(directory: Path, *flags: str) -> tuple[Server, str]:
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [str(PROGRAM), f"--web.listen-address=127.0.0.1:{port}", *flags]
    return Server(command, f"{url}/-/ready", log=directory / "pushgateway.log"), url


def groups(url: str) -> int:
    with urllib.request.urlopen(f"{url}/metrics", timeout=60) as answer:
        return sum(line.startswith(b"push_time_seconds{") for line in answer)


def scrape(url: str, times: int = 5) -> float:
    scraper = Scraper(url)
    for _ in range(times):
        scraper.scrape()
    return median(scraper.seconds) * 1e3


def rows(directory: Path, seconds: float, devices: int) -> Iterator[Row]:
    strict, strict_url = pushgateway(directory)
    loose, loose_url = pushgateway(directory, "--push.disable-consistency-check")
    with strict, loose, Exporter(directory) as exporter:
        wrk = Wrk(exporter.secret)
        for url, kind in ((exporter.url, "device"), (loose_url, "push"), (strict_url, "push")):
            wrk.run(url, seconds, kind=kind, devices=devices)  # all groups come into being
        ours = wrk.run(exporter.url, seconds, devices=devices).rate
        ours_scrape = scrape(exporter.admin)
        for key, name, url in (
            ("8", "Pushgateway, default", strict_url),
            ("8b", "Pushgateway, no consistency check", loose_url),
        ):
            theirs = wrk.run(url, seconds, kind="push", devices=devices).rate
            theirs_scrape = scrape(url)
            note = f"the Pushgateway holds {groups(url):,} groups then; its pushes are in memory only"
            yield Row(
                key, f"webhooks of {devices:,} devices", f"{number(ours)}/s", f"{name}: {number(theirs)}/s",
                f"{number(ours / theirs)} of its rate", note=note,
            )  # fmt: skip
            yield Row(
                f"{key}s", "scrape afterwards", f"{number(ours_scrape)} ms", f"{name}: {number(theirs_scrape)} ms",
                f"{number(ours_scrape / theirs_scrape)} of its time",
            )  # fmt: skip


def main() -> None:
    chosen = parser(__doc__).parse_args()
    seconds, devices = (1.0, 200) if chosen.quick else (15.0, DEVICES)
    with workplace() as directory:
        report(list(rows(directory, seconds, devices)), chosen.rows)


if __name__ == "__main__":
    main()
