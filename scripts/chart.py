"""Write the chart's generated parts: `python -m scripts.chart`; `--example` also renders deploy/kubernetes/ with Helm.

From the same sources as the stack's: files/ (rules, dashboards, texts of messages, routing as an AlertmanagerConfig has
it). From values.yaml and the exporter's own configuration: the schema, what the checks must know, and the table of
README.md. A test compares all of them with what is committed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import yaml

from exporter.assets.render import USUAL_JOB
from exporter.assets.routing import TEXTS, Plain, named, texts_of
from scripts.chart_config import knowledge, schema_of

ROOT: Final = Path(__file__).resolve().parent.parent
CHART: Final = ROOT / "deploy/helm/device-exporter"
EXAMPLE: Final = ROOT / "deploy/kubernetes/device-exporter.yaml"
CHOICES: Final = {
    ("storage", "kind"): ["sqlite", "postgresql"],
    ("language",): ["id", "en"],
    ("antiAffinity",): ["soft", "hard", "none"],
    ("webConfig", "scheme"): ["http", "https"],
    ("image", "pullPolicy"): ["Always", "IfNotPresent", "Never"],
}
OPEN: Final = {
    ("resources",),
    ("podSecurityContext",),
    ("securityContext",),
    ("dashboards", "labels"),
    ("dashboards", "annotations"),
    ("dashboards", "instanceSelector"),
}
"""Maps with defaults that take other keys, too."""
TEXTS_ALONE: Final = {
    "pullSecrets",
    "urls",
    "hosts",
    "hostnames",
    "ingressNamespaces",
    "monitoringNamespaces",
    "extraArgs",
}
"""Lists of texts, which other charts have as lists of objects."""
_MATCHER: Final = re.compile(r'\s*(\w+)\s*(=~|!~|!=|=)\s*"?([^"]*?)"?\s*')
_KEY: Final = re.compile(r"( *)([A-Za-z]+):")

Tree = dict[str, Any]


def generated() -> dict[Path, str]:
    """Return the text of every generated file."""
    found = {CHART / "values.schema.json": schema(), CHART / "README.md": readme()}
    found[CHART / "files/configuration.yaml"] = knowledge()
    for file in sorted((ROOT / "prometheus/rules").glob("*.yml")):
        if file.name != "stack.yml":
            found[CHART / "files/rules" / file.name] = file.read_text(encoding="utf-8")
    for file in sorted((ROOT / "grafana/dashboards").rglob("*.json")):
        compact = json.dumps(json.loads(file.read_text(encoding="utf-8")), ensure_ascii=False, separators=(",", ":"))
        found[CHART / "files/dashboards" / file.parent.name / file.name] = f"{compact}\n"
    for file in sorted((ROOT / "alertmanager/templates").glob("*.tmpl")):
        text = named(file.read_text(encoding="utf-8"), USUAL_JOB)
        found[CHART / "files/alertmanager/templates" / file.name] = text
    config = yaml.safe_load((ROOT / "alertmanager/alertmanager.yml").read_text(encoding="utf-8"))
    found[CHART / "files/alertmanager/routing.yaml"] = routing(config)
    return found


# -- an AlertmanagerConfig of the Prometheus operator ---------------------------------------------------------------


def routing(config: Tree) -> str:
    """Return routes, inhibition and the names of receivers as an AlertmanagerConfig writes them."""
    tree = {
        "route": _route(config["route"]),
        "inhibitRules": [
            {
                "sourceMatch": _matchers(rule["source_matchers"]),
                "targetMatch": _matchers(rule["target_matchers"]),
                "equal": rule["equal"],
            }
            for rule in config["inhibit_rules"]
        ],
        "receivers": [receiver["name"] for receiver in config["receivers"]],
        "texts": {_camel(kind): _fields(kind) for kind in TEXTS},
    }
    return yaml.dump(tree, Dumper=Plain, sort_keys=False, allow_unicode=True, width=10**6)


def _fields(kind: str) -> Tree:
    """Return the fields of an integration that say our texts; headers of a mail are a list there."""
    fields = {_camel(field): text for field, text in texts_of(kind, USUAL_JOB).items()}
    if "headers" in fields:
        fields["headers"] = [{"key": name, "value": value} for name, value in fields["headers"].items()]
    return fields


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _route(route: Tree) -> Tree:
    made: Tree = {_camel(key): value for key, value in route.items() if key not in ("matchers", "routes")}
    if "matchers" in route:
        made["matchers"] = _matchers(route["matchers"])
    if "routes" in route:
        made["routes"] = [_route(inner) for inner in route["routes"]]
    return made


def _matchers(texts: list[str]) -> list[Tree]:
    found = [_MATCHER.fullmatch(text) for text in texts]
    return [{"name": one[1], "matchType": one[2], "value": one[3]} for one in found if one]


# -- values ---------------------------------------------------------------------------------------------------------


def values() -> Tree:
    """Return the chart's defaults."""
    tree: Tree = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    return tree


def schema() -> str:
    """Return the schema that the defaults and their comments imply: an unknown key is an error."""
    made = {"$schema": "https://json-schema.org/draft-07/schema#", **_schema_of(values(), ())}
    made["properties"]["replicas"] |= {"minimum": 0}
    made["properties"]["storage"]["properties"]["port"] |= {"minimum": 1, "maximum": 65535}
    made["properties"]["config"] = schema_of()
    made["properties"]["global"] = {"type": "object"}
    return json.dumps(made, indent=1) + "\n"


def _schema_of(value: Any, path: tuple[str, ...]) -> Tree:  # noqa: ANN401 - any part of a YAML document
    if isinstance(value, dict):
        if not value or path in OPEN:
            return {"type": "object"}
        inner = {key: _schema_of(one, (*path, key)) for key, one in value.items()}
        return {"type": "object", "additionalProperties": False, "properties": inner}
    if path in CHOICES:
        return {"enum": CHOICES[path]}
    if path[-1:] and path[-1] in TEXTS_ALONE:
        return {"type": "array", "items": {"type": "string"}}
    kinds = {bool: "boolean", int: "integer", list: "array", str: "string"}
    return {"type": kinds[type(value)]}


def documented() -> list[tuple[str, str]]:
    """Return each value's path and its comment, in their order. ValueError: a value has none."""
    found: list[tuple[str, str]] = []
    path: list[str] = []
    comment, inside = "", -1
    for line in (CHART / "values.yaml").read_text(encoding="utf-8").splitlines():
        if line.strip().startswith("# -- "):
            comment = line.strip().removeprefix("# -- ")
            continue
        key = _KEY.match(line)
        if key is None or (0 <= inside < len(key[1])):
            continue
        depth = len(key[1]) // 2
        path, inside = [*path[:depth], key[2]], -1
        if comment:
            found.append((".".join(path), comment))
            comment, inside = "", len(key[1])
    return found


def readme() -> str:
    """Return README.md: README.md.in with the table of values."""
    defaults = values()
    rows = []
    for path, comment in documented():
        value: Any = defaults
        for part in path.split("."):
            value = value[part]
        shown = json.dumps(value, ensure_ascii=False)
        rows.append(f"| `{path}` | `{shown}` | {comment} |")
    return (CHART / "README.md.in").read_text(encoding="utf-8").replace("{table}", "\n".join(rows))


def example(helm: str) -> str:
    """Return the rendered example."""
    given = [f"--values={CHART}/ci/prometheus-operator-values.yaml", "--set=dashboards.enabled=false"]
    command = [helm, "template", "device-exporter", str(CHART), "--namespace=devices", *given]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> None:
    """Write the files; what is no longer generated goes."""
    found = generated()
    for file in (CHART / "files").rglob("*"):
        if file.is_file() and file not in found:
            file.unlink()
    for path, text in found.items():
        _write(path, text)
    helm = ROOT / ".tools/bin/helm"
    if "--example" in sys.argv and helm.exists():
        _write(EXAMPLE, example(str(helm)))
    elif "--example" in sys.argv:
        print("no helm is here: deploy/kubernetes stays as it is", file=sys.stderr)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
