"""A machine whose time of day is wrong and is set right, in a real process."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.bodies import device_event
from tests.e2e.harness import Alertmanager, running
from tests.e2e.preload import preloaded
from tests.e2e.process import Client, ExporterProcess
from tests.patience import wait_for

if TYPE_CHECKING:
    from pathlib import Path

TELEGRAM = {"id": "channel_2", "name": "Telegram", "engine": "telegram"}  # told after 5 minutes


@pytest.mark.parametrize("ahead", [600, 86_400])
def test_a_clock_that_was_ahead_at_the_start_adds_nothing_to_an_outage_once_it_is_set_right(
    tmp_path: Path, ahead: int
) -> None:
    clock = tmp_path / "clock"
    clock.write_text(str(ahead))
    variables = {**preloaded("wrong_clock", tmp_path), "CLOCK": str(clock)}
    with ExporterProcess(tmp_path / "exporter", variables=variables) as exporter:

        def send(at: int, *, up: bool) -> None:
            assert exporter.post(device_event("d1", at, up=up, channel=TELEGRAM)).status == 200

        began = int(time.time())
        send(began - 60, up=True)
        assert (exporter.sample("device_exporter_time_seconds") or 0) >= began + ahead
        clock.write_text("0")
        wait_for(lambda: exporter.sample("device_exporter_clock_jumps_total") == 1, "the jump is counted")
        [jump] = re.findall(r'"the system clock jumped" seconds=-(\d+)', exporter.log)
        assert abs(int(jump) - ahead) <= 1

        down = int(time.time())
        send(down, up=False)
        assert (exporter.sample("device_downtime_seconds_total") or 0) < ahead / 2
        wait_for(lambda: time.time() >= down + 2, "an outage of two seconds")
        send(down + 2, up=True)

        assert exporter.sample("device_downtime_seconds_total", device_id="d1") == 2
        assert exporter.sample("fleet_downtime_seconds_total") == 2
        assert exporter.api("incidents")["incidents"] == []
        (outage,) = exporter.api("devices/d1/outages")["outages"]
        assert (outage["start"], outage["end"]) == (down, down + 2)


@pytest.mark.binaries
def test_an_outage_that_was_heard_while_the_clock_was_far_ahead_is_told_once_it_is_set_right(tmp_path: Path) -> None:
    clock, file = tmp_path / "clock", tmp_path / "exporter.yml"
    clock.write_text("700")
    variables = {**preloaded("wrong_clock", tmp_path), "CLOCK": str(clock)}
    alertmanager = Alertmanager(tmp_path, "{route: {receiver: nobody}, receivers: [{name: nobody}]}")
    with running(alertmanager):
        file.write_text(f"alertmanager: {{urls: ['{alertmanager.url}'], resend_interval: 2s}}\n")
        with ExporterProcess(tmp_path / "exporter", "--config.file", str(file), variables=variables) as exporter:
            now = int(time.time())
            exporter.post(device_event("d1", now - 60, up=True))
            exporter.post(device_event("d1", now, up=False))
            assert exporter.sample("device_up", device_id="d1") == 0
            assert alertmanager.alerts("alertname=DeviceDown") == [], "by the wrong clock it is old news"
            clock.write_text("0")
            wait_for(lambda: alertmanager.alerts("alertname=DeviceDown"), "people are told", 30)


GATEWAY = """
gateways:
  wwebjs: {preset: wwebjs, secret_file: key, business: {id: biz_9, name: Toko Makmur}}
"""


def test_a_state_that_was_heard_while_the_clock_was_ahead_does_not_hold_until_then(tmp_path: Path) -> None:
    clock, file = tmp_path / "clock", tmp_path / "exporter.yml"
    clock.write_text("600")
    (tmp_path / "key").write_text("rahasia-wwebjs")
    file.write_text(GATEWAY)
    variables = {**preloaded("wrong_clock", tmp_path), "CLOCK": str(clock)}
    with ExporterProcess(tmp_path / "exporter", "--config.file", str(file), variables=variables) as exporter:

        def tell(kind: str, **data: str) -> None:
            body = json.dumps({"dataType": kind, "sessionId": "cs-1", "data": data}).encode()
            connection = Client(exporter.public_url, {"x-api-key": "rahasia-wwebjs"})
            assert connection.call("POST", "/webhook/wwebjs", body, Content_Type="application/json").status == 200
            connection.close()

        tell("ready")
        tell("disconnected", reason="LOGOUT")
        clock.write_text("0")
        tell("ready")
        assert exporter.sample("device_up", device_id="wwebjs:cs-1") == 1
        tell("disconnected", reason="LOGOUT")
        assert exporter.sample("device_up", device_id="wwebjs:cs-1") == 0


def test_a_true_event_is_refused_for_a_while_only_by_a_machine_whose_clock_went_back(tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("0")
    variables = {**preloaded("wrong_clock", tmp_path), "CLOCK": str(clock)}
    with ExporterProcess(tmp_path / "exporter", variables=variables) as exporter:
        now = int(time.time())
        exporter.send(("d1", now - 60, True))
        exporter.kill()
        clock.write_text("-600")  # the power was cut, and the time of day begins where it was last saved
        exporter.start()
        down = device_event("d1", now, up=False)
        refused = exporter.post(down)
        assert (refused.status, refused.json["code"], refused.headers["Retry-After"]) == (503, "clock_behind", "30")
        clock.write_text("0")
        wait_for(lambda: exporter.post(down).status == 200, "the true time is believed", 60)
        assert exporter.sample("device_up", device_id="d1") == 0
