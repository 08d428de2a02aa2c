"""
A gateway's webhook against the built-in one's on the same exporter, and what its state API costs.

    python -m bench.bench_gateways [--quick] [--rounds 5] [--seconds 5]

Both kinds of webhooks change a device's state each time and are driven in turn by wrk on 32 connections. Then one
Evolution API tells of 10,000 sessions every 5 seconds; the processor time of a poll is what it takes every 60 seconds.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median
from typing import TYPE_CHECKING

from bench.processes import Exporter, Wrk, workplace
from bench.rows import Row, at_most, number, parser, report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECRET = "gateway-secret-of-the-benchmark"
EVERY = 5.0
INTERVAL = 60.0


def webhooks(directory: Path, rounds: int, seconds: float) -> Row:
    """Return the row of the processor time of a webhook."""
    with exporter(directory, "webhooks", "") as server:
        loads = {"device": Wrk(server.secret), "session": Wrk(SECRET)}
        spent: dict[str, list[float]] = {kind: [] for kind in loads}
        for round_ in range(rounds + 1):
            for kind in list(loads)[:: -1 if round_ % 2 else 1]:
                before = sum(server.cpu().values())
                load = loads[kind].run(server.url, seconds, kind=kind)
                used = (sum(server.cpu().values()) - before) / load.requests * 1e6
                print(f"    {kind:8} {load.rate:8.0f}/s  cpu {used:5.1f} us", flush=True)
                spent[kind].append(used)
    pairs = list(zip(spent["session"], spent["device"], strict=True))[1:]  # the first one warms up
    ours, other = (median(pair[place] for pair in pairs) for place in (0, 1))
    return Row(
        "10", "gateway's webhook, durable", f"{number(ours)} µs", f"built-in: {number(other)} µs",
        note=f"Evolution's connection.update, median of {rounds} rounds of {seconds:g} s each in turn",
        **at_most(median(one / two for one, two in pairs), 1.5, " x"),
    )  # fmt: skip


def polling(directory: Path, sessions: int, polls: int) -> Row:
    """Return the row of the state API."""
    answer = json.dumps([_instance(number_) for number_ in range(sessions)]).encode()
    asked: list[str] = []

    class Evolution(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = answer if self.path.startswith("/instance") else b"null"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    gateway = ThreadingHTTPServer(("127.0.0.1", 0), Evolution)
    threading.Thread(target=gateway.serve_forever, daemon=True).start()
    state = f", state: {{url: 'http://127.0.0.1:{gateway.server_port}', key: key, every: {EVERY:g}s}}"
    with exporter(directory, "polling", state) as server:
        _wait(lambda: server.metrics().get("device_exporter_devices", 0) >= sessions, 120)
        settled = len(_states(asked)) + 1
        _wait(lambda: len(_states(asked)) >= settled, 30)
        begun, first = sum(server.cpu().values()), len(_states(asked))
        _wait(lambda: len(_states(asked)) >= first + polls, 60 + polls * EVERY * 2)
        used = (sum(server.cpu().values()) - begun) / polls
    gateway.shutdown()
    return Row(
        "10b", f"state API, {sessions:,} sessions every {INTERVAL:.0f} s", f"{number(used * 1000)} ms a poll",
        note=f"{polls} polls, one request each for the states of all sessions; an answer of {len(answer) / 1e6:.1f} MB",
        **at_most(used / INTERVAL * 100, 2, " % of a core"),
    )  # fmt: skip


def exporter(directory: Path, name: str, more: str) -> Exporter:
    """Return an exporter with one gateway, of the engine of the built-in one's load: it opens no incidents."""
    place = directory / name
    place.mkdir()
    file = place / "exporter.yml"
    file.write_text(f"gateways: {{evo: {{preset: evolution, engine: instagram, secret: {SECRET}{more}}}}}\n")
    return Exporter(place, "--config.file", str(file))


def _instance(number_: int) -> dict[str, object]:
    return {
        "id": f"00000000-0000-4000-8000-{number_:012d}",
        "name": f"session_{number_:05d}",
        "connectionStatus": "open",
        "ownerJid": "6281200000001@s.whatsapp.net",
        "profileName": f"Front desk {number_}",
        "profilePicUrl": "https://pps.whatsapp.net/v/t61/" + "x" * 160,
        "integration": "WHATSAPP-BAILEYS",
        "token": "00000000-0000-0000-0000-000000000000",
        "disconnectionReasonCode": None,
        "disconnectionAt": None,
        "createdAt": "2026-09-01T03:04:05.118Z",
        "Setting": {"rejectCall": False, "groupsIgnore": True, "alwaysOnline": False, "readMessages": False},
        "_count": {"Message": 1234, "Contact": 56, "Chat": 78},
    }


def _states(asked: list[str]) -> list[str]:
    return [path for path in asked if path.startswith("/instance")]


def _wait(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.2)


def rows(directory: Path, rounds: int, seconds: float, sessions: int, polls: int) -> Iterator[Row]:
    yield webhooks(directory, rounds, seconds)
    yield polling(directory, sessions, polls)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=5)
    chosen = arguments.parse_args()
    rounds, seconds = (1, 1) if chosen.quick else (chosen.rounds, chosen.seconds)
    sessions, polls = (200, 1) if chosen.quick else (10_000, 6)
    with workplace() as directory:
        report(list(rows(directory, rounds, seconds, sessions, polls)), chosen.rows)


if __name__ == "__main__":
    main()
