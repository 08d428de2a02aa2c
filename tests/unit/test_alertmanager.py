"""The shipped Alertmanager configuration: accepted by amtool, and its routes as a table of labels and receivers."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from exporter import conventions
from exporter.alerting.alert import INHIBITORS
from tests.tools import ROOT, require

FOLDER = ROOT / "alertmanager"
CONFIG = FOLDER / "alertmanager.yml"
TEMPLATES = FOLDER / "templates"
SECRET = re.compile(r"(api_url|password|token|secret|credentials|service_key|routing_key)$")


def amtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([require("amtool"), *arguments], capture_output=True, text=True, check=False)


def receivers(**labels: str) -> list[str]:
    pairs = [f"{name}={value}" for name, value in labels.items()]
    done = amtool("config", "routes", "test", f"--config.file={CONFIG}", *pairs)
    assert done.returncode == 0, done.stderr
    return [name.strip() for name in done.stdout.strip().split(",")]


def shipped() -> dict:
    return yaml.safe_load(CONFIG.read_text(encoding="utf-8"))


@pytest.mark.binaries
@pytest.mark.parametrize("language", ["id", "en"])
def test_amtool_accepts_the_shipped_configuration_in_each_language(language: str, tmp_path: Path):
    config = CONFIG.read_text(encoding="utf-8").replace("id.tmpl", f"{language}.tmpl")
    (tmp_path / "alertmanager.yml").write_text(config.replace("templates/", f"{TEMPLATES}/"), encoding="utf-8")

    done = amtool("check-config", str(tmp_path / "alertmanager.yml"))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 templates" in done.stdout


DEVICE = {"device_id": "device_7f3a", "business_id": "biz_9"}
PEOPLE = ["sms", "email", "chat"]

ROUTES = [
    pytest.param({"alertname": "DeviceAcknowledged", "engine": "wa", "severity": "notice", "ack": "7", **DEVICE},
                 ["chat-once"], id="who has it is told to the chat alone, and never its end"),
    pytest.param({"alertname": "DeviceStillDown", "engine": "wa", "severity": "critical", "ack": "7", **DEVICE},
                 ["sms-once", "email-once", "chat-once"], id="what outlasts who had it is told like an outage, once"),
    pytest.param({"alertname": "DeviceStillDown", "engine": "slack", "severity": "warning", "ack": "7", **DEVICE},
                 ["email-once", "chat-once"], id="and wakes nobody where the outage did not"),
    pytest.param({"alertname": "DeviceStillDown", "severity": "critical", "escalation": "management", **DEVICE},
                 ["management-once"], id="and to whom it had escalated"),
    pytest.param({"alertname": "DeviceDownEscalated", "severity": "critical", "escalation": "director", **DEVICE},
                 ["automation", "management"], id="a step that has no route of its own goes to management"),
    pytest.param({"alertname": "DeviceDown", "engine": "wa", "severity": "critical", "source": "exporter", **DEVICE},
                 ["automation", *PEOPLE], id="a critical device goes to the chat, e-mail and SMS at once"),
    pytest.param({"alertname": "DeviceDown", "engine": "wa", "severity": "critical", "source": "prometheus", **DEVICE},
                 ["automation", *PEOPLE], id="and the same from the safety net"),
    pytest.param({"alertname": "DeviceDown", "engine": "slack", "severity": "warning", "source": "exporter", **DEVICE},
                 ["automation", "email", "chat"], id="a warning wakes nobody by SMS"),
    pytest.param({"alertname": "DeviceDown", "engine": "intercom", "severity": "info", "source": "exporter", **DEVICE},
                 ["automation", "email", "chat"], id="what the policy calls info goes with the warnings"),
    pytest.param({"alertname": "DeviceDownEscalated", "engine": "wa", "severity": "critical", "source": "exporter",
                  "escalation": "management", **DEVICE}, ["automation", "management"],
                 id="an escalation goes to management and to programs"),
    pytest.param({"alertname": "DeviceDownEscalated", "engine": "wa", "severity": "critical", "source": "prometheus",
                  "escalation": "management", **DEVICE}, ["automation", "management"], id="and from the safety net"),
    pytest.param({"alertname": "EngineOutage", "engine": "wa", "severity": "critical", "source": "exporter"},
                 ["automation", "management", *PEOPLE], id="a mass outage goes to everybody"),
    pytest.param({"alertname": "GatewayOutage", "gateway": "evo-jkt", "severity": "critical", "source": "exporter"},
                 ["automation", "management", *PEOPLE], id="and so does that of a gateway"),
    pytest.param({"alertname": "BusinessOutage", "business_id": "biz_9", "severity": "critical", "source": "exporter"},
                 ["automation", "management", *PEOPLE], id="and so does that of a business"),
    pytest.param({"alertname": "ManyDevicesDown", "severity": "critical", "source": "exporter"},
                 ["automation", "management", *PEOPLE], id="and a digest of critical devices"),
    pytest.param({"alertname": "ManyDevicesDown", "severity": "warning", "source": "exporter"},
                 ["automation", "email", "chat"], id="a digest of warnings is a warning"),
    pytest.param({"alertname": "DeviceFlapping", "engine": "wa", "severity": "critical", **DEVICE},
                 ["automation", *PEOPLE], id="a critical device that flaps"),
    pytest.param({"alertname": "ExporterDown", "severity": "critical"}, PEOPLE, id="the pipeline's critical alerts"),
    pytest.param({"alertname": "RelayFailing", "severity": "critical", "target": "sms"}, ["email", "chat"],
                 id="failing SMS are not told by SMS"),
    pytest.param({"alertname": "AlertPushFailing", "severity": "warning"}, ["email", "chat"],
                 id="the pipeline's warnings"),
    pytest.param({"alertname": "ErrorBudgetBurnFast", "severity": "critical", "engine": "wa", "business_id": "biz_9"},
                 PEOPLE, id="an error budget that burns fast"),
    pytest.param({"alertname": "ErrorBudgetExhausted", "severity": "warning", "engine": "wa", "business_id": "biz_9"},
                 ["email", "chat"], id="an error budget that is exhausted"),
    pytest.param({"alertname": "Watchdog", "severity": "none"}, ["deadman"], id="the watchdog has its own receiver"),
    pytest.param({"alertname": "NotifyTest", "way": "email", "severity": "info"}, ["email"], id="a test by e-mail"),
    pytest.param({"alertname": "NotifyTest", "way": "telegram", "severity": "info"}, ["chat"], id="a test by chat"),
    pytest.param({"alertname": "SomethingNew"}, ["chat"], id="what nobody thought of is told all the same"),
]  # fmt: skip


@pytest.mark.binaries
@pytest.mark.parametrize(("labels", "expected"), ROUTES)
def test_an_alert_with_these_labels_goes_to_these_receivers(labels: dict[str, str], expected: list[str]):
    assert receivers(**labels) == expected


def test_every_receiver_is_reached_by_some_row():
    reached = {name for row in ROUTES for name in row.values[1]}

    assert reached == {receiver["name"] for receiver in shipped()["receivers"]}


def test_secrets_come_from_files_only():
    def keys(node):
        if isinstance(node, dict):
            for key, value in node.items():
                yield key, value
                yield from keys(value)
        elif isinstance(node, list):
            for item in node:
                yield from keys(item)

    assert [key for key, _ in keys(shipped()) if SECRET.search(str(key))] == []
    assert all(str(v).startswith("/run/secrets/") for key, v in keys(shipped()) if str(key).endswith("_file"))


def test_every_integration_tells_the_end_too_except_the_dead_mans_switch():
    for receiver in shipped()["receivers"]:
        for kind in [key for key in receiver if key.endswith("_configs")]:
            for entry in receiver[kind]:
                tells_ends = receiver["name"] != "deadman" and not receiver["name"].endswith("-once")
                assert entry["send_resolved"] is tells_ends, receiver["name"]


def routes(node: dict) -> list[dict]:
    """Return a route and all below it."""
    return [node, *(each for child in node.get("routes", []) for each in routes(child))]


def test_warnings_rest_at_night_in_jakarta_and_nothing_critical_does():
    [interval] = shipped()["time_intervals"]
    [night] = interval["time_intervals"]

    assert night["location"] == "Asia/Jakarta"
    assert [(t["start_time"], t["end_time"]) for t in night["times"]] == [("22:00", "24:00"), ("00:00", "06:00")]
    for route in shipped()["route"]["routes"]:
        warnings = "warning" in str(route["matchers"])
        if "DeviceStillDown" in str(route["matchers"]):  # has critical ones and others in one route
            resting = [each["receiver"] for each in routes(route) if "mute_time_intervals" in each]
            assert resting in ([], ["email-once", "chat-once"])
            continue
        for each in routes(route):
            by_mail_as_it_comes = each.get("receiver") == "email" and each.get("matchers") != ["source = exporter"]
            assert ("quiet-hours" in each.get("mute_time_intervals", [])) is (warnings and not by_mail_as_it_comes), (
                each
            )


def test_a_warning_that_ended_unheard_in_the_night_is_repeated_when_it_comes_back():
    """Alertmanager takes the next one for the one that it has told, until `repeat_interval` is over."""
    [warnings] = [route for route in shipped()["route"]["routes"] if "warning" in str(route["matchers"])]

    assert warnings["repeat_interval"] == "7h30m"  # the night has 8 hours


def test_a_budget_that_is_used_up_for_weeks_is_told_again_every_fourth_day():
    [exhausted] = [
        route for route in routes(shipped()["route"]) if "ErrorBudgetExhausted" in str(route.get("matchers"))
    ]

    assert exhausted["repeat_interval"] == "4d"
    assert [each["repeat_interval"] for each in routes(exhausted)[1:] if "repeat_interval" in each] == []


def test_what_is_told_again_and_again_is_told_at_each_interval():
    """At each group interval Alertmanager asks whether the repeat interval is over; equal ones miss every second."""
    [watchdog] = [route for route in shipped()["route"]["routes"] if route["receiver"] == "deadman"]

    assert (watchdog["group_interval"], watchdog["repeat_interval"]) == ("1m", "50s")


def test_critical_alerts_wait_for_nothing_and_group_by_device():
    [critical] = [route for route in shipped()["route"]["routes"] if route["matchers"] == ["severity = critical"]]

    assert critical["group_wait"] == "0s"
    assert "device_id" in critical["group_by"]


def test_both_languages_define_the_same_names_and_every_used_name_is_defined():
    def names(file: str, word: str) -> set[str]:
        return set(re.findall(rf'{word} "([^"]+)"', (TEMPLATES / file).read_text(encoding="utf-8")))

    assert names("id.tmpl", "define") == names("en.tmpl", "define")
    for language in ("id.tmpl", "en.tmpl"):
        files = (language, "messages.tmpl", "settings.tmpl")
        used = set().union(*(names(file, "template") for file in files))
        assert used <= set().union(*(names(file, "define") for file in files))


def test_inhibition_knows_every_direct_alert():
    text = CONFIG.read_text(encoding="utf-8")

    for name in (conventions.ALERT_DEVICE_DOWN, conventions.ALERT_DEVICE_DOWN_ESCALATED,
                 *INHIBITORS):  # fmt: skip
        assert name in text


@pytest.mark.parametrize("language", ["id", "en"])
def test_links_lead_to_dashboards_that_exist(language: str):
    text = (TEMPLATES / f"{language}.tmpl").read_text(encoding="utf-8")
    linked = set(re.findall(r'define "dashboard\.\w+" }}([\w-]+)', text))
    dashboards = (ROOT / "grafana" / "dashboards").rglob("*.json")
    known = {json.loads(path.read_text(encoding="utf-8"))["uid"] for path in dashboards}

    assert len(linked) == 2
    assert linked <= known
