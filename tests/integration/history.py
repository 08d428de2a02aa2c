"""A simulated journal, its backfill, and a real Prometheus that holds it."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

from exporter.cli.main import main
from exporter.domain.records import Append
from exporter.domain.timeline import Kind
from exporter.gateways.csku.parse import parse
from exporter.gateways.events import DeviceEvent
from exporter.journal.sqlite.database import Database
from exporter.simulate.fleet import make_fleet
from exporter.simulate.traffic import PROFILES, generate
from tests.patience import patient, wait_for
from tests.ports import free_port
from tests.tools import require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def fill(journal: Path, start: float, end: float, *, devices: int, profile: str) -> None:
    """Journal a simulated fleet's events as they would have arrived."""
    now = start
    writer, last = Database(journal, lambda: now), 0
    for sending in generate(make_fleet(devices, 5), seed=5, start=start, end=end, profile=PROFILES[profile]):
        event = parse(json.dumps(sending.payload).encode(), latest=sending.send_at)
        assert isinstance(event, DeviceEvent)
        kind = Kind.CONNECTED if event.up else Kind.DISCONNECTED
        now = sending.send_at
        last = writer.append([Append(event.identity, event.timestamp, kind)], last).numbers[0] or last
    writer.close()


def backfill(journal: Path, output: Path, start: float, end: float, step: int, *options: str) -> None:
    """Run the command."""
    window = ["--from", str(start), "--to", str(end), "--step", f"{step}s"]
    where = ["--output", str(output), "--storage.url", f"sqlite:///{journal}"]
    assert main(["backfill", *window, *where, *options]) == 0


def load(text: Path, data: Path, *options: str) -> None:
    """Make blocks of an OpenMetrics file."""
    command = [require("promtool"), "tsdb", "create-blocks-from", "openmetrics", *options, text, data]
    loaded = subprocess.run(command, capture_output=True, text=True, check=False)
    assert loaded.returncode == 0, loaded.stdout + loaded.stderr


class Prometheus:
    """A running Prometheus over prepared blocks."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=patient(5)) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def query(self, expression: str, at: int) -> dict[str, float]:
        """Return {label values: value} of an instant query."""
        parameters = urllib.parse.urlencode({"query": expression, "time": at})
        with urllib.request.urlopen(f"{self._url}/api/v1/query?{parameters}", timeout=patient(30)) as answer:
            result = json.load(answer)["data"]["result"]
        return {",".join(v for _, v in sorted(s["metric"].items())): float(s["value"][1]) for s in result}


@contextmanager
def prometheus(directory: Path, rules: Path | None = None) -> Iterator[Prometheus]:
    """Run Prometheus on `directory`/data."""
    port = free_port()
    config = directory / "prometheus.yml"
    config.write_text(json.dumps({"rule_files": [str(rules)] if rules else []}))
    command = [require("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={directory / 'data'}"]
    options = ["--storage.tsdb.retention.time=50y", f"--web.listen-address=127.0.0.1:{port}"]
    with (directory / "prometheus.log").open("w") as log, subprocess.Popen([*command, *options], stderr=log) as process:
        try:
            server = Prometheus(f"http://127.0.0.1:{port}")

            def ready() -> bool:
                assert process.poll() is None, (directory / "prometheus.log").read_text()
                return server.ready()

            wait_for(ready, "Prometheus is ready", 60)
            yield server
        finally:
            process.terminate()
            process.wait(patient(30))
