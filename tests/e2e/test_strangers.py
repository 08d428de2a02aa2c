"""Strangers who hold connections or send heads without end, against a real process with real limits."""

from __future__ import annotations

import resource
import socket
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.bodies import device_event
from tests.e2e.process import ExporterProcess
from tests.patience import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANY = 1300


@pytest.fixture(autouse=True)
def enough_descriptors() -> Iterator[None]:
    """Let this test hold thousands of connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def strangers(url: str, count: int) -> Iterator[list[socket.socket]]:
    """Hold idle connections."""
    host, port = urlsplit(url).hostname, urlsplit(url).port
    with ExitStack() as held:
        yield [held.enter_context(socket.create_connection((host, port), 10)) for _ in range(count)]


def test_idle_strangers_do_not_take_webhook_metrics_and_reload_away(tmp_path: Path) -> None:
    with ExporterProcess(tmp_path, descriptors=(1024, 1024)) as exporter:
        with strangers(exporter.public_url, MANY):
            for number in range(5):
                assert exporter.post(device_event("device_1", 1738056000 + number, up=False)).status == 200
            assert exporter.get("/metrics").status == 200
            assert exporter.get("/-/reload", method="POST").status == 200

        closed = "device_exporter_connections_closed_total"
        assert exporter.sample(closed, listener="public", reason="evicted")
        assert exporter.sample(closed, reason="accept_error") == 0
        assert "few file descriptors" in exporter.log


def test_the_soft_limit_of_descriptors_is_raised(tmp_path: Path) -> None:
    with ExporterProcess(tmp_path, descriptors=(256, 4096)) as exporter:
        assert exporter.sample("process_max_fds") == 4096
        assert "few file descriptors" not in exporter.log


def test_heads_without_end_cost_little_memory(tmp_path: Path) -> None:
    head = b"POST /webhook HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 8000) for n in range(97))
    with ExporterProcess(tmp_path) as exporter:
        before = exporter.sample("process_resident_memory_bytes") or 0
        with strangers(exporter.public_url, 600) as connections:
            for connection in connections:
                connection.setblocking(False)
                with suppress(OSError):
                    connection.send(head)
            wait_for(lambda: exporter.get("/-/healthy").status == 200, "an answer")
            grown = (exporter.sample("process_resident_memory_bytes") or 0) - before

            assert exporter.post(device_event("device_1", 1738056000, up=False)).status == 200
        assert grown < 64 << 20
