"""Two exporters, a cluster of two Alertmanagers, and an exporter that no longer hears what the other one knows."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.e2e.harness import Alertmanager, running, shipped_config, sinks
from tests.ha.nodes import Node, leader
from tests.patience import patient, wait_for
from tests.ports import LOOPBACK
from tests.postgres import shared_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.binaries, pytest.mark.slow]


class Wire:
    """Carries connections to a server until it is cut: then nothing goes through and nobody is told."""

    def __init__(self, url: str) -> None:
        self._target = (LOOPBACK, urlsplit(url).port)
        self._listener = socket.create_server((LOOPBACK, 0))
        self.url = url.replace(f":{self._target[1]}/", f":{self._listener.getsockname()[1]}/")
        self._whole = threading.Event()
        self._whole.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._whole.clear()

    def close(self) -> None:
        self._whole.set()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError), source, target:
            while data := source.recv(65536):
                self._whole.wait()
                target.sendall(data)


@contextmanager
def wire(url: str) -> Iterator[Wire]:
    found = Wire(url)
    try:
        yield found
    finally:
        found.close()


def test_an_outage_and_its_end_are_told_once_although_one_exporter_is_cut_off_between(tmp_path: Path) -> None:
    url = shared_cluster().database()
    with sinks(tmp_path) as where, ExitStack() as stack:
        first = Alertmanager(tmp_path / "a", shipped_config(where), [])
        second = Alertmanager(tmp_path / "b", shipped_config(where), [first])
        cable = stack.enter_context(wire(url))
        stack.enter_context(running(first, second))
        tell = [first.url, second.url]
        one = stack.enter_context(Node(tmp_path / "one", url, where.http.url, alertmanagers=tell))
        other = stack.enter_context(Node(tmp_path / "other", cable.url, where.http.url, alertmanagers=tell))
        leader([one, other])
        down = int(time.time())
        one.send(("device_7f3a", down, False))
        wait_for(where.slack, "the outage is told", 20)
        wait_for(lambda: other.sample("device_up", device_id="device_7f3a") == 0, "the other one knows", 10)

        cable.cut()
        one.send(("device_7f3a", int(time.time()) + 1, True))
        wait_for(lambda: len(where.slack()) == 2, "its end is told", 20)
        wait_for(lambda: other.get("/-/ready").status == 503, "who is cut off is not ready", 15)
        time.sleep(patient(10))

        assert [text.split()[1] for text in where.slack()] == ["MATI:", "PULIH:"]
        assert first.alerts("alertname=DeviceDown") == second.alerts("alertname=DeviceDown") == []
