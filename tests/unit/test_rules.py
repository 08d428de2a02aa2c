"""Prometheus' rules: accepted and tested by promtool; complete in labels, annotations and runbook headings."""

import re
import subprocess

import pytest
import yaml

from exporter import conventions
from tests.tools import ROOT, require

RULES = ROOT / "prometheus" / "rules"
FILES = sorted(RULES.glob("*.yml"))
TESTS = sorted(path for path in (RULES / "tests").glob("*.yml") if not path.name.startswith("slo"))  # test_slo_rules.py
OWN = ("devices.yml", "exporter.yml", "failover.yml")
RUNBOOKS = {"en": ROOT / "docs" / "runbook.md", "id": ROOT / "docs" / "runbook.id.md"}
SEVERITIES = {"critical", "warning", "info", "none"}
DIRECT = {name for key, name in vars(conventions).items() if key.startswith("ALERT_")}


def alerts(*files: str) -> list[dict]:
    groups = [
        g for file in FILES if not files or file.name in files for g in yaml.safe_load(file.read_text())["groups"]
    ]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def alert_ids(rules: list[dict]) -> list[str]:
    return [rule["alert"] for rule in rules]


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([require("promtool"), *arguments], capture_output=True, text=True, check=False)


@pytest.mark.binaries
def test_promtool_accepts_every_rule_file():
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", *map(str, FILES))

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.binaries
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_promtool_finds_the_rules_doing_what_their_tests_say(path):
    done = promtool("test", "rules", str(path))

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", alerts(), ids=alert_ids(alerts()))
def test_an_alert_says_what_people_need(rule: dict):
    annotations = rule["annotations"]
    from_policy = "_complete:" in rule["expr"]  # the series with the names and the policy's severity

    assert ("severity" in rule["labels"]) is not from_policy
    assert rule["labels"].get("severity", "warning") in SEVERITIES
    assert annotations["summary"]
    assert annotations["description"]
    assert annotations["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"


@pytest.mark.parametrize("rule", alerts(*OWN), ids=alert_ids(alerts(*OWN)))
def test_an_alert_speaks_indonesian_too(rule: dict):
    assert rule["annotations"]["summary_id"] != rule["annotations"]["summary"]
    assert rule["annotations"]["description_id"] != rule["annotations"]["description"]


@pytest.mark.parametrize("name", sorted(set(alert_ids(alerts(*OWN)))))
def test_an_alert_is_tested_on_both_sides_with_its_texts(name: str):
    rows = [
        row
        for path in TESTS
        for test in yaml.safe_load(path.read_text())["tests"]
        for row in test.get("alert_rule_test", [])
        if row["alertname"] == name
    ]

    fires = [row for row in rows if row["exp_alerts"]]
    assert fires
    assert all(alert["exp_annotations"] for row in fires for alert in row["exp_alerts"])
    if name != "Watchdog":
        assert [row for row in rows if not row["exp_alerts"]]


def test_the_net_carries_the_names_of_the_direct_alerts_and_its_own_source():
    net = {rule["alert"] for rule in alerts("devices.yml")}

    assert net == DIRECT & net
    assert all(rule["labels"]["source"] == "prometheus" for rule in alerts("devices.yml"))


def test_no_threshold_of_the_policy_stands_in_a_rule():
    text = (RULES / "devices.yml").read_text()

    assert conventions.POLICY_ALERT_AFTER in text
    assert conventions.POLICY_ESCALATE_AFTER in text
    assert conventions.POLICY_SEVERITY in text
    assert [rule["alert"] for rule in alerts("devices.yml") if "severity" in rule["labels"]] == ["EngineOutage"]


@pytest.mark.parametrize("rule", alerts(*OWN), ids=alert_ids(alerts(*OWN)))
def test_an_alert_is_one_for_all_exporters(rule: dict):
    by = re.findall(r"\b(?:by|group_left) ?\(([^)]*)\)", rule["expr"])

    assert not re.search(r"\b(instance|job)\b", " ".join(by))


@pytest.mark.parametrize("language", RUNBOOKS)
def test_the_runbook_has_a_heading_for_each_alert_and_no_other(language: str):
    headings = re.findall(r"^## (\w+)$", RUNBOOKS[language].read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(headings) == sorted(set(alert_ids(alerts())) | DIRECT)
