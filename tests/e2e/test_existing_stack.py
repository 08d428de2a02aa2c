"""A Prometheus and an Alertmanager that know nothing of us take our files, and keep two fleets apart."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.bodies import DEVICE_EVENT
from tests.e2e.harness import Alertmanager, Prometheus, running
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


@pytest.mark.slow  # two of everything
def test_two_fleets_share_a_prometheus_and_an_alertmanager_and_neither_mutes_or_counts_the_other(
    tmp_path: Path,
) -> None:
    rules = [file for job in ("fleet-a", "fleet-b") for file in written(tmp_path / job, job)]
    routes = tmp_path / "fleet-a" / "alertmanager"
    shutil.copytree(routes / "templates", tmp_path / "alertmanager" / "templates")
    alertmanager = Alertmanager(tmp_path / "alertmanager", (routes / "alertmanager.yml").read_text())
    with (
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
