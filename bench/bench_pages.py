"""
A status page of 50 devices: what it weighs, how soon it comes, and what a crowd that reads it costs webhooks.

    python -m bench.bench_pages [--quick] [--devices 50]

The exporter has 90 days of a simulated fleet. The page is asked for a hundred times a second, from ever other
addresses, while webhooks come at a rate; the same rate without readers is what it is compared with.
"""

from __future__ import annotations

import http.client
import threading
import time
from itertools import count
from statistics import median, quantiles
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bench.processes import Exporter, Wrk, workplace
from bench.rows import Row, at_most, parser, report
from exporter.simulate.fleet import make_fleet
from tests.integration.history import fill
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.processes import Load

RATE = 1000.0
VIEWS = 100.0
HISTORY = 91 * 86_400
SEED = 5
"""Of the fleet that `fill` makes."""
CONFIGURATION = """
pages:
  listen_address: 127.0.0.1:{port}
  items: [{{title: All, devices: [{devices}], slug: all, publish_after: 1m}}]
"""


class Reader(threading.Thread):
    """Views the page so many times a second until stopped."""

    def __init__(self, url: str, rate: float) -> None:
        super().__init__()
        self._host, self._rate = urlsplit(url).netloc, rate
        self._connection = http.client.HTTPConnection(self._host, timeout=60)
        self._stopping = threading.Event()
        self._addresses = count()
        self.seconds: list[float] = []
        """Until the first byte of each view."""

    def view(self, **headers: str) -> bytes:
        place = next(self._addresses) % 250
        given = {"X-Forwarded-For": f"192.0.2.{place}", "Accept-Encoding": "gzip"} | headers
        started = time.perf_counter()
        self._connection.request("GET", "/s/all", headers=given)
        answer = self._connection.getresponse()
        self.seconds.append(time.perf_counter() - started)
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"the page answered {answer.status}")
        return body

    def run(self) -> None:
        due = time.perf_counter()
        while not self._stopping.is_set():
            self.view()
            due += 1 / self._rate
            time.sleep(max(0.0, due - time.perf_counter()))

    def stop(self) -> None:
        self._stopping.set()
        self.join()


def start(directory: Path, devices: int) -> tuple[Exporter, str]:
    """Start an exporter with a page; return it and the listener's URL."""
    now, port = time.time(), free_port()
    fill(directory / "exporter.db", now - HISTORY, now - 60, devices=devices, profile="normal")
    ids = ", ".join(device.identity.device_id for device in make_fleet(devices, SEED))
    configuration = directory / "exporter.yml"
    configuration.write_text(CONFIGURATION.format(port=port, devices=ids))
    return Exporter(directory, "--config.file", str(configuration)), f"http://127.0.0.1:{port}"


def alone(url: str, devices: int, views: int) -> Iterator[Row]:
    reader = Reader(url, VIEWS)
    whole, packed = len(reader.view(**{"Accept-Encoding": "identity"})), len(reader.view())
    sizes = f"{packed / 1000:.1f} kB sent, {whole / 1000:.0f} kB unpacked"
    yield Row("15a", f"a status page of {devices} devices, 90 days each", sizes, **at_most(packed / 1000, 60, " kB"))
    reader.seconds.clear()
    for _ in range(views):
        reader.view()
        time.sleep(0.005)
    first = 1000 * median(reader.seconds)
    yield Row("15b", "its first byte, warm, median", f"{first:.2f} ms", **at_most(first, 20, " ms"))


def crowd(exporter: Exporter, url: str, rounds: int, seconds: float) -> Iterator[Row]:
    wrk = Wrk(exporter.secret)
    loads: dict[str, list[Load]] = {"alone": [], "read": []}
    seen: list[float] = []
    for _ in range(rounds):
        loads["alone"].append(wrk.run(exporter.url, seconds, rate=RATE))
        reader = Reader(url, VIEWS)
        reader.start()
        loads["read"].append(wrk.run(exporter.url, seconds, rate=RATE))
        reader.stop()
        seen += reader.seconds
    without, during = (median(load.p99 for load in loads[name]) / 1000 for name in ("alone", "read"))
    views = f"{len(seen) / (rounds * seconds):.0f} views a second, p99 of their first byte "
    views += f"{1000 * quantiles(seen, n=100)[98]:.1f} ms; webhooks at {RATE:.0f} a second"
    figure = at_most(during - without, 20, " ms")
    what = "p99 of webhooks while a page is viewed 100 times a second"
    yield Row("15c", what, f"{during:.1f} ms", f"{without:.1f} ms without views", note=views, **figure)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--devices", type=int, default=50)
    given = arguments.parse_args()
    rounds, seconds = (1, 2.0) if given.quick else (3, 6.0)
    with workplace() as directory:
        exporter, url = start(directory, given.devices)
        with exporter:
            rows = [*alone(url, given.devices, 50 if given.quick else 300), *crowd(exporter, url, rounds, seconds)]
    report(rows, given.rows)


if __name__ == "__main__":
    main()
