"""What others need of us, as `device-exporter assets` writes it: the stack's own files, kept to one job where asked."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from exporter.assets.render import USUAL_JOB, Wanted, message_texts, render
from exporter.assets.selector import selected, selected_template, selected_values
from exporter.cli.main import main
from scripts.alertmanager_config import templates_with
from scripts.settings import Settings
from tests.rule_files import read
from tests.tools import ROOT, require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MATCHER = "job='fleet-b'"
OTHER = Wanted(job="fleet-b")
FOREIGN = re.compile(r"\b(alertmanager|prometheus|grafana)_\w+")


def expressions(node: Any) -> Iterator[str]:
    """Yield every query of a file of rules or of a dashboard."""
    if isinstance(node, list):
        for one in node:
            yield from expressions(one)
    elif isinstance(node, dict):
        if isinstance(node.get("expr"), str):
            yield node["expr"]
        for one in node.values():
            yield from expressions(one)


def shipped() -> list[str]:
    files = [*(ROOT / "prometheus" / "rules").glob("*.yml"), *(ROOT / "grafana" / "dashboards").rglob("*.json")]
    documents = [json.loads(file.read_bytes()) if file.suffix == ".json" else read(file) for file in files]
    found = {text for document in documents for text in expressions(document)}
    return sorted(text for text in found if not FOREIGN.search(text) and "up{job!=" not in text)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("up", "up{job='x'}"),
        ('a{b="}"} or vector(1)', "a{job='x', b=\"}\"} or vector(1)"),
        ("rate(a:b[5m] offset 1h)", "rate(a:b{job='x'}[5m] offset 1h)"),
        ("a / on (b) group_left (c) d{}", "a{job='x'} / on (b) group_left (c) d{job='x'}"),
        ("sum(a) by (b) > bool 1", "sum(a{job='x'}) by (b) > bool 1"),
        ('{__name__=~"a|b"}', "{job='x', __name__=~\"a|b\"}"),
        ('increase(a{b=~"$b"}[$__range])', "increase(a{job='x', b=~\"$b\"}[$__range])"),
        ("alertmanager_alerts + a", "alertmanager_alerts + a{job='x'}"),
        ('up{a="b", job="other"} == on () c{job!~"d",e="f"}', "up{job='x', a=\"b\"} == on () c{job='x', e=\"f\"}"),
        ('label_replace(a, "b", "$1", "c", "(.*)")', 'label_replace(a{job=\'x\'}, "b", "$1", "c", "(.*)")'),
    ],
    ids=[
        "a name alone",
        "a bracket in a value",
        "a recorded series with a range and an offset",
        "lists of labels",
        "a list behind, and bool",
        "no name",
        "Grafana's variables",
        "another program's metric",
        "a job that is there already",
        "strings",
    ],
)
def test_each_selector_gets_the_matcher_and_nothing_else_does(expression: str, expected: str) -> None:
    assert selected(expression, "job='x'") == expected


def test_variables_of_dashboards_and_queries_in_texts_get_the_matcher() -> None:
    assert selected_values('label_values(a{b="c"}, d)', "job='x'") == "label_values(a{job='x', b=\"c\"}, d)"
    assert selected_values("prometheus", "job='x'") == "prometheus"
    text = '{{ with printf "max(a{b=%q})" $labels.b | query }}{{ . | first | value | printf "%.0f" }}{{ end }}'
    assert selected_template(text, "job='x'") == text.replace("a{b=", "a{job='x', b=")


@pytest.mark.binaries
def test_promtool_finds_the_matcher_in_as_many_selectors_as_it_would_put_it_into() -> None:
    promtool = [str(require("promtool")), "--experimental", "promql"]

    def run(*arguments: str) -> str:
        done = subprocess.run([*promtool, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    found = [re.sub(r"\$__\w+", "300", re.sub(r"\[\$__\w+", "[5m", text)) for text in shipped()]
    assert len(found) > 100
    for start in range(0, len(found), 40):
        part = " or ".join(f"({text})" for text in found[start : start + 40])
        ours, theirs = selected(part, MATCHER), run("label-matchers", "set", part, "job", "fleet-b")
        assert ours.count(MATCHER) == theirs.count('job="fleet-b"')
        assert run("label-matchers", "delete", ours, "job") == run("label-matchers", "delete", part, "job")


def test_without_a_job_the_rules_are_the_stacks_own_letter_by_letter() -> None:
    found = render(Wanted())
    for file in (ROOT / "prometheus" / "rules").glob("*.yml"):
        if file.name != "stack.yml":
            assert found.pop(f"rules/{file.name}") == file.read_text(encoding="utf-8")
    assert not [name for name in found if name.startswith("rules/")]


@pytest.mark.parametrize("language", ["id", "en"])
def test_dashboards_and_texts_are_in_the_language(language: str) -> None:
    found = render(Wanted(language=language, url="https://alerts.example.com"))
    boards = {name for name in found if name.startswith("dashboards/")}
    assert boards == {f"dashboards/{file.name}" for file in (ROOT / "grafana/dashboards" / language).glob("*.json")}
    assert f"templates/{language}.tmpl" in yaml.safe_load(found["alertmanager/alertmanager.yml"])["templates"]
    assert not [name for name, text in found.items() if "localhost:9877" in text or "exporter-admin" in text]


def test_texts_of_messages_are_those_of_the_stack() -> None:
    settings = Settings(timezone="Asia/Makassar", public_url="https://a.example", runbook_url="https://r.example")
    for file in (ROOT / "alertmanager" / "templates").glob("*.tmpl"):
        text = file.read_text(encoding="utf-8")
        ours = message_texts(
            text, "Asia/Makassar", "https://a.example/grafana", "https://a.example", "https://r.example"
        )
        assert ours == templates_with(text, settings)


def test_of_several_fleets_each_rule_makes_and_each_dashboard_shows_what_bears_the_job() -> None:
    found = render(OTHER)
    for name, text in found.items():
        if name.startswith("rules/"):
            groups = yaml.load(text, Loader=yaml.CSafeLoader)["groups"]
            assert all(rule["labels"]["job"] == "fleet-b" for group in groups for rule in group["rules"])
            assert all(group["name"].endswith("-fleet-b") for group in groups)
        if name.startswith("dashboards/"):
            board = json.loads(text)
            assert board["uid"].startswith("fleet-b-")
            assert board["title"].endswith("(fleet-b)")
            assert "/d/devices-" not in text
    assert "}}fleet-b-device-id{{" in found["alertmanager/templates/id.tmpl"]


def test_of_several_fleets_no_alert_mutes_or_joins_one_of_another() -> None:
    config = yaml.safe_load(render(OTHER)["alertmanager/alertmanager.yml"])
    assert all("job" in rule["equal"] for rule in config["inhibit_rules"])

    def groupings(route: dict[str, Any]) -> Iterator[list[str]]:
        if "group_by" in route:
            yield route["group_by"]
        for inner in route.get("routes", []):
            yield from groupings(inner)

    assert all("job" in labels for labels in groupings(config["route"]))


def test_the_command_writes_the_files_and_says_what_becomes_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["assets", str(tmp_path), "--language", "en", "--url", "https://alerts.example.com/"]) == 0
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert written == set(render(Wanted(language="en", url="https://alerts.example.com")))
    said = capsys.readouterr().out
    assert f"job_name: {USUAL_JOB}, static_configs: [{{targets: [alerts.example.com]}}]" in said
    assert "alerts: {labels:" not in said


@pytest.mark.parametrize(
    "flags",
    [["--url", "alerts.example.com"], ["--timezone", "Asia/Jakart"], ["--job", "a b"], ["--language", "fr"]],
    ids=["no address", "no zone", "no name of a job", "no language of ours"],
)
def test_what_cannot_be_put_in_is_refused(tmp_path: Path, flags: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["assets", str(tmp_path / "new"), *flags])
    assert refused.value.code == 2
    assert not (tmp_path / "new").exists()


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["assets", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err == f"device-exporter: cannot write {tmp_path}/file/rules: Not a directory\n"
