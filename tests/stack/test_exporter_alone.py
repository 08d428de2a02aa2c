"""The exporter alone, on a network that somebody else made: `compose.exporter.yml`, and the files out of its image."""

import json
import time
import urllib.request

import pytest
import yaml

from tests.e2e.process import device_event
from tests.stack.project import Stack


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    stack = Stack(tmp_path_factory.mktemp("alone"))
    stack.environment |= {"COMPOSE_FILE": "compose.exporter.yml", "MONITORING_NETWORK": stack.name}
    stack.prepare()
    (stack.directory / "exporter.env").write_text("DEVICE_EXPORTER_ALERTS_LANGUAGE=en\n")
    try:
        stack.run("docker", "network", "create", stack.name)
        stack.compose("up", "-d", "--wait", "--wait-timeout", "120", timeout=900)
        yield stack
    finally:
        stack.tear_down()
        stack.run("docker", "network", "rm", stack.name, check=False)


def test_a_webhook_by_the_published_port_is_a_device_that_the_admin_listener_shows(alone):
    secret = alone.compose("exec", "-T", "exporter", "cat", "/data/webhook-secret").strip()
    body = json.dumps(device_event("d1", int(time.time()), up=False)).encode()
    headers = {"Authorization": secret, "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{alone.webhook_port}/webhook", body, headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200
    shown = json.loads(alone.compose("exec", "-T", "exporter", "device-exporter", "devices", "--json"))
    assert [device["device_id"] for device in shown] == ["d1"]
    assert (
        json.loads(alone.compose("exec", "-T", "exporter", "device-exporter", "status", "--json"))["language"] == "en"
    )


def test_the_image_holds_the_files_for_prometheus_alertmanager_and_grafana(alone, tmp_path):
    tmp_path.chmod(0o777)
    given = (
        "run",
        "--rm",
        "--no-deps",
        "-T",
        "-v",
        f"{tmp_path}:/out",
        "exporter",
        "assets",
        "/out",
        "--language",
        "en",
    )
    alone.compose(*given)
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {"rules/devices.yml", "dashboards/device.json", "alertmanager/alertmanager.yml"} <= written
    names = [
        [group["name"] for group in yaml.safe_load((folder / "slo.yml").read_text())["groups"]]
        for folder in (tmp_path / "rules", alone.directory / "prometheus/rules")
    ]
    assert names[0] == names[1]
