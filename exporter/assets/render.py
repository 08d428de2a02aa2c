"""Rules, dashboards, routes and texts of messages for a Prometheus, an Alertmanager and a Grafana of somebody's own.

The same files as those of our own stack; what is put in is a language, a time zone, addresses and a job. All alerts
bear the job, by which Alertmanager's routes tell them from other people's (`exporter.assets.routing`); where several
fleets share a Prometheus, everything else does, too. Rules about Prometheus and Alertmanager themselves are left out:
their owner has some.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

import yaml

from exporter.assets import files
from exporter.assets.routing import Plain, Tree, among_others, named, own_name, text_file
from exporter.assets.selector import selected, selected_template, selected_values
from exporter.lib.yaml import parse_yaml

USUAL_JOB: Final = "device-exporter"
OF_THE_STACK: Final = "stack.yml"
"""Rules about the other services of our own stack."""
_ZONE: Final = "Asia/Jakarta"
_GRAFANA: Final = "http://localhost:3000"
_PAGES: Final = "http://localhost:9877"
_RELAY: Final = "http://exporter-admin:9877"
_RUNBOOK: Final = "docs/runbook.md"
_UID: Final = re.compile(r"\bdevices-(?=device|exporter|fleet|incidents|slo)")
"""How the uids of our dashboards begin."""


@dataclass(frozen=True)
class Wanted:
    """What to put in. URLs have no slash at the end; an empty one leaves its links out."""

    language: str = "id"
    timezone: str = _ZONE
    url: str = ""
    """The admin listener, as people and Alertmanager reach it."""
    grafana_url: str = ""
    runbook_url: str = ""
    """The page of the runbook."""
    job: str = USUAL_JOB

    @property
    def one_of_several(self) -> bool:
        """Whether other fleets share the Prometheus: every selector then names the job, and what rules make has it."""
        return self.job != USUAL_JOB

    @property
    def matcher(self) -> str:
        """The job as a matcher; single quotes also fit into the texts of alerts."""
        return f"job='{self.job}'"

    def own_boards(self, text: str) -> str:
        """Return a text with the uids of this fleet's dashboards in it."""
        if not self.one_of_several:
            return text
        return _UID.sub(f"{own_name(self.job)}-", text)


def render(wanted: Wanted) -> dict[str, str]:
    """Return the text of each file by its path."""
    found = {
        f"rules/{name}": rules(text, wanted)
        for name, text in files.read_all(files.RULES, "*.yml").items()
        if name != OF_THE_STACK
    }
    for name, text in files.read_all(f"{files.DASHBOARDS}/{wanted.language}", "*.json").items():
        found[f"dashboards/{name}"] = dashboard(text, wanted)
    for name, text in files.read_all(files.TEXTS, "*.tmpl").items():
        texts = message_texts(text, wanted.timezone, wanted.grafana_url, wanted.url)
        place = text_file(f"alertmanager/templates/{name}", wanted.job)
        found[place] = wanted.own_boards(named(texts, wanted.job))
    found["alertmanager/alertmanager.yml"] = routes(files.read(files.ROUTES), wanted)
    return found


def rules(text: str, wanted: Wanted) -> str:
    """Return a file of rules: all alerts bear the job, and of several fleets everything asks for it."""
    tree: Tree = parse_yaml(text)
    for group in tree["groups"]:
        if wanted.one_of_several:
            group["name"] = f"{group['name']}-{wanted.job}"
        for rule in group["rules"]:
            _own(rule, wanted)
    return yaml.dump(tree, Dumper=Plain, sort_keys=False, allow_unicode=True, width=10**6)


def _own(rule: Tree, wanted: Wanted) -> None:
    """Put the job onto what a rule makes and, of several fleets, let it see the series of one alone, in place."""
    annotations: dict[str, str] = rule.get("annotations") or {}
    if wanted.one_of_several or "alert" in rule:
        rule["labels"] = (rule.get("labels") or {}) | {"job": wanted.job}
    if wanted.one_of_several:
        rule["expr"] = selected(rule["expr"], wanted.matcher)
        annotations |= {name: selected_template(text, wanted.matcher) for name, text in annotations.items()}
    if wanted.runbook_url and annotations:
        annotations["runbook_url"] = annotations["runbook_url"].replace(_RUNBOOK, wanted.runbook_url)


def dashboard(text: str, wanted: Wanted) -> str:
    """Return a dashboard; of several fleets each has its own, with another uid and title."""
    text = text.replace(_PAGES, wanted.url or _PAGES)
    if not wanted.one_of_several:
        return text
    tree: Tree = json.loads(wanted.own_boards(text))
    tree["title"] = f"{tree['title']} ({wanted.job})"
    return json.dumps(_selected(tree, wanted.matcher), ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def _selected(node: Any, matcher: str) -> Any:  # noqa: ANN401 - any part of a JSON document
    if isinstance(node, list):
        return [_selected(one, matcher) for one in node]
    if not isinstance(node, dict):
        return node
    changed = {name: _selected(value, matcher) for name, value in node.items()}
    if isinstance(node.get("expr"), str):
        changed["expr"] = selected(node["expr"], matcher)
    if isinstance(node.get("query"), str):
        changed["query"] = selected_values(node["query"], matcher)
    return changed


def message_texts(text: str, timezone: str, grafana_url: str, pages_url: str) -> str:
    """Return a template of messages with the time zone and the addresses in it; the runbook's is on the alerts."""
    return (
        text.replace(f'"{_ZONE}"', f'"{timezone}"')
        .replace(f'$grafana := "{_GRAFANA}"', f'$grafana := "{grafana_url}"')
        .replace('$pages := ""', f'$pages := "{pages_url}"')
    )


def routes(text: str, wanted: Wanted) -> str:
    """Return Alertmanager's configuration."""
    text = re.sub(r"\btemplates/(id|en)\.tmpl", f"templates/{wanted.language}.tmpl", text)
    text = text.replace(f"location: {_ZONE}", f"location: {wanted.timezone}").replace(_RELAY, wanted.url or _RELAY)
    return among_others(yaml.safe_load(text), wanted.job)
