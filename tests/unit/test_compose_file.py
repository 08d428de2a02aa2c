"""What can be said about the compose file without an engine; `make stack-test` tries the rest."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
ONE_SHOT = {name for name, service in SERVICES.items() if service["restart"] == "no"}
PUBLISHED = {"exporter", "grafana", "caddy", "debug", "mail"}


def defaults(text):
    return dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", text))


def test_every_setting_of_the_compose_file_is_in_the_example_with_its_default():
    example = dict(re.findall(r"^#([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    passed_through = {"DEVICE_EXPORTER_WEBHOOK_SECRET": ""}

    assert example == defaults(TEXT) | passed_through


def test_a_setting_has_one_default():
    pairs = set(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", TEXT))

    assert len(pairs) == len({name for name, _ in pairs})


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_service_is_hardened_and_bounded(name):
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] <= 256
    assert service["mem_limit"]
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}
    assert "privileged" not in service
    assert "latest" not in service["image"]


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONE_SHOT - {"exporter", "simulator"}))
def test_every_lasting_service_has_a_health_check(name):
    # the exporter's is in its image; the simulator serves nothing
    assert SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_waits_for_what_it_needs_to_be_ready_not_merely_started(name):
    conditions = {on: how["condition"] for on, how in SERVICES[name].get("depends_on", {}).items()}
    # this one needs only the exporter's image to be there
    if name == "alertmanager-config":
        del conditions["exporter"]

    assert set(conditions.values()) <= {"service_healthy", "service_completed_successfully"}


def test_ports_are_on_loopback_unless_the_environment_says_otherwise_and_only_the_front_door_is_open():
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    resolved = {
        name: {re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", port).rsplit(":", 2)[0] for port in published}
        for name, published in ports.items()
    }

    assert resolved == {name: {"0.0.0.0" if name == "caddy" else "127.0.0.1"} for name in PUBLISHED}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_the_projects_files_are_mounted_read_only(name):
    for volume in SERVICES[name].get("volumes", []):
        if volume.startswith("./"):
            assert volume.endswith(":ro"), volume
