"""
What strangers, curious readers and a sender without bounds take away from those who need an answer.

    python -m bench.bench_strangers [--quick]

1,300 idle connections to an exporter that may have 1,024 descriptors; 600 connections with heads that never end; ten
reports at once over 50,000 devices; 15,000 devices that each come with an engine, or a business, of their own. The
times are those of the slowest answer to a good sender meanwhile.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import resource
import socket
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from bench.fleet import write_history
from bench.processes import Exporter, workplace
from bench.rows import Row, at_most, number, parser, report
from tests.bodies import device_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DESCRIPTORS: Final = 1024
IDLE: Final = 1300
HEADS: Final = 600
REPORTS: Final = 10
ROUNDS: Final = 10
TOKEN: Final = "token-of-the-benchmark"
HEAD: Final = b"POST /webhook HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 8000) for n in range(97))


class Sender:
    """Somebody with the right to be answered: posts webhooks, scrapes, reloads, notifies by the relay."""

    def __init__(self, exporter: Exporter) -> None:
        self._exporter = exporter
        self._now = int(time.time()) - 3600
        self._kept = http.client.HTTPConnection(urlsplit(exporter.url).netloc, timeout=120)

    def webhook(self) -> None:
        """Post an event of a known device by a connection of its own."""
        self._now += 1
        body = json.dumps(device_event("sender", self._now, up=bool(self._now % 2))).encode()
        _call(self._exporter.url, "POST", body, self._headers, (200,))

    def event(self, device_id: str, *, up: bool, **changed: object) -> int:
        """Post an event by a connection that stays; return the status of its answer, which may be a refusal."""
        body = json.dumps(device_event(device_id, self._now, up=up, **changed)).encode()
        self._kept.request("POST", "/webhook", body, self._headers)
        answer = self._kept.getresponse()
        answer.read()
        return answer.status

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": self._exporter.secret, "Content-Type": "application/json"}

    def scrape(self) -> int:
        """Return the size of the answer on the wire."""
        return _call(f"{self._exporter.admin}/metrics", "GET", None, {"Accept-Encoding": "gzip"}, None)

    def reload(self) -> None:
        _call(f"{self._exporter.admin}/-/reload", "POST", None, {}, (200,))

    def relay(self) -> None:
        self._now += 1
        labels = {"alertname": "DeviceDown", "device_id": f"d{self._now}", "severity": "critical"}
        alert = {"status": "firing", "labels": labels, "annotations": {}, "fingerprint": str(self._now)}
        alert |= {"startsAt": "2026-11-28T02:20:00Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": ""}
        body = {"version": "4", "groupKey": str(self._now), "status": "firing", "receiver": "sms", "alerts": [alert]}
        body |= {"groupLabels": labels, "commonLabels": labels, "commonAnnotations": {}, "externalURL": ""}
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        _call(f"{self._exporter.admin}/api/v1/notify/sms", "POST", json.dumps(body).encode(), headers, (200,))


class Gateway(BaseHTTPRequestHandler):
    """An SMS gateway that takes everything."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def _call(url: str, method: str, body: bytes | None, headers: dict[str, str], statuses: tuple[int, ...] | None) -> int:
    """Return the status where statuses are wanted, else the size of the answer, which must be 200."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=120)
    with contextlib.closing(connection):
        connection.request(method, parts.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
    if answer.status not in (statuses or (200,)):
        raise RuntimeError(f"{method} {url} was answered {answer.status}: {content[:200]!r}")
    return answer.status if statuses else len(content)


def slowest(actions: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the slowest of so many rounds of each action, seconds."""
    worst = dict.fromkeys(actions, 0.0)
    for _ in range(rounds):
        for name, action in actions.items():
            started = time.perf_counter()
            action()
            worst[name] = max(worst[name], time.perf_counter() - started)
    return worst


@contextlib.contextmanager
def strangers(url: str, count: int) -> Iterator[list[socket.socket]]:
    """Hold idle connections."""
    place = urlsplit(url)
    with contextlib.ExitStack() as held:
        yield [
            held.enter_context(socket.create_connection((place.hostname or "", place.port or 0), 30))
            for _ in range(count)
        ]


def idle(folder: Path, count: int) -> Row:
    with Exporter(folder, descriptors=DESCRIPTORS) as exporter:
        sender = Sender(exporter)
        with strangers(exporter.url, count):
            worst = slowest({"webhook": sender.webhook, "/metrics": sender.scrape, "reload": sender.reload}, ROUNDS)
    return Row(
        "16", f"slowest answer beside {count:,} idle strangers, {DESCRIPTORS} descriptors", _named(worst),
        **at_most(max(worst.values()), 1, " s"),
    )  # fmt: skip


def heads(folder: Path, count: int) -> Row:
    with Exporter(folder) as exporter:
        sender = Sender(exporter)
        sender.webhook()
        before = exporter.memory()
        with strangers(exporter.url, count) as connections:
            for connection in connections:
                connection.setblocking(False)
                with contextlib.suppress(OSError):
                    connection.send(HEAD)
            worst = slowest({"webhook": sender.webhook}, ROUNDS)
            grown = exporter.memory() - before
    return Row(
        "16b", f"memory for {count} heads without end", f"{grown:.1f} MiB",
        note=f"{len(HEAD) // 1000} kB offered by each; a webhook was answered within {_ms(worst['webhook'])} meanwhile",
        **at_most(max(0.0, grown), 64, " MiB"),
    )  # fmt: skip


def reports(folder: Path, devices: int, events: int) -> Row:
    write_history(folder / "exporter.db", devices, events)
    gateway = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    threading.Thread(target=gateway.serve_forever, daemon=True).start()
    target = f"{{urls: ['json://127.0.0.1:{gateway.server_port}'], per_hour: 100000}}"
    configuration = folder / "exporter.yml"
    configuration.write_text(f"notify: {{token: {TOKEN}, targets: {{sms: {target}}}}}\n")
    with Exporter(folder, "--config.file", str(configuration), timeout=300) as exporter:
        sender = Sender(exporter)
        actions = {"relay": sender.relay, "reload": sender.reload, "webhook": sender.webhook}
        slowest(actions, 1)
        answered: list[int] = []
        began = time.perf_counter()
        asking = [threading.Thread(target=_ask, args=(exporter, n, answered), daemon=True) for n in range(REPORTS)]
        for one in asking:
            one.start()
        worst = dict.fromkeys(actions, 0.0)
        while any(one.is_alive() for one in asking):
            for name, seconds in slowest(actions, 1).items():
                worst[name] = max(worst[name], seconds)
            time.sleep(0.05)
        lasted = time.perf_counter() - began
    gateway.shutdown()
    done, refused = answered.count(200), answered.count(503)
    return Row(
        "16c", f"slowest answer beside {REPORTS} reports over {devices:,} devices", _named(worst),
        note=f"reports of {REPORTS} different windows, asked for at once: {done} answered and {refused} asked to try "
        f"again within {lasted:.1f} s",
        **at_most(max(worst.values()), 1, " s"),
    )  # fmt: skip


def _ask(exporter: Exporter, which: int, answered: list[int]) -> None:
    start = int(time.time()) - 30 * 86_400 + which
    try:
        with urllib.request.urlopen(
            f"{exporter.admin}/api/v1/availability?by=business&start={start}", timeout=600
        ) as a:
            a.read()
            answered.append(a.status)
    except urllib.error.HTTPError as error:
        answered.append(error.code)


def unbounded(folder: Path, devices: int) -> Iterator[Row]:
    """Yield the rows of a sender that makes new engines, or new businesses, without end."""
    for key, each in (("16d", "an engine"), ("16e", "a business")):
        place = folder / key
        place.mkdir()
        with Exporter(place) as exporter:
            sender = Sender(exporter)
            statuses = [sender.event(f"d{n}", up=n % 100 > 0, **_own(each, n)) for n in range(devices)]
            seconds = slowest({"scrape": lambda sender=sender: sender.scrape()}, 3)["scrape"]
            size = sender.scrape()
            with urllib.request.urlopen(f"{exporter.admin}/metrics", timeout=120) as answer:
                samples = sum(not line.startswith(b"#") for line in answer)
        refused = statuses.count(400)
        yield Row(
            key, f"slowest of 3 scrapes after {devices:,} devices with {each} each", f"{seconds:.2f} s",
            note=f"{devices - refused:,} taken and {refused:,} refused; {samples:,} samples, {size / 1e6:.2f} MB sent",
            **at_most(seconds, 10, " s"),
        )  # fmt: skip


def _own(each: str, number_: int) -> dict[str, object]:
    """Return what is new in an event: its engine, or its business."""
    engine = f"engine{number_}" if each == "an engine" else "wa"
    channel = {"id": f"channel_{number_}", "name": "WhatsApp Business", "engine": engine}
    return {"channel": channel, "bisnis": {"id": f"biz_{number_}", "name": f"Toko {number_}"}}


def _named(worst: dict[str, float]) -> str:
    return ", ".join(f"{name} {_ms(seconds)}" for name, seconds in worst.items())


def _ms(seconds: float) -> str:
    return f"{number(seconds * 1000)} ms"


def rows(directory: Path, *, quick: bool) -> Iterator[Row]:
    places = [directory / name for name in ("idle", "heads", "reports", "unbounded")]
    for place in places:
        place.mkdir()
    yield idle(places[0], IDLE)
    yield heads(places[1], HEADS)
    yield reports(places[2], *((500, 5000) if quick else (50_000, 500_000)))
    yield from unbounded(places[3], 150 if quick else 15_000)


def main() -> None:
    chosen = parser(__doc__).parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with workplace() as directory:
        report(list(rows(directory, quick=chosen.quick)), chosen.rows)


if __name__ == "__main__":
    main()
