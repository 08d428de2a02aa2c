"""The demo without Docker, in small: what a visitor sees in the first minute, and that a stop leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scripts.demo_settings import GATEWAYS, device_ids
from tests.patience import patient, wait_for
from tests.ports import free_port
from tests.tools import FETCHED, ROOT, require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.binaries, pytest.mark.slow]

DEVICES = 40
DAYS = 2
ALL = DEVICES + len(device_ids())


class RunningDemo:
    """The demo's process and what its programs say."""

    def __init__(self, home: Path, tools: Path) -> None:
        names = ("webhook", "admin", "pages", "prometheus", "alertmanager", "gateways", "catcher", "mail")
        self.ports = {name: free_port() for name in names}
        ports = [f"--{name}-port={port}" for name, port in self.ports.items()]
        sizes = [f"--devices={DEVICES}", f"--days={DAYS}", f"--home={home / 'demo'}", "--language=id"]
        self.log = home / "demo.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "scripts.demo", *ports, *sizes],
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=os.environ | {"TOOLS_DIR": str(tools)},
            )

    def get(self, program: str, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[program]}{path}", timeout=patient(10)) as answer:
            return json.load(answer)

    def query(self, expression: str) -> list[dict[str, Any]]:
        query = urllib.parse.urlencode({"query": expression})
        found = self.get("prometheus", f"/api/v1/query?{query}")["data"]["result"]
        assert isinstance(found, list)
        return found

    def value(self, expression: str) -> float:
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else 0.0

    def until(self, what: str, holds: Callable[[], bool], seconds: float = 90) -> None:
        def answered() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            try:
                return holds()
            except (urllib.error.URLError, OSError):
                return False

        wait_for(answered, what, seconds, shows=self.log.read_text, every=0.5)

    def children(self) -> list[int]:
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(patient(60))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    home = tmp_path_factory.mktemp("demo")
    tools = home / "tools"
    (tools / "bin").mkdir(parents=True)
    for program in FETCHED:
        (tools / "bin" / program).symlink_to(require(program))
    running = RunningDemo(home, tools)
    try:
        running.until("there are live series", lambda: running.value("count(up{job='device-exporter'} == 1)") == 1)
        running.until("the rules have run", lambda: bool(running.query("engine:fleet_availability:ratio_increase1h")))
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()


def test_its_history_and_its_live_series_are_the_same_series(demo: RunningDemo) -> None:
    assert demo.value("count(device_up)") == ALL
    assert demo.value("count(device_up offset 1d)") > 0.8 * ALL  # some join late
    assert demo.value(f"count(count_over_time(device_up[{DAYS}d]))") == ALL
    assert demo.value("sum(fleet_disconnect_total) - sum(fleet_disconnect_total offset 1d)") > 0


def test_an_outage_is_in_progress_and_its_figures_are_the_exporters(demo: RunningDemo) -> None:
    assert demo.value("count(device_up{engine='telegram'} == 0)") >= 5
    longest = demo.value("max(time() - device_state_change_timestamp_seconds{engine='telegram'} and device_up == 0)")
    assert 15 * 60 - 20 < longest < 60 * 60
    assert demo.value("max(device_affected_conversations{engine='telegram'})") > 0
    rows = demo.get("admin", "/api/v1/availability?by=engine")["rows"]
    assert sum(row["devices"] for row in rows) == ALL
    # from scrape to answer an outage of all devices goes on for less than 2 minutes
    down, seen = (f"sum by (engine) (fleet_{name}_seconds_total)" for name in ("downtime", "observed"))
    recorded = demo.query(f"1 - {down} / {seen}")
    found = {row["metric"]["engine"]: float(row["value"][1]) for row in recorded}
    assert found == pytest.approx({row["key"]: row["availability_ratio"] for row in rows}, abs=120 / (DAYS * 86_400))


def test_alerts_fire_at_once(demo: RunningDemo) -> None:
    def told() -> set[str]:
        alerts = demo.get("alertmanager", "/api/v2/alerts")
        return {alert["labels"]["alertname"] for alert in alerts if alert["labels"].get("engine") == "telegram"}

    # its past is old news to the exporter: it waits 2 minutes for an end before it tells people
    demo.until("Alertmanager was told", lambda: told() >= {"DeviceDown", "EngineOutage"}, 200)
    delivered = "min(device_alert_delivered{engine='telegram'})"
    demo.until("each direct alert was delivered", lambda: demo.value(delivered) == 1, 200)
    # the rules leave old news to the exporter, which tells of all as one
    by_rule = 'ALERTS{alertname="DeviceDown", source="prometheus", engine="telegram", alertstate="firing"}'
    assert demo.query(f"max_over_time({by_rule}[10m])") == []


def test_three_gateways_show_their_devices_reasons_a_session_to_scan_and_a_lost_webhook(demo: RunningDemo) -> None:
    def shown() -> bool:
        found = demo.get("admin", "/api/v1/devices?limit=500")["devices"]
        waiting = [one for one in found if one.get("reason") in ("logged_out", "needs_scan")]
        return {one["gateway"] for one in waiting} == set(GATEWAYS)

    assert demo.value("count(count by (gateway) (device_info{gateway!='csku'}))") == len(GATEWAYS)
    demo.until("each gateway has a session that waits for a scan", shown)
    demo.until("a lost webhook was found", lambda: demo.value("sum(gateway_corrections_total)") > 0)
    demo.until("a reconnect was no outage", lambda: demo.value("sum(device_reconnects_total)") > 0, 200)
    told = [alert for alert in demo.get("alertmanager", "/api/v2/alerts") if alert["labels"].get("gateway") in GATEWAYS]
    scans = [alert["annotations"]["rescan_url"] for alert in told if alert["annotations"].get("rescan_url")]
    assert scans
    with urllib.request.urlopen(scans[0], timeout=patient(10)) as answer:
        assert "kode QR" in answer.read().decode()


def test_every_message_is_in_the_catcher_as_its_receiver_would_see_it(demo: RunningDemo) -> None:
    def page() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{demo.ports['catcher']}/", timeout=patient(10)) as answer:
            return str(answer.read().decode())

    ways = ("surel · ", "Slack · ", "Telegram · ", "SMS · ")
    demo.until("each way has a message", lambda: all(way in page() for way in ways), 200)


def test_a_stop_ends_all_of_its_programs(demo: RunningDemo) -> None:
    children = demo.children()
    assert len(children) == 6  # catcher, exporter, Alertmanager, Prometheus, simulator, gateways
    assert demo.stop() == 0
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []
