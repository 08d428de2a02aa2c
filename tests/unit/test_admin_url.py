"""Commands that ask the running exporter find it in the bundled stack, where it does not listen on loopback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("command", [("incidents", "list"), ("maintenance", "list"), ("forget", "d1")], ids=" ".join)
def test_the_environment_says_where_the_admin_listener_is(command: tuple[str, ...]):
    where = os.environ | {"EXPORTER_ADMIN_URL": "ftp://exporter-admin:9877"}

    done = subprocess.run(
        [sys.executable, "-m", "exporter", *command], env=where, cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "ftp://exporter-admin:9877" in done.stderr


def test_the_stack_gives_commands_the_address_and_the_configuration_that_the_exporter_itself_has():
    service = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]["exporter"]

    host, _, port = service["environment"]["EXPORTER_ADMIN_URL"].removeprefix("http://").partition(":")
    assert host == "127.0.0.1"  # its own container; it listens on all of the container's networks
    assert f"--web.listen-address=:{port}" in service["command"]
    assert f"--config.file={service['environment']['DEVICE_EXPORTER_CONFIG_FILE']}" in service["command"]
