"""A Prometheus and an Alertmanager that know nothing of us take our files beside theirs, and keep two fleets apart."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.bodies import DEVICE_EVENT
from tests.e2e.harness import Alertmanager, HttpSink, Prometheus, running
from tests.e2e.process import ExporterProcess, run_command
from tests.patience import wait_for
from tests.ports import LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.binaries


def down(exporter: ExporterProcess, device_id: str) -> None:
    business = {"id": f"b-{device_id}", "name": "Toko Makmur"}
    body = DEVICE_EVENT | {
        "timestamp": int(time.time()),
        "device": DEVICE_EVENT["device"] | {"id": device_id, "bisnis": business},
    }
    assert exporter.post(body).status == 200


def fleet(folder: Path, job: str, alertmanager: str) -> ExporterProcess:
    folder.mkdir()
    config = {"alerts": {"labels": {"job": job}}, "alertmanager": {"urls": [alertmanager]}}
    (folder / "exporter.yml").write_text(yaml.safe_dump(config))
    return ExporterProcess(folder, "--config.file", str(folder / "exporter.yml"))


def written(folder: Path, job: str) -> list[Path]:
    """Return the files of rules of one fleet, with names that no other fleet has."""
    assert run_command("assets", str(folder), "--job", job).returncode == 0
    return [file.rename(file.with_name(f"{job}-{file.name}")) for file in sorted((folder / "rules").glob("*.yml"))]


def counted(prometheus: Prometheus) -> dict[str, str]:
    """Return how many devices the rules count, by job."""
    return {one["metric"]["job"]: one["value"][1] for one in prometheus.query("engine:fleet_devices:sum")}


def beside_theirs(folder: Path, sink: HttpSink, *fleets: Path) -> str:
    """Return the configuration of somebody's Alertmanager with ours beside it, as the head of our file says."""
    theirs: dict[str, Any] = {
        "route": {"receiver": "default", "group_wait": "0s", "routes": []},
        "receivers": [
            {"name": "default", "webhook_configs": [{"url": f"{sink.url}/theirs"}]},
        ],
        "templates": [],
        "inhibit_rules": [],
        "time_intervals": [],
    }
    for fleet in fleets:
        ours = yaml.safe_load((fleet / "alertmanager" / "alertmanager.yml").read_text())
        theirs["route"]["routes"] += ours["route"]["routes"]
        theirs["inhibit_rules"] += ours["inhibit_rules"]
        theirs["time_intervals"] += ours["time_intervals"]
        theirs["templates"] += [str(fleet / "alertmanager" / name) for name in ours["templates"]]
        receivers = [one for one in ours["receivers"] if one["name"] != "yours"]
        for one in receivers:  # no secret is there but that of Slack
            slack = [way | {"api_url_file": str(folder / "slack_url")} for way in one.get("slack_configs", [])]
            theirs["receivers"].append({"name": one["name"], **({"slack_configs": slack} if slack else {})})
    (folder / "slack_url").write_text(f"{sink.url}/slack")
    return yaml.safe_dump(theirs)


@pytest.mark.slow  # two of everything
def test_two_fleets_beside_somebodys_own_alerts_neither_mute_count_nor_tell_what_is_anothers(
    tmp_path: Path,
) -> None:
    rules = [file for job in ("fleet-a", "fleet-b") for file in written(tmp_path / job, job)]
    sink = HttpSink()
    config = beside_theirs(tmp_path, sink, tmp_path / "fleet-a", tmp_path / "fleet-b")
    alertmanager = Alertmanager(tmp_path / "alertmanager", config)
    with (
        sink,
        running(alertmanager),
        fleet(tmp_path / "a", "fleet-a", alertmanager.url) as first,
        fleet(tmp_path / "b", "fleet-b", alertmanager.url) as second,
    ):
        targets = {
            job: one.admin_url.removeprefix("http://") for job, one in {"fleet-a": first, "fleet-b": second}.items()
        }
        address = f"{LOOPBACK}:{alertmanager.port}"
        prometheus = Prometheus(tmp_path / "prometheus", targets=targets, rules=rules, alertmanagers=[address])
        with running(prometheus):
            for number in range(5):
                down(first, f"a{number}")
            down(second, "b0")
            wait_for(
                lambda: alertmanager.alerts("alertname=EngineOutage", "job=fleet-a"), "the mass outage of the first"
            )
            wait_for(lambda: len(alertmanager.alerts("alertname=DeviceDown")) == 6, "the alerts of all devices")
            wait_for(lambda: "EngineOutage" in alertmanager.muted_by("device_id=a4"), "its devices are muted")
            assert alertmanager.muted_by("device_id=b0", "alertname=DeviceDown") == []
            wait_for(lambda: counted(prometheus) == {"fleet-a": "5", "fleet-b": "1"}, "each fleet is counted by itself")
            alerts = prometheus.query('ALERTS{alertname="Watchdog"}')
            assert sorted(one["metric"]["job"] for one in alerts) == ["fleet-a", "fleet-b"]
            alertmanager.post({"labels": {"alertname": "DiskFull", "severity": "critical"}})
            wait_for(lambda: "DiskFull" in told(sink, "/theirs"), "their own alert at their own receiver")
            wait_for(lambda: "b0" in told(sink, "/slack"), "the device of the second fleet in our words")
            assert "DiskFull" not in told(sink, "/slack")
            assert not re.search("Device|Outage|Watchdog", told(sink, "/theirs"))


def told(sink: HttpSink, path: str) -> str:
    """Return everything that arrived on a path."""
    return "".join(post.body.decode() for post in sink.at(path))
