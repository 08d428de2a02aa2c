"""Every metric, label and alert that rules, dashboards and docs name exists in a real scrape, and the reverse."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter import conventions
from exporter.acknowledge.links import Scope, token_of
from tests.bodies import DEVICE_EVENT
from tests.e2e.process import ExporterProcess
from tests.patience import patient, wait_for
from tests.rule_files import FILES, rules
from tests.tools import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


DASHBOARDS = sorted((ROOT / "grafana" / "dashboards").rglob("*.json"))
DOCS = [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]
REFERENCE = {"en": ROOT / "docs" / "metrics.md", "id": ROOT / "docs" / "metrics.id.md"}
FOREIGN = ("process_", "python_")  # the client library's own families
OTHER_LABELS = {
    *("job", "instance", "le", "__name__"),  # Prometheus' own
    *("alertname", "alertstate", "severity", "source", "escalation"),  # of alerts
    *("integration", "rule_group"),  # of Alertmanager's and Prometheus' own metrics
    *("device", "business", "channel"),  # that dashboards add: a name, or an id where there is none
    *("reason", "direction"),  # of outages and corrections, of which there are none here
}
NAME = re.compile(r"(?<![\w:.$\-/])(?:device|fleet|policy|channel|failover_group)_[a-z0-9_]+(?![\w:(*…])")
RECORDED = re.compile(r"(?<![\w:\"])[a-z][a-z0-9_]*(?::[a-z0-9_]+)+(?![\w:])")
MATCHERS = re.compile(r"([a-zA-Z_:][\w:]*)\s*\{([^{}]*)\}")
CONFIG = """
alertmanager: {{urls: ["http://127.0.0.1:9"]}}
policies: {{wa: {{alert_after: 0s, escalate_after: 0s}}}}
failover: [{{channel: channel_11, backup: channel_12, hook: {{url: "http://127.0.0.1:9/", secret: s}}}}]
maintenance:
  - {{match: {{device_id: planned}}, start: 2020-01-01 00:00, end: 2090-01-01 00:00, timezone: UTC}}
notify: {{token: t, targets: {{sms: {{urls: ["json://127.0.0.1:9"]}}}}}}
storage: {{url: "{url}"}}
"""


class Family(NamedTuple):
    type: str
    labels: frozenset[str]


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Family]:
    """Every family that an exporter with all features exposes, by the name that queries use."""
    folder: Path = tmp_path_factory.mktemp("contract")
    exporter = ExporterProcess(folder)
    (folder / "exporter.yml").write_text(CONFIG.format(url=exporter.storage_url))
    pages = ("--pages.listen-address", "127.0.0.1:0", "--pages.external-url", "http://127.0.0.1/")
    exporter = ExporterProcess(folder, "--config.file", str(folder / "exporter.yml"), *pages)
    with exporter:
        now = int(time.time())
        exporter.send(("d1", now - 500, False), ("d2", now - 50, False), ("d2", now, True), ("planned", now, True))
        message = {"id": "m", "channel": DEVICE_EVENT["device"]["channel"], "bisnis": DEVICE_EVENT["device"]["bisnis"]}
        message |= {"sender_name": "", "user": DEVICE_EVENT["device"]["user"], "content": {"type": "text", "text": ""}}
        event = {"event": "channel.message_in", "timestamp": now, "conversation_id": "c", "conversation_label": ""}
        assert exporter.post(event | {"need_human": 0, "message": message}).status == 200
        wait_for(lambda: exporter.sample(conventions.DEVICE_ALERT_DELIVERED) is not None, "an alert is due")
        token = token_of(Scope((conventions.ALERT_DEVICE_DOWN, "d1"), now - 500), exporter.link_secret)
        urllib.request.urlopen(f"{exporter.pages_url}/a/{token}", b"by=Sari", timeout=patient(10)).close()
        exporter.get("/metrics")  # the listener counts what it has answered
        return _families(exporter.get("/metrics").text)


def _families(text: str) -> dict[str, Family]:
    found = {}
    for family in text_string_to_metric_families(text):
        if family.name.startswith(FOREIGN):
            continue
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = [frozenset(sample.labels) - {"le"} for sample in family.samples]
        found[name] = Family(family.type, frozenset().union(*labels))
    return found


@pytest.fixture(scope="module")
def queryable(exposed: dict[str, Family]) -> set[str]:
    """Every name that a query may use: families, the series of histograms, recorded series."""
    series = {f"{name}_{part}" for name, family in exposed.items() if family.type == "histogram" for part in PARTS}
    return set(exposed) | series


PARTS = ("bucket", "count", "sum")
LABELS = {name for key, names in vars(conventions).items() if key.endswith("_LABELS") for name in names}


def recorded() -> set[str]:
    return {rule["record"] for rule in rules() if "record" in rule}


def alert_names() -> set[str]:
    direct = {name for key, name in vars(conventions).items() if key.startswith("ALERT_")}
    return {rule["alert"] for rule in rules() if "alert" in rule} | direct


def expressions(file: Path) -> list[str]:
    """Return the PromQL of a rule file or a dashboard."""
    if file.suffix == ".yml":
        return [rule["expr"] for rule in rules(file.name)]
    return list(_queries(json.loads(file.read_text(encoding="utf-8"))))


def _queries(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in {"expr", "definition", "query"} and isinstance(value, str):
                yield value
            else:
                yield from _queries(value)
    elif isinstance(node, list):
        for value in node:
            yield from _queries(value)


def without_texts(expression: str) -> str:
    """Return an expression without label matchers, strings and grouping clauses: what is left names series."""
    bare = re.sub(r"\{[^{}]*\}", "", expression)
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', bare)
    return re.sub(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)", "", bare)


def unknown_names(text: str, known: set[str]) -> set[str]:
    return set(NAME.findall(text)) - known - LABELS - OTHER_LABELS


QUERIES = [*FILES, *DASHBOARDS]


@pytest.mark.parametrize("file", QUERIES, ids=lambda file: str(file.relative_to(ROOT)))
def test_queries_read_series_that_exist(file: Path, queryable: set[str]) -> None:
    bare = [without_texts(expression) for expression in expressions(file)]
    assert bare
    assert {name for text in bare for name in unknown_names(text, queryable)} == set()
    assert {name for text in bare for name in RECORDED.findall(text)} - recorded() == set()


@pytest.mark.parametrize("file", QUERIES, ids=lambda file: str(file.relative_to(ROOT)))
def test_queries_match_labels_that_their_series_have(file: Path, exposed: dict[str, Family]) -> None:
    wrong = set()
    for expression in expressions(file):
        for name, matchers in MATCHERS.findall(expression):
            family = exposed.get(name) or exposed.get(re.sub("_(bucket|count|sum)$", "", name))
            used = set(re.findall(r"([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)", re.sub(r'"(?:[^"\\]|\\.)*"', "", matchers)))
            if family is not None:
                wrong |= {(name, label) for label in used - family.labels - {"job", "instance", "le"}}
    assert wrong == set()


@pytest.mark.parametrize("file", QUERIES, ids=lambda file: str(file.relative_to(ROOT)))
def test_queries_group_by_labels_that_exist(file: Path, exposed: dict[str, Family]) -> None:
    known = OTHER_LABELS.union(*(family.labels for family in exposed.values()))
    clause = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)")
    clauses = [names for expression in expressions(file) for names in clause.findall(expression)]
    used = {label.strip() for names in clauses for label in names.split(",")}
    made = set(re.findall(r'label_(?:replace|join)\(.*?\), "(\w+)"', " ".join(expressions(file)), re.DOTALL))
    assert {label for label in used if label and not label.startswith("$")} - known - made == set()


@pytest.mark.parametrize("file", DOCS, ids=lambda file: str(file.relative_to(ROOT)))
def test_pages_name_metrics_that_exist(file: Path, queryable: set[str]) -> None:
    code = " ".join(re.findall(r"`[^`]+`|```.*?```", file.read_text(encoding="utf-8"), re.DOTALL))
    examples = set(re.findall(r"\b(?:device|channel)_[0-9][0-9a-f]*\b|\bchannel_[ab]\b", code))
    own_files = {path.stem for path in (ROOT / "exporter").rglob("*.py")}
    assert unknown_names(without_texts(code), queryable) - examples - own_files == set()


@pytest.mark.parametrize("file", [*QUERIES, *DOCS], ids=lambda file: str(file.relative_to(ROOT)))
def test_alerts_that_are_named_exist(file: Path) -> None:
    named = re.findall(r'alertname=~?\\?"([A-Za-z|]+)', file.read_text(encoding="utf-8"))
    assert {name for names in named for name in names.split("|")} - alert_names() == set()


@pytest.mark.parametrize("language", REFERENCE)
def test_the_reference_lists_every_exposed_metric_with_its_type_and_labels(
    language: str, exposed: dict[str, Family]
) -> None:
    row = re.compile(r"^\| `([a-z_]+)` \| (\w+) \|(?: `([a-z_, ]+)`)? \| .+ \|$", re.MULTILINE)
    documented = {
        name: Family(kind, frozenset(labels.split(", ")) if labels else frozenset())
        for name, kind, labels in row.findall(REFERENCE[language].read_text(encoding="utf-8"))
    }
    assert documented.keys() ^ exposed.keys() == set()
    assert {name: family.type for name, family in documented.items()} == {
        name: family.type for name, family in exposed.items()
    }
    without_samples = {name for name, family in exposed.items() if not family.labels}
    assert {name: family for name, family in documented.items() if name not in without_samples} == {
        name: family for name, family in exposed.items() if name not in without_samples
    }


def test_every_name_of_the_conventions_is_exposed(exposed: dict[str, Family]) -> None:
    assert conventions.HELP.keys() - exposed.keys() == set()
