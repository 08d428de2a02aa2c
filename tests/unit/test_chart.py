"""The Helm chart, rendered with each values file: Kubernetes' own schemas take it, and it says what it should."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
import yaml

from exporter.config import load
from scripts.chart import CHART, EXAMPLE, documented, example, generated, values
from tests.patience import patient
from tests.tools import ROOT, require

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.binaries

FILES = sorted((CHART / "ci").glob("*-values.yaml"))
NAMED = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem.removesuffix("-values"))
OF_OPERATORS = {"ServiceMonitor", "PrometheusRule", "AlertmanagerConfig", "GrafanaDashboard", "HTTPRoute"}
"""Kinds that Kubernetes itself does not know."""
DEFAULT, OPERATOR, POSTGRESQL, GATEWAY = ("default", "prometheus-operator", "postgresql", "gateway-api")

Tree = dict[str, Any]


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(require("helm")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=patient(60), check=False)


class _Loader(yaml.CSafeLoader):
    """Takes a lone `=` for text, as YAML 1.2 and Kubernetes do."""


_Loader.add_constructor("tag:yaml.org,2002:value", _Loader.construct_yaml_str)


def rendered(name: str, *arguments: str) -> list[Tree]:
    done = helm("template", "t", str(CHART), "-n", "devices", f"--values={CHART}/ci/{name}-values.yaml", *arguments)
    assert done.returncode == 0, done.stderr
    return [tree for tree in yaml.load_all(done.stdout, _Loader) if tree]


@pytest.fixture(scope="module")
def objects() -> dict[str, list[Tree]]:
    return {name: rendered(name) for name in (DEFAULT, OPERATOR, POSTGRESQL, GATEWAY, "everything")}


def only(trees: list[Tree], kind: str, suffix: str = "") -> Tree:
    (found,) = [tree for tree in trees if tree["kind"] == kind and tree["metadata"]["name"].endswith(suffix)]
    return found


def kinds(trees: list[Tree]) -> set[str]:
    return {tree["kind"] for tree in trees}


def pod(trees: list[Tree]) -> Tree:
    found: Tree = only(trees, "StatefulSet")["spec"]["template"]["spec"]
    return found


def configuration(trees: list[Tree]) -> Tree:
    (text,) = [tree["data"]["device-exporter.yml"] for tree in trees if "device-exporter.yml" in tree.get("data", {})]
    tree: Tree = yaml.safe_load(text)
    return tree


# -- whole ------------------------------------------------------------------------------------------------------------


@NAMED
def test_helm_has_nothing_to_say_against_it(file: Path) -> None:
    done = helm("lint", str(CHART), f"--values={file}", "--strict")
    assert done.returncode == 0, done.stdout


@NAMED
def test_kubernetes_takes_every_object(objects: dict[str, list[Tree]], file: Path) -> None:
    trees = objects[file.stem.removesuffix("-values")]
    for tree in trees:
        assert tree["metadata"]["namespace" if tree["kind"] != "ConfigMap" else "name"]
        if tree["kind"] not in OF_OPERATORS:
            kubernetes_validate.validate(tree, kubernetes_validate.latest_version(), strict=True)
    names = [(tree["kind"], tree["metadata"]["name"]) for tree in trees]
    assert len(names) == len(set(names))


@NAMED
def test_the_exporter_takes_its_configuration(objects: dict[str, list[Tree]], file: Path, tmp_path: Path) -> None:
    text = json.dumps(configuration(objects[file.stem.removesuffix("-values")]))
    (tmp_path / "secret").write_text("json://example.com/0123456789abcdef")
    for name in ("webhook_secret", "evo_jkt", "waha_1", "relay_token", "sms_urls"):
        text = text.replace(f"/run/secrets/{name}", str(tmp_path / "secret"))
    (tmp_path / "exporter.yml").write_text(text)
    load(tmp_path / "exporter.yml", {}, {})


@pytest.mark.parametrize("path", sorted(generated(), key=str), ids=lambda path: str(path.relative_to(ROOT / "deploy")))
def test_what_is_generated_is_what_is_committed(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == generated()[path], "run make generate"


def test_nothing_but_generated_files_lies_among_them() -> None:
    assert {file for file in (CHART / "files").rglob("*") if file.is_file()} <= generated().keys()


def test_the_rendered_example_is_that_of_the_chart() -> None:
    assert EXAMPLE.read_text(encoding="utf-8") == example(str(require("helm"))), "run make generate"


def test_every_value_is_explained() -> None:
    def leaves(tree: Tree, path: tuple[str, ...] = ()) -> set[str]:
        found = set()
        for key, value in tree.items():
            name = ".".join((*path, key))
            nested = isinstance(value, dict) and value and name not in explained
            found |= leaves(value, (*path, key)) if nested else {name}
        return found

    explained = {name for name, _ in documented()}
    assert leaves(values()) == explained


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("replica=2", "additional properties 'replica' not allowed"),
        ("storage.kind=mysql", "value must be one of 'sqlite', 'postgresql'"),
        ("replicas=2", "more than one exporter needs storage.kind: postgresql"),
        ("storage.kind=postgresql", "storage.kind: postgresql needs existingSecret"),
        ("webhook.secretKey=a", "webhook.secretKey: is a key of existingSecret, which has no name"),
        ("route.webhook.enabled=true", "route.webhook.parentRefs: names no Gateway"),
    ],
    ids=["an unknown value", "an unknown choice", "two on SQLite", "no secrets", "a key of nothing", "no Gateway"],
)
def test_values_that_cannot_work_are_refused_with_a_sentence(given: str, said: str) -> None:
    done = helm("template", "t", str(CHART), "--set", given)
    assert done.returncode != 0
    assert said in done.stderr


def test_several_exporters_must_sign_links_with_one_secret() -> None:
    given = ("--set=pages.enabled=true", f"--values={CHART}/ci/postgresql-values.yaml")
    assert "pages.secretKey: is needed" in helm("template", "t", str(CHART), *given).stderr


# -- one exporter, several ---------------------------------------------------------------------------------------------


def test_on_sqlite_there_is_one_exporter_with_a_volume_and_nothing_that_holds_up_a_drain(
    objects: dict[str, list[Tree]],
) -> None:
    spec = only(objects[DEFAULT], "StatefulSet")["spec"]
    assert spec["replicas"] == 1
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "5Gi"
    assert "PodDisruptionBudget" not in kinds(objects[DEFAULT])
    assert "affinity" not in pod(objects[DEFAULT])


def test_on_postgresql_there_are_several_apart_from_each_other_without_a_volume(
    objects: dict[str, list[Tree]],
) -> None:
    trees = objects[POSTGRESQL]
    spec = only(trees, "StatefulSet")["spec"]
    assert (spec["replicas"], "volumeClaimTemplates" in spec) == (3, False)
    (term,) = pod(trees)["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["topologyKey"] == "kubernetes.io/hostname"
    assert term["labelSelector"]["matchLabels"] == spec["selector"]["matchLabels"]
    assert only(trees, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    environ = {one["name"]: one["value"] for one in pod(trees)["containers"][0]["env"]}
    assert environ["DEVICE_EXPORTER_STORAGE_URL"] == ""
    assert environ["DEVICE_EXPORTER_STORAGE_URL_FILE"] == "/run/secrets/storage_url"


@pytest.mark.parametrize("name", [DEFAULT, OPERATOR, POSTGRESQL, GATEWAY])
def test_the_container_may_do_no_more_than_it_must(objects: dict[str, list[Tree]], name: str) -> None:
    for container in pod(objects[name])["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    found = pod(objects[name])
    assert found["securityContext"]["runAsNonRoot"] is True
    assert found["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert found["automountServiceAccountToken"] is False


# -- ways in and out ---------------------------------------------------------------------------------------------------


def test_each_listener_has_its_service(objects: dict[str, list[Tree]]) -> None:
    def ports(name: str) -> dict[str, list[int]]:
        services = [tree for tree in objects[name] if tree["kind"] == "Service"]
        return {one["metadata"]["name"]: [port["port"] for port in one["spec"]["ports"]] for one in services}

    assert ports(DEFAULT) == {"t-device-exporter-webhook": [8080], "t-device-exporter-admin": [9877]}
    assert ports(GATEWAY)["t-device-exporter-pages"] == [8081]
    assert only(objects[DEFAULT], "Service", "-admin")["spec"]["clusterIP"] == "None"


def test_an_ingress_passes_exactly_the_paths(objects: dict[str, list[Tree]]) -> None:
    def paths(tree: Tree) -> list[tuple[str, str, str]]:
        (rule,) = tree["spec"]["rules"]
        return [
            (path["path"], path["pathType"], path["backend"]["service"]["port"]["name"])
            for path in rule["http"]["paths"]
        ]

    assert paths(only(objects[OPERATOR], "Ingress")) == [("/webhook", "Exact", "webhook")]
    assert paths(only(objects[GATEWAY], "Ingress")) == [("/a", "Prefix", "pages"), ("/s", "Prefix", "pages")]


def test_a_route_passes_exactly_the_paths_those_of_gateways_too(objects: dict[str, list[Tree]]) -> None:
    def paths(suffix: str) -> list[tuple[str, str]]:
        (rule,) = only(objects[GATEWAY], "HTTPRoute", suffix)["spec"]["rules"]
        return [(match["path"]["type"], match["path"]["value"]) for match in rule["matches"]]

    assert paths("-webhook") == [
        ("Exact", "/webhook"),
        ("PathPrefix", "/webhook/evo-jkt"),
        ("PathPrefix", "/webhook/waha-1"),
    ]
    assert paths("-pages") == [("PathPrefix", "/a"), ("PathPrefix", "/s")]


def test_the_network_policy_is_on_and_opens_what_is_used(objects: dict[str, list[Tree]]) -> None:
    def ports(name: str, direction: str) -> list[int]:
        rules = only(objects[name], "NetworkPolicy")["spec"][direction]
        return sorted({port["port"] for rule in rules for port in rule["ports"]})

    assert (ports(DEFAULT, "ingress"), ports(DEFAULT, "egress")) == ([8080, 9877], [53, 9093])
    assert ports(POSTGRESQL, "egress") == [53, 5432, 9093]
    assert (ports(GATEWAY, "ingress"), ports(GATEWAY, "egress")) == ([8080, 8081, 9877], [53, 443, 9093])
    admin = only(objects[DEFAULT], "NetworkPolicy")["spec"]["ingress"][1]
    assert admin["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]


# -- the operator's objects ------------------------------------------------------------------------------------------


def test_rules_are_the_stacks_own_unrendered_and_their_alerts_have_the_namespace(
    objects: dict[str, list[Tree]],
) -> None:
    for file in (ROOT / "prometheus" / "rules").glob("*.yml"):
        if file.name == "stack.yml":
            continue
        expected = yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
        for rule in [rule for group in expected for rule in group["rules"] if "alert" in rule]:
            rule["labels"]["namespace"] = "devices"
            url = rule["annotations"]["runbook_url"]
            rule["annotations"]["runbook_url"] = url.replace(
                "docs/runbook.md", "https://runbook.example.com/runbook.md"
            )
        assert only(objects[OPERATOR], "PrometheusRule", f"-{file.stem}")["spec"]["groups"] == expected


def test_direct_alerts_have_the_namespace_that_the_routes_ask_for(objects: dict[str, list[Tree]]) -> None:
    assert configuration(objects[OPERATOR])["alerts"]["labels"] == {"namespace": "devices"}
    assert configuration(objects["everything"])["alerts"]["labels"] == {"cluster": "jkt"}
    assert "labels" not in configuration(objects[DEFAULT])["alerts"]


def test_the_alertmanager_config_routes_and_mutes_as_the_stacks_file_does(objects: dict[str, list[Tree]]) -> None:
    source = yaml.safe_load((ROOT / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8"))
    spec = only(objects[OPERATOR], "AlertmanagerConfig")["spec"]
    assert _former(spec["route"]) == _plain(source["route"])
    assert [rule["equal"] for rule in spec["inhibitRules"]] == [rule["equal"] for rule in source["inhibit_rules"]]
    for made, rule in zip(spec["inhibitRules"], source["inhibit_rules"], strict=True):
        assert _texts(made["sourceMatch"]) == _texts(rule["source_matchers"])
        assert _texts(made["targetMatch"]) == _texts(rule["target_matchers"])
    receivers = {one["name"]: one for one in spec["receivers"]}
    assert list(receivers) == [one["name"] for one in source["receivers"]]
    assert list(receivers["chat"]) == ["name", "slackConfigs"]
    assert list(receivers["sms"]) == ["name"]


def _texts(matchers: list[Any]) -> list[str]:
    """Return matchers in one form, whichever of the two they are in."""
    texts = [one if isinstance(one, str) else f"{one['name']}{one['matchType']}{one['value']}" for one in matchers]
    return [text.replace(" ", "").replace('"', "") for text in texts]


def _plain(route: Tree) -> Tree:
    changed = {"matchers": _texts, "routes": lambda routes: [_plain(one) for one in routes]}
    return {key: changed.get(key, lambda value: value)(value) for key, value in route.items()}


def _former(route: Tree) -> Tree:
    names = {"groupBy", "groupWait", "groupInterval", "repeatInterval", "muteTimeIntervals"}
    snake = {name: "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name) for name in names}
    changed = {"matchers": _texts, "routes": lambda routes: [_former(one) for one in routes]}
    return {snake.get(key, key): changed.get(key, lambda value: value)(value) for key, value in route.items()}


def test_messages_are_in_the_language_and_lead_to_the_given_addresses(objects: dict[str, list[Tree]]) -> None:
    data = only(objects[OPERATOR], "ConfigMap", "-messages")["data"]
    assert set(data) == {"settings.tmpl", "messages.tmpl", "en.tmpl"}
    assert '$runbook := "https://runbook.example.com/runbook.md"' in data["messages.tmpl"]
    assert "localhost:3000" not in data["messages.tmpl"]


def test_dashboards_are_the_stacks_own_each_in_its_config_map(objects: dict[str, list[Tree]]) -> None:
    for name, language in ((OPERATOR, "en"), (GATEWAY, "id")):
        for file in (ROOT / "grafana" / "dashboards" / language).glob("*.json"):
            board = only(objects[name], "ConfigMap", f"-{file.stem}")
            text = file.read_text(encoding="utf-8")
            if name == OPERATOR:
                text = text.replace("http://localhost:9877", "https://devices.example.com")
                assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
            assert json.loads(board["data"][file.name]) == json.loads(text)
            assert len(board["data"][file.name]) < 2**20
    found = [tree for tree in objects[GATEWAY] if tree["kind"] == "GrafanaDashboard"]
    assert len(found) == 5
    assert found[0]["spec"]["configMapRef"]["key"].endswith(".json")


def test_it_is_scraped_as_the_job_that_it_is_whatever_the_release_is_called(objects: dict[str, list[Tree]]) -> None:
    monitor = only(objects[OPERATOR], "ServiceMonitor")
    (endpoint,) = monitor["spec"]["endpoints"]
    assert {"targetLabel": "job", "replacement": "device-exporter"} in endpoint["relabelings"]
    labels = only(objects[OPERATOR], "Service", "-admin")["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert monitor["metadata"]["labels"]["release"] == "kube-prometheus-stack"


# -- changes -----------------------------------------------------------------------------------------------------------


def test_a_changed_configuration_starts_the_pod_anew_unless_a_sidecar_reloads_it(
    objects: dict[str, list[Tree]],
) -> None:
    def annotations(trees: list[Tree]) -> Tree:
        found: Tree = only(trees, "StatefulSet")["spec"]["template"]["metadata"]["annotations"]
        return found

    changed = rendered(DEFAULT, "--set=config.alerts.direct=false")
    assert annotations(changed)["checksum/config"] != annotations(objects[DEFAULT])["checksum/config"]
    assert "checksum/config" not in annotations(objects[GATEWAY])
    reloader = pod(objects[GATEWAY])["containers"][1]
    assert "--reload-url=http://127.0.0.1:9877/-/reload" in reloader["args"]


def test_the_notes_say_where_to_send_webhooks_and_how_to_read_their_secret() -> None:
    given = ("--dry-run=client", "-n", "devices", f"--values={CHART}/ci/default-values.yaml")
    done = helm("install", "t", str(CHART), *given)
    notes = done.stdout.partition("NOTES:")[2]
    assert "http://t-device-exporter-webhook.devices.svc:8080/webhook" in notes
    assert "exec t-device-exporter-0 -- cat /data/webhook-secret" in notes
    assert "NO ALERTS ARE POSTED" in notes
