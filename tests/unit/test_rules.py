"""Prometheus' rules: complete in labels, annotations, promtool's tests and runbook headings."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter import conventions
from exporter.alerting.alert import RULES_SOURCE, SOURCE
from exporter.app.features import PIECES
from exporter.config.checks import MOST_STEPS
from exporter.domain.ceilings import Ceilings
from exporter.gateways.csku.gateway import Csku
from exporter.metrics.own import JOURNAL_OPERATIONS
from exporter.notify.sending import SUCCESSES, Result
from exporter.web.instruments import LISTENERS
from tests.rule_files import FILES, FOLDER, TESTS, read, rules
from tests.tools import ROOT

OWN = ("devices.yml", "exporter.yml", "failover.yml", "instances.yml")
WRITTEN = (*OWN, "stack.yml")
"""By hand; slo.yml has a test file of its own."""
RUNBOOKS = {"en": ROOT / "docs" / "runbook.md", "id": ROOT / "docs" / "runbook.id.md"}
SEVERITIES = {"critical", "warning", "info", "none"}
DIRECT = {name for key, name in vars(conventions).items() if key.startswith("ALERT_") and isinstance(name, str)}


def alerts(*files: str) -> list[dict]:
    return [rule for rule in rules(*files) if "alert" in rule]


def alert_ids(found: list[dict]) -> list[str]:
    return [rule["alert"] for rule in found]


@pytest.mark.parametrize("rule", alerts(), ids=alert_ids(alerts()))
def test_an_alert_says_what_people_need(rule: dict):
    annotations = rule["annotations"]
    # The series with the names and the policy's severity, but for what speaks for several devices.
    named = "_complete:" in rule["expr"] or "escalating_downtime:" in rule["expr"]
    from_policy = named and rule["alert"] != conventions.ALERT_BUSINESS_OUTAGE

    assert ("severity" in rule["labels"]) is not from_policy
    assert rule["labels"].get("severity", "warning") in SEVERITIES
    assert annotations["summary"]
    assert annotations["description"]
    assert annotations["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"


@pytest.mark.parametrize("rule", alerts(*WRITTEN), ids=alert_ids(alerts(*WRITTEN)))
def test_an_alert_speaks_indonesian_too(rule: dict):
    assert rule["annotations"]["summary_id"] != rule["annotations"]["summary"]
    assert rule["annotations"]["description_id"] != rule["annotations"]["description"]


@pytest.mark.parametrize("name", sorted(set(alert_ids(alerts(*WRITTEN)))))
def test_an_alert_is_tested_on_both_sides_with_its_texts(name: str):
    rows = [
        row
        for path in TESTS
        for test in read(path)["tests"]
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
    text = (FOLDER / "devices.yml").read_text()

    assert conventions.POLICY_ALERT_AFTER in text
    assert conventions.POLICY_ESCALATE_AFTER in text
    assert conventions.POLICY_SEVERITY in text
    assert [rule["alert"] for rule in alerts("devices.yml") if "severity" in rule["labels"]] == [
        "EngineOutage",
        "GatewayOutage",
        "BusinessOutage",
    ]


@pytest.mark.parametrize("rule", alerts(*OWN), ids=alert_ids(alerts(*OWN)))
def test_an_alert_is_one_for_all_exporters(rule: dict):
    by = re.findall(r"\b(?:by|group_left) ?\(([^)]*)\)", rule["expr"])

    assert not re.search(r"\b(instance|job)\b", " ".join(by))


# What values labels have, from the code that gives them. A rule for a value that nothing has can never fire.
VALUES = {
    "outcome": set(conventions.OUTCOMES),
    "event": {*Csku.event_types, conventions.OTHER_EVENT},
    "operation": {*JOURNAL_OPERATIONS, *(piece.name for piece in PIECES)},
    ("device_exporter_notify_total", "result"): {result.value for result in Result},
    ("device_exporter_alert_pushes_total", "result"): {"ok", "error"},
    "state": {"up", "down"},
    "direction": {"up", "down"},
    "severity": SEVERITIES,
    "source": {SOURCE, RULES_SOURCE},
    "alertstate": {"firing", "pending"},
    "alertname": {rule["alert"] for rule in alerts()} | DIRECT,
    "listener": set(LISTENERS),
    "escalation": {"management", "director"},
    "step": {str(number) for number in range(1, MOST_STEPS + 1)},
    "held": {"acknowledged", "never"},
    "of": {name.removeprefix("max_") for name in Ceilings.__struct_fields__},
    "action": {"switch", "switch_back"},
}
FREE = {
    *conventions.INFO_LABELS, *conventions.FAILOVER_LABELS, "instance", "job", "target", "task", "alertmanager", "le",
    "integration", "rule_group", "version", "zone", "reason", "gateway",
}  # fmt: skip
"""Labels whose values are other people's."""
SERIES = re.compile(r"([a-zA-Z_:][\w:]*)\{([^{}]*)\}")
MATCHER = re.compile(r'([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')


def matched(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield (metric, label, value) for each value that selectors name."""
    for metric, matchers in SERIES.findall(text):
        for label, values in MATCHER.findall(matchers):
            for value in values.split("|"):
                yield metric, label, value


@pytest.mark.parametrize(
    "path", [*FILES, *(FOLDER / "tests").glob("*.yml")], ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_every_value_of_a_label_is_one_that_the_code_gives(path: Path):
    document = read(path)
    queries = [rule["expr"] for group in document.get("groups", []) for rule in group["rules"]]
    inputs = [row["series"] for test in document.get("tests", []) for row in test["input_series"]]
    found = {row for text in queries + inputs for row in matched(text)}

    unknown = {(metric, label) for metric, label, _ in found if label not in FREE} - {
        (metric, label) for metric, label, _ in found if label in VALUES or (metric, label) in VALUES
    }
    wrong = {
        (metric, label, value)
        for metric, label, value in found
        if value not in VALUES.get((metric, label), VALUES.get(label, {value}))
    }
    assert unknown == set()
    assert wrong == set()


def test_the_relay_fails_with_whatever_result_is_no_success():
    [rule] = [rule for rule in alerts() if rule["alert"] == "RelayFailing"]
    results = {value for _, label, value in matched(rule["expr"]) if label == "result"}

    assert results == set(Result) - SUCCESSES - {Result.ELSEWHERE}  # which another exporter sees to


@pytest.mark.parametrize("language", RUNBOOKS)
def test_the_runbook_has_a_heading_for_each_alert_and_no_other(language: str):
    headings = re.findall(r"^## (\w+)$", RUNBOOKS[language].read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(headings) == sorted(set(alert_ids(alerts())) | DIRECT)
