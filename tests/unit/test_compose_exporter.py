"""The compose file of the exporter alone keeps what protects it in the stack."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from exporter.config import load
from tests.tools import ROOT

ALONE = yaml.safe_load((ROOT / "compose.exporter.yml").read_text(encoding="utf-8"))
STACK = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]["exporter"]


@pytest.fixture
def exporter() -> dict[str, Any]:
    (found,) = ALONE["services"].values()
    return found


@pytest.mark.parametrize(
    "key",
    [
        "image",
        "build",
        "restart",
        "read_only",
        "cap_drop",
        "security_opt",
        "pids_limit",
        "mem_limit",
        "ulimits",
        "tmpfs",
    ],
)
def test_it_runs_as_in_the_stack(exporter: dict[str, Any], key: str) -> None:
    assert exporter[key] == STACK[key]


def test_only_the_webhook_is_published_and_the_network_is_somebody_elses(exporter: dict[str, Any]) -> None:
    assert [port.rpartition(":")[2] for port in exporter["ports"]] == ["8080"]
    assert ALONE["networks"]["monitoring"]["external"] is True
    assert list(exporter["networks"]) == ["monitoring"]


def test_the_exporter_takes_its_settings_and_direct_alerts_bear_the_job(exporter: dict[str, Any]) -> None:
    environ = {name: str(value) for name, value in exporter["environment"].items()}
    assert environ["DEVICE_EXPORTER_ALERTS_LABELS_JOB"] == "${EXPORTER_JOB:-device-exporter}"
    assert load(None, environ, {}).alerts.labels == {"job": "${EXPORTER_JOB:-device-exporter}"}


def test_a_second_fleet_on_one_host_has_a_project_a_name_and_a_port_of_its_own(exporter: dict[str, Any]) -> None:
    assert ALONE["name"] == "${EXPORTER_PROJECT:-device-exporter-alone}"
    assert exporter["networks"]["monitoring"]["aliases"] == ["${EXPORTER_PROJECT:-device-exporter}"]
    assert "container_name" not in exporter
    for page in ("existing-stack.md", "existing-stack.id.md"):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        (name,) = re.findall(r"^EXPORTER_PROJECT=(\S+)", text, re.MULTILINE)
        assert f'"{name}:9877"' in text  # what Prometheus is told there
        assert re.search(r"^WEBHOOK_PORT=", text, re.MULTILINE)
