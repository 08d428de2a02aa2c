"""The shipped front door of two exporters: the real Caddy with caddy/pair.Caddyfile, before exporters that fail."""

from __future__ import annotations

import subprocess
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from tests.patience import patient, wait_for
from tests.ports import free_port
from tests.tools import ROOT, require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.binaries
BODY = b'{"event": "test"}' * 100


class Exporter:
    """Stands for an exporter at an address: its webhooks are answered as `mood` says, and it is ready or not."""

    def __init__(self, address: str, webhook: int, admin: int) -> None:
        self.address = address
        self.mood = "works"
        self.ready = True
        self.bodies: list[bytes] = []
        self._awake = threading.Event()
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                exporter.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                if exporter.mood == "pauses":
                    exporter._awake.wait(patient(20))
                elif exporter.mood == "dies":
                    self.connection.close()
                    return
                self.send_response(503 if exporter.mood == "refuses" else 200)
                self.end_headers()

            def do_GET(self) -> None:
                self.send_response(200 if exporter.ready else 503)
                self.end_headers()

            def handle(self) -> None:
                try:
                    super().handle()
                except (OSError, ValueError):
                    self.close_connection = True

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self._servers = [ThreadingHTTPServer((address, port), Handler) for port in (webhook, admin)]

    def __enter__(self) -> Exporter:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._awake.set()
        self.stop()
        self._servers[1].shutdown()
        self._servers[1].server_close()

    def stop(self) -> None:
        """Take the webhook listener away, as a process that was killed."""
        if len(self._servers) == 2:
            server = self._servers.pop(0)
            server.shutdown()
            server.server_close()
            self._servers.insert(0, server)


@contextmanager
def door(folder: Path, webhook: int, admin: int) -> Iterator[int]:
    """Run the shipped door, with other addresses and a shorter patience with an exporter that is paused."""
    port, health = free_port(), free_port()
    text = (ROOT / "caddy/pair.Caddyfile").read_text()
    for ours, its in {
        "exporter:8080 exporter-2:8080": f"127.0.0.1:{webhook} 127.0.0.2:{webhook}",
        "health_port 9877": f"health_port {admin}",
        "health_interval 2s": "health_interval 100ms",
        "fail_duration 5s": "fail_duration 1s",
        "response_header_timeout 6s": "response_header_timeout 300ms",
        "http://:8080 {": f"http://127.0.0.1:{port} {{",
        "127.0.0.1:2020": f"127.0.0.1:{health}",
    }.items():
        assert text.count(ours) == 1, ours
        text = text.replace(ours, its)
    (folder / "Caddyfile").write_text(text)
    command = [require("caddy"), "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile"]
    environment = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        wait_for(lambda: get(f"http://127.0.0.1:{health}/healthy") == 200, "Caddy listens", 20)
        yield port
    finally:
        process.terminate()
        process.wait(patient(10))


def get(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=patient(5)) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def post(port: int, path: str = "/webhook") -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", BODY, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=patient(15)) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Exporter, Exporter, int]]:
    webhook, admin = free_port(), free_port()
    with (
        Exporter("127.0.0.1", webhook, admin) as first,
        Exporter("127.0.0.2", webhook, admin) as second,
        door(tmp_path, webhook, admin) as port,
    ):
        yield first, second, port


Pair = tuple[Exporter, Exporter, int]


@pytest.mark.parametrize("mood", ["pauses", "dies"])
def test_what_one_exporter_could_not_take_is_sent_whole_to_the_other(pair: Pair, mood: str) -> None:
    first, second, port = pair
    first.mood = mood
    assert [post(port) for _ in range(6)] == [200] * 6
    assert first.bodies
    assert set(first.bodies) == {BODY}
    assert second.bodies == [BODY] * 6


def test_an_exporter_that_is_gone_costs_no_webhook(pair: Pair) -> None:
    first, second, port = pair
    first.stop()
    assert [post(port) for _ in range(6)] == [200] * 6
    assert second.bodies == [BODY] * 6


def test_an_exporter_that_is_not_ready_is_passed_by(pair: Pair) -> None:
    first, second, port = pair
    first.ready = False

    def only_the_second() -> bool:
        before = len(first.bodies)
        return [post(port) for _ in range(4)] == [200] * 4 and len(first.bodies) == before

    wait_for(only_the_second, "the door has heard that the first is not ready", 10)
    assert second.bodies


def test_a_refusal_goes_to_the_sender_who_tries_again_himself(pair: Pair) -> None:
    first, second, port = pair
    first.mood = second.mood = "refuses"
    assert post(port) == 503
    assert len(first.bodies) + len(second.bodies) == 1


def test_nothing_but_webhooks_goes_through(pair: Pair) -> None:
    port = pair[2]
    assert post(port, "/webhook/evo-jkt") == 200
    started = time.monotonic()
    assert [get(f"http://127.0.0.1:{port}{path}") for path in ("/", "/metrics", "/webhook", "/-/ready")] == [404] * 4
    assert post(port, "/-/reload") == 404
    assert time.monotonic() - started < patient(5)
