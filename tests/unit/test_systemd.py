"""What systemd hears of the exporter, on a socket like its own."""

from __future__ import annotations

import os
import re
import socket
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from exporter.app.housekeeping import HANGS, rounds
from exporter.config import Config, load
from exporter.lib import systemd
from exporter.metrics.own import SelfMetrics
from tests.tools import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["a path", "an abstract name"])
def heard(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    address = str(tmp_path / "notify") if request.param == "a path" else f"\0device-exporter-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address)
        listening.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", address.replace("\0", "@"))
        yield listening


def test_systemd_hears_what_it_is_told(heard: socket.socket) -> None:
    systemd.tell(systemd.READY)
    systemd.tell(systemd.STOPPING)
    assert [heard.recv(100), heard.recv(100)] == [b"READY=1", b"STOPPING=1"]


def test_without_systemd_nothing_is_told(heard: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET")
    systemd.tell(systemd.READY)
    with pytest.raises(BlockingIOError):
        heard.recv(100)


def test_a_socket_that_is_gone_or_full_is_a_line_in_the_log(
    heard: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(10_000):
        systemd.tell(systemd.ALIVE)
        if caplog.records:
            break
    assert caplog.records[0].message == "systemd was not told"
    heard.close()
    systemd.tell(systemd.ALIVE)
    assert len(caplog.records) == 2


@pytest.mark.parametrize(
    ("span", "process", "expected"),
    [
        ("60000000", "", 20.0),
        ("60000000", str(os.getpid()), 20.0),
        ("60000000", "1", None),
        ("0", "", None),
        ("", "", None),
        ("soon", "", None),
    ],
    ids=["every third", "ours", "another process'", "no time", "not watched", "no number"],
)
def test_the_watchdog_hears_from_us_three_times_in_its_span(
    monkeypatch: pytest.MonkeyPatch, span: str, process: str, expected: float | None
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", span)
    monkeypatch.setenv("WATCHDOG_PID", process)
    assert systemd.watchdog_interval() == expected


async def test_a_journal_whose_storage_hangs_lets_systemd_start_us_anew(
    heard: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder: Any = SimpleNamespace(heartbeat=None, check=None, oldest_wait=0.0)
    metrics = SelfMetrics(CollectorRegistry())
    assert "watchdog" not in {task.name for task in rounds(recorder, metrics, Config)}
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    (watchdog,) = [task for task in rounds(recorder, metrics, Config) if task.name == "watchdog"]
    assert watchdog.interval == 20.0
    await watchdog.run()
    assert heard.recv(100) == b"WATCHDOG=1"
    recorder.oldest_wait = HANGS
    await watchdog.run()
    with pytest.raises(BlockingIOError):
        heard.recv(100)


def test_the_exporter_takes_the_settings_of_the_unit() -> None:
    unit = (ROOT / "deploy" / "systemd" / "device-exporter.service").read_text(encoding="utf-8")
    environ = dict(re.findall(r"(?m)^Environment=(\w+)=(.*)$", unit))
    config = load(None, environ, {})
    assert config.alerts.labels == {"job": "device-exporter"}
    assert config.storage.url.endswith("/device-exporter/exporter.db")
