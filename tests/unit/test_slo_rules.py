"""The SLO rules: the committed file, the workbook's table, and that no rule reads a device."""

import re
import subprocess
from pathlib import Path

import pytest

from prometheus import slo_rules
from tests.tools import require

TESTS = sorted((slo_rules.RULES_FILE.parent / "tests").glob("slo*_test.yml"))
RULES = [rule for group in slo_rules.groups() for rule in group["rules"]]
RECORDS = [rule for rule in RULES if "record" in rule]
ALERTS = [rule for rule in RULES if "alert" in rule]


def test_the_committed_file_is_what_the_module_writes():
    assert slo_rules.RULES_FILE.read_text(encoding="utf-8") == slo_rules.render()


def test_each_window_has_availability_per_engine_and_business_per_engine_and_overall():
    names = {rule["record"] for rule in RECORDS}

    for window in ("5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d"):
        for level in ("engine_business", "engine", "fleet"):
            assert f"{level}:fleet_availability:ratio_increase{window}" in names


def test_recorded_names_follow_level_metric_operations():
    assert all(re.fullmatch(r"(engine_business|engine|fleet):[a-z_]+:[a-z0-9_]+", rule["record"]) for rule in RECORDS)


def test_no_rule_reads_a_series_of_a_device():
    read = {name for rule in RULES for name in re.findall(r"\b(?:device|fleet|policy)_[a-z_]+", rule["expr"])}

    assert {name for name in read if name.startswith("device_")} == {"device_exporter_build_info", "device_alerts_told"}


def test_no_rule_names_an_objective():
    assert not re.search(r"0\.9\d*|\b99\b", slo_rules.render())


def test_every_rule_reads_only_what_stands_before_it():
    before = {slo_rules.TOLD, slo_rules.MASS_OUTAGE}  # of devices.yml
    for rule in RULES:
        read = set(re.findall(r"\b(?:engine_business|engine|fleet):[a-z_]+:[a-z0-9_]+", rule["expr"]))
        assert read <= before, rule
        before.add(rule.get("record", ""))


@pytest.mark.parametrize(
    ("row", "consumed"),
    [
        pytest.param(slo_rules.FAST[0], 0.02, id="14.4 times for 1 h consume 2 % of the budget of 30 days"),
        pytest.param(slo_rules.FAST[1], 0.05, id="6 times for 6 h consume 5 %"),
        pytest.param(slo_rules.SLOW[0], 0.10, id="3 times for 1 d consume 10 %"),
        pytest.param(slo_rules.SLOW[1], 0.10, id="once for 3 d consumes 10 %"),
    ],
)
def test_factors_and_windows_are_the_workbooks(row, consumed):
    seconds = {window.name: window.seconds for window in slo_rules.WINDOWS}

    assert float(row.factor) * seconds[row.long] / seconds[slo_rules.PERIOD] == pytest.approx(consumed)
    assert seconds[row.long] / seconds[row.short] == 12


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_says_what_to_do_in_both_languages(alert):
    assert alert["labels"]["severity"] in {"critical", "warning"}
    texts = {f"{name}{language}" for name in ("summary", "description", "action") for language in ("", "_id")}
    assert set(alert["annotations"]) == {*texts, "runbook_url"}
    assert alert["annotations"]["runbook_url"] == f"docs/runbook.md#{alert['alert'].lower()}"


def test_every_alert_is_tested_on_both_sides():
    text = "".join(path.read_text(encoding="utf-8") for path in TESTS)

    for alert in ALERTS:
        assert f"alertname: {alert['alert']}" in text
    assert "exp_alerts: []" in text


@pytest.mark.slow  # days of history at each step: more than a minute of processor time
@pytest.mark.binaries
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_promtool_agrees_with_the_figures_computed_by_hand(path: Path):
    result = subprocess.run(
        [require("promtool"), "test", "rules", path.name], cwd=path.parent, capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stdout + result.stderr
