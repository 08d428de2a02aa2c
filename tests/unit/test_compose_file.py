"""What can be said about the compose file without an engine; `make stack-test` tries the rest."""

import re
from pathlib import Path

import pytest
import yaml

from scripts.settings import SECRETS

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
SETTINGS = re.findall(r'take\("([A-Z_]+)"', (ROOT / "scripts/settings.py").read_text())
ONE_SHOT = {name for name, service in SERVICES.items() if service["restart"] == "no"}
PUBLISHED = {"exporter", "grafana", "caddy", "debug", "catcher", "door"}
IN_IMAGE = {"exporter", "exporter-2", "gateways", "catcher"}
"""Services whose health check is that of the exporter's image."""


def defaults(text):
    return dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", text))


def test_every_setting_of_the_compose_file_is_in_the_example_with_its_default():
    example = dict(re.findall(r"^#([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    rendered = dict.fromkeys((*SETTINGS, *(name.upper() for name in SECRETS)), "")
    rendered |= {"LANGUAGE": "id", "TIMEZONE": "WIB", "SMTP_TLS": "yes"}

    assert example == rendered | defaults(TEXT)


def test_no_setting_that_a_shell_may_have_is_read_from_the_shell():
    # many systems set LANGUAGE for every terminal, and Compose takes the shell's value before that of .env
    assert {"LANGUAGE", "TIMEZONE"} & set(re.findall(r"\$\{([A-Z_]+)", TEXT)) == set()


def test_a_setting_has_one_default():
    pairs = set(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", TEXT))

    assert len(pairs) == len({name for name, _ in pairs})


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_service_is_hardened_and_bounded(name):
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] <= (1024 if name == "grafana" else 256)
    assert service["mem_limit"]
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}
    assert "privileged" not in service
    assert "latest" not in service["image"]


@pytest.mark.parametrize("name", [name for name in sorted(SERVICES) if SERVICES[name].get("user") == "0:0"])
def test_only_services_that_end_at_once_and_have_no_way_out_run_as_root(name):
    assert name in ONE_SHOT
    assert SERVICES[name].get("network_mode") == "none" or SERVICES[name]["networks"] == ["inside"]


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONE_SHOT - IN_IMAGE - {"simulator"}))
def test_every_lasting_service_has_a_health_check(name):
    # the simulator serves nothing
    assert SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_waits_for_what_it_needs_to_be_ready_not_merely_started(name):
    conditions = {on: how["condition"] for on, how in SERVICES[name].get("depends_on", {}).items()}
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
            assert volume.endswith(":ro,z"), volume  # z: readable where SELinux guards the host


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONE_SHOT))
def test_a_lasting_service_reads_rendered_files_alone(name):
    assert [volume for volume in SERVICES[name].get("volumes", []) if volume.startswith((".", "/"))] == []


@pytest.mark.parametrize("name", ["exporter", "prometheus", "alertmanager", "grafana", "caddy"])
def test_a_service_starts_anew_when_its_settings_changed(name):
    assert SERVICES[name]["depends_on"]["settings"] == {
        "condition": "service_completed_successfully",
        "restart": True,
    }


def test_two_clones_are_two_projects():
    assert "name" not in COMPOSE
