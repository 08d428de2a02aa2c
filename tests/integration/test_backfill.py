"""Backfilled history in a real Prometheus: queries over the window return what the journal knows."""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from exporter.backfill import cli
from exporter.events import DeviceEvent, parse
from exporter.journal.reader import open_reader
from exporter.journal.records import Append, Record
from exporter.journal.sqlite import SqliteJournal
from exporter.report.availability import availability
from exporter.simulate.fleet import make_fleet
from exporter.simulate.traffic import PROFILES, generate
from exporter.timeline import Kind
from tests.tools import require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.binaries

STEP = 60
START = 1_760_000_040 // STEP * STEP
HOURS = 36
END = START + HOURS * 3_600
DEVICES = 24


def fill(journal: Path) -> None:
    """Journal a simulated fleet's events as they would have arrived."""
    writer = SqliteJournal(journal)
    fleet = make_fleet(DEVICES, 5)
    for sending in generate(fleet, seed=5, start=START, end=END, profile=PROFILES["stormy"]):
        event = parse(json.dumps(sending.payload).encode(), now=sending.send_at, max_future_skew=0)
        assert isinstance(event, DeviceEvent)
        kind = Kind.CONNECTED if event.up else Kind.DISCONNECTED
        record = Record(event.identity, event.timestamp, kind, int(sending.send_at * 1000), 0)
        writer.append([Append(record, late=False)])
    writer.close()


def backfill(journal: Path, output: Path) -> None:
    parser = argparse.ArgumentParser()
    cli.add_parser(parser.add_subparsers())
    window = ["--from", str(START), "--to", str(END), "--step", f"{STEP}s"]
    args = parser.parse_args(["backfill", *window, "--output", str(output), "--storage.url", f"sqlite:///{journal}"])
    assert cli.run(args) == 0


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Prometheus:
    """A running Prometheus over prepared blocks."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def query(self, expression: str, at: int) -> dict[str, float]:
        """Return {label values: value} of an instant query."""
        parameters = urllib.parse.urlencode({"query": expression, "time": at})
        with urllib.request.urlopen(f"{self._url}/api/v1/query?{parameters}", timeout=30) as answer:
            result = json.load(answer)["data"]["result"]
        return {",".join(v for _, v in sorted(s["metric"].items())): float(s["value"][1]) for s in result}


@contextmanager
def prometheus(directory: Path, program: Path) -> Iterator[Prometheus]:
    port = free_port()
    config = directory / "prometheus.yml"
    config.write_text("global: {}\n")
    command = [program, f"--config.file={config}", f"--storage.tsdb.path={directory / 'data'}"]
    options = ["--storage.tsdb.retention.time=50y", f"--web.listen-address=127.0.0.1:{port}"]
    with (directory / "prometheus.log").open("w") as log, subprocess.Popen([*command, *options], stderr=log) as process:
        try:
            server = Prometheus(f"http://127.0.0.1:{port}")
            deadline = time.monotonic() + 60
            while not server.ready():
                assert process.poll() is None, (directory / "prometheus.log").read_text()
                assert time.monotonic() < deadline, "prometheus did not become ready"
                time.sleep(0.1)
            yield server
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("journal") / "exporter.db"
    fill(path)
    return path


@pytest.fixture(scope="module")
def server(journal: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    promtool, program = require("promtool"), require("prometheus")
    directory = tmp_path_factory.mktemp("prometheus")
    backfill(journal, directory / "history.txt")
    load = [promtool, "tsdb", "create-blocks-from", "openmetrics", directory / "history.txt", directory / "data"]
    loaded = subprocess.run(load, capture_output=True, text=True, check=False)
    assert loaded.returncode == 0, loaded.stdout + loaded.stderr
    with prometheus(directory, program) as running:
        yield running


LAST = END - STEP
"""The last backfilled time: queries there see the whole window."""


@pytest.mark.parametrize(("by", "labels"), [("engine", "engine"), ("business", "business_id")])
def test_the_fleets_availability_is_the_reports(server: Prometheus, journal: Path, by: str, labels: str) -> None:
    down, observed = (f"sum by ({labels}) (fleet_{name}_seconds_total)" for name in ("downtime", "observed"))
    with open_reader(f"sqlite:///{journal}") as reader:
        rows = availability(reader.histories(), blind=[], start=START, end=LAST, by=by)
    expected = {row.key: row.availability_ratio for row in rows}
    assert server.query(f"1 - {down} / {observed}", LAST) == pytest.approx(expected, abs=1e-9)


def test_every_devices_downtime_is_the_reports(server: Prometheus, journal: Path) -> None:
    with open_reader(f"sqlite:///{journal}") as reader:
        rows = availability(reader.histories(), blind=[], start=START, end=LAST, by="device")
    assert len(rows) == DEVICES
    found = server.query("sum by (device_id) (device_downtime_seconds_total)", LAST)
    assert found == {row.key: row.downtime_seconds for row in rows}
    assert sum(found.values()) > 0


@pytest.mark.parametrize("hours", [1, 12, 24, HOURS - 1])
def test_states_at_any_time_agree_with_the_journal(server: Prometheus, journal: Path, hours: int) -> None:
    at = START + hours * 3_600
    expected = {}
    with open_reader(f"sqlite:///{journal}") as reader:
        for history in reader.histories():
            if history.observed[0][0] <= at:
                down = any(o.start <= at and (o.end is None or at < o.end) for o in history.outages)
                expected[history.identity.device_id] = float(not down)
    assert server.query("sum by (device_id) (device_up)", at) == expected
    assert server.query('sum(fleet_devices{state="up"})', at)[""] == sum(expected.values())


def test_devices_and_fleet_count_the_same_outages(server: Prometheus) -> None:
    by_device = server.query("sum by (engine) (device_disconnect_total)", LAST)
    assert server.query("sum by (engine) (fleet_disconnect_total)", LAST) == by_device
    assert sum(by_device.values()) > DEVICES


def test_the_histogram_counts_every_finished_outage(server: Prometheus, journal: Path) -> None:
    with open_reader(f"sqlite:///{journal}") as reader:
        outages = [outage for history in reader.histories() for outage in history.outages]
    lengths = [outage.end - outage.start for outage in outages if outage.end is not None and outage.end <= LAST]
    assert server.query("sum(fleet_outage_duration_seconds_count)", LAST)[""] == len(lengths)
    assert server.query("sum(fleet_outage_duration_seconds_sum)", LAST)[""] == sum(lengths)
    shorter = server.query('sum(fleet_outage_duration_seconds_bucket{le="60.0"})', LAST)
    assert shorter[""] == sum(length <= 60 for length in lengths)


def test_names_join_on_every_device(server: Prometheus) -> None:
    joined = server.query("count(device_up * on (device_id) group_left (device_name) device_info)", LAST)
    assert joined == {"": DEVICES}
    names = server.query("count by (device_name) (device_info)", LAST)
    assert set(names) == {device.identity.device_name for device in make_fleet(DEVICES, 5)}


def test_no_sample_is_missing_between_the_first_and_the_last(server: Prometheus) -> None:
    for name in ("device_up", "device_downtime_seconds_total"):
        found = server.query(
            f"count_over_time({name}[{HOURS}h]) - (({LAST} - device_first_seen_timestamp_seconds) / 60)", LAST
        )
        assert len(found) == DEVICES
        assert all(-1 <= difference <= 1 for difference in found.values())
