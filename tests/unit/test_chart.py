"""The Helm chart, rendered with each values file: Kubernetes' own schemas take it, and it says what it should."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any, get_args

import jsonschema
import kubernetes_validate
import pytest
import yaml

from exporter.config import Config, load
from exporter.config.build import field_types, is_struct, without_none
from exporter.config.schema import Secret
from exporter.lib.yaml import parse_yaml
from scripts.chart import CHART, EXAMPLE, documented, example, generated, values
from scripts.chart_config import schema_of, secret_keys
from tests.patience import patient
from tests.tools import ROOT, require

if TYPE_CHECKING:
    from collections.abc import Iterator
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


def test_names_that_are_digits_stay_texts() -> None:
    named = "fullnameOverride=fleet"  # what a Service is called begins with a letter
    done = helm(
        "template", "123", str(CHART), "-n", "1234", f"--values={CHART}/ci/{OPERATOR}-values.yaml", "--set", named
    )
    assert done.returncode == 0, done.stderr
    for tree in filter(None, yaml.load_all(done.stdout, _Loader)):
        assert tree["metadata"]["namespace"] == "1234"
        assert tree["metadata"]["labels"]["app.kubernetes.io/instance"] == "123"
        if tree["kind"] not in OF_OPERATORS:
            kubernetes_validate.validate(tree, kubernetes_validate.latest_version(), strict=True)


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


REFUSED = {
    "an unknown value": ({"replica": 2}, "additional properties 'replica' not allowed"),
    "an unknown choice": ({"storage": {"kind": "mysql"}}, "value must be one of 'sqlite', 'postgresql'"),
    "an unknown key of the configuration": (
        {"config": {"policies": {"wa": {"alert_affter": "5m"}}}},
        "additional properties 'alert_affter' not allowed",
    ),
    "no port": ({"storage": {"port": 0}}, "minimum: got 0, want 1"),
    "two on SQLite": ({"replicas": 2}, "more than one exporter needs storage.kind: postgresql"),
    "no secrets": ({"storage": {"kind": "postgresql"}}, "storage.kind: postgresql needs existingSecret"),
    "no key of the database's URL": (
        {
            "storage": {"kind": "postgresql", "urlKey": ""},
            "existingSecret": "a",
            "webhook": {"secretKey": "b"},
        },
        "storage.urlKey: names no key of existingSecret",
    ),
    "a load balancer whose callers are shut out": (
        {"service": {"type": "LoadBalancer"}, "networkPolicy": {"ingressNamespaces": ["ingress-nginx"]}},
        "networkPolicy.ingressNamespaces: who calls a service of type LoadBalancer is in no namespace",
    ),
    "a key of nothing": (
        {"webhook": {"secretKey": "a"}},
        "webhook.secretKey: is a key of existingSecret, which has no name",
    ),
    "files of nothing": (
        {"config": {"notify": {"token_file": "/run/secrets/token"}}},
        "config: names files under /run/secrets, which are keys of existingSecret",
    ),
    "a digest that is none": ({"image": {"digest": "sha256:1"}}, "image.digest: expected sha256:"),
    "a secret among flags": (
        {"extraArgs": ["--notify.token=a"]},
        "extraArgs: --notify.token: is a secret, which everybody could read here",
    ),
    "a secret among variables": (
        {"extraEnv": [{"name": "DEVICE_EXPORTER_GATEWAYS_EVO_SECRET", "value": "a"}]},
        "extraEnv: DEVICE_EXPORTER_GATEWAYS_EVO_SECRET: is a secret",
    ),
    "a map with secrets among variables": (
        {"extraEnv": [{"name": "DEVICE_EXPORTER_GATEWAYS", "value": "{}"}]},
        "extraEnv: DEVICE_EXPORTER_GATEWAYS: is a secret",
    ),
    "a password in a URL": (
        {"config": {"failover": [{"channel": "a", "backup": "b", "hook": {"url": "https://u:p@example.com"}}]}},
        "a URL holds a password",
    ),
    "a password in Alertmanager's URL": ({"alertmanager": {"urls": ["http://u:p@a:9093"]}}, "a URL holds a password"),
    "a password in a proxy's URL": (
        {"extraEnv": [{"name": "HTTPS_PROXY", "value": "http://u:p@proxy:3128"}]},
        "extraEnv: HTTPS_PROXY: a URL holds a password",
    ),
    "a password in a receiver's URL": (
        {"alertmanagerConfig": {"receivers": {"sms": {"webhookConfigs": [{"url": "https://u:p@example.com"}]}}}},
        "alertmanagerConfig.receivers.sms.webhookConfigs: a URL holds a password",
    ),
    "a bot's token in the open": (
        {"alertmanagerConfig": {"receivers": {"chat": {"telegramConfigs": [{"botToken": "1:a", "chatID": 1}]}}}},
        "alertmanagerConfig.receivers.chat.telegramConfigs: botToken is a secret",
    ),
    "a mailbox's password in the open": (
        {"alertmanagerConfig": {"receivers": {"email": {"emailConfigs": [{"authPassword": "a"}]}}}},
        "alertmanagerConfig.receivers.email.emailConfigs: authPassword is a secret",
    ),
    "Slack's address in the open": (
        {"alertmanagerConfig": {"receivers": {"chat": {"slackConfigs": [{"apiURL": "https://example.com"}]}}}},
        "alertmanagerConfig.receivers.chat.slackConfigs: apiURL is a secret",
    ),
    "a scrape's password in the open": (
        {"serviceMonitor": {"basicAuth": {"username": "a", "password": "b"}}},
        "serviceMonitor: password is a secret",
    ),
    "a pod that nothing selects": (
        {"podLabels": {"app.kubernetes.io/name": "x"}},
        "podLabels.app.kubernetes.io/name: the chart selects its pods by this label",
    ),
    "objects of another release's name": (
        {"commonLabels": {"app.kubernetes.io/instance": "x"}},
        "commonLabels.app.kubernetes.io/instance: the chart selects its pods by this label",
    ),
    "no URL of Alertmanager": ({"alertmanager": {"urls": ["alertmanager:9093"]}}, "alertmanager.urls[0]: expected an"),
    "one Alertmanager twice": ({"alertmanager": {"urls": ["http://a:9093"] * 2}}, "the same Alertmanager twice"),
    "no address": ({"externalUrl": "devices.example.com"}, "externalUrl: expected an address"),
    "another port": ({"config": {"web": {"listen_address": ":1"}}}, "config.web.listen_address: the chart sets it"),
    "another port by a flag": (
        {"extraArgs": ["--webhook.listen-address=:1"]},
        "extraArgs: --webhook.listen-address: the",
    ),
    "another port by a variable": (
        {"extraEnv": [{"name": "DEVICE_EXPORTER_WEB_LISTEN_ADDRESS", "value": ":1"}]},
        "extraEnv: DEVICE_EXPORTER_WEB_LISTEN_ADDRESS: the chart sets it",
    ),
    "a database in the configuration": (
        {"config": {"storage": {"url": "postgresql://u:p@db/exporter"}}},
        "config.storage.url: the chart sets it: storage.kind, and for PostgreSQL storage.urlKey",
    ),
    "a language beside the chart's": (
        {"config": {"alerts": {"language": "en"}}},
        "config.alerts.language: the chart sets",
    ),
    "TLS without a certificate": ({"webConfig": {"scheme": "https"}}, "webConfig.scheme: https comes from a web"),
    "a reload without a password": (
        {"existingSecret": "a", "webConfig": {"secretKey": "web.yml"}, "reloader": {"enabled": True}},
        "reloader.enabled: the sidecar knows no password",
    ),
    "an Ingress for everybody's names": (
        {"ingress": {"webhook": {"enabled": True}}},
        "ingress.webhook.hosts: names no",
    ),
    "a route for everybody's names": (
        {"route": {"webhook": {"enabled": True, "parentRefs": [{"name": "a"}]}}},
        "route.webhook.hostnames: names no host",
    ),
    "a route without a Gateway": (
        {"route": {"webhook": {"enabled": True, "hostnames": ["a.example.com"]}}},
        "route.webhook.parentRefs: names no Gateway",
    ),
    "an Ingress to pages that are off": (
        {"ingress": {"pages": {"enabled": True, "hosts": ["a.example.com"]}}},
        "ingress.pages.enabled: leads to the listener of pages, and pages.enabled is false",
    ),
    "status pages that nobody reaches": (
        {"config": {"pages": {"items": [{"title": "a", "devices": ["d"]}]}}},
        "config.pages: are for the listener of pages",
    ),
    "hosts as other charts have them": (
        {"ingress": {"webhook": {"hosts": [{"host": "a.example.com"}]}}},
        "at '/ingress/webhook/hosts/0': got object, want string",
    ),
    "an address of pages that are off": ({"pages": {"externalUrl": "https://a.example.com"}}, "pages.enabled is false"),
    "a gateway's name": ({"config": {"gateways": {"Evo_1": {"preset": "waha"}}}}, "config.gateways.Evo_1: a gateway's"),
    "the built-in gateway's name": ({"config": {"gateways": {"csku": {"preset": "waha"}}}}, "config.gateways.csku: a"),
    "a label that alerts have": ({"alertLabels": {"severity": "a"}}, "alertLabels.severity: alerts have a label"),
    "a label that is no text": ({"alertLabels": {"a": 1}}, "alertLabels.a: expected a text"),
    "no name of a label": ({"alertLabels": {"a-b": "c"}}, "alertLabels.a-b: a label's name has"),
    "a receiver that no route knows": (
        {"alertmanagerConfig": {"enabled": True, "receivers": {"chats": {}}}},
        "alertmanagerConfig.receivers.chats: the routes know no such receiver; there are chat, email, sms",
    ),
    "a way in Alertmanager's own spelling": (
        {"alertmanagerConfig": {"enabled": True, "receivers": {"chat": {"slack_configs": []}}}},
        "alertmanagerConfig.receivers.chat.slack_configs: an AlertmanagerConfig would not know it",
    ),
    "an argument with a password": (
        {"extraArgs": ["--alertmanager.public-url=https://me:sesame@am.example.com"]},
        "extraArgs: a URL holds a password",
    ),
    "a name that begins with a digit": ({"fullnameOverride": "1st"}, "1st cannot be the name of a Service"),
    "a name in capitals": ({"nameOverride": "Exporter"}, "t-Exporter cannot be the name of a Service"),
    "a pod's label twice": (
        {"commonLabels": {"team": "a"}, "podLabels": {"team": "b"}},
        "podLabels.team: the pods have a label of this name already",
    ),
    "rules for another job": (
        {"prometheusRule": {"enabled": True}, "serviceMonitor": {"job": "fleet-b"}},
        "serviceMonitor.job: the rules of the chart are for the job device-exporter",
    ),
}


def refusal(given: Tree, folder: Path) -> str:
    (folder / "values.yaml").write_text(json.dumps(given))
    done = helm("template", "t", str(CHART), f"--values={folder}/values.yaml")
    assert done.returncode != 0, given
    return done.stderr


@pytest.mark.parametrize(("given", "said"), REFUSED.values(), ids=REFUSED)
def test_values_that_cannot_work_are_refused_with_a_sentence(given: Tree, said: str, tmp_path: Path) -> None:
    assert said in refusal(given, tmp_path)


@pytest.mark.parametrize("path", secret_keys(), ids=".".join)
def test_no_secret_of_the_exporter_gets_into_a_config_map(path: tuple[str, ...], tmp_path: Path) -> None:
    url = "https://example.com"
    tree: Tree = {
        "alertmanager": {"basic_auth": {"username": "a"}},
        "failover": [{"channel": "a", "backup": "b", "hook": {"url": url}}],
        "gateways": {"evo": {"preset": "waha", "state": {"url": url}}},
    }
    node: Any = tree
    for part in path[:-1]:
        node = node[0] if part == "[]" else node.setdefault("evo" if part == "*" else part, {})
    node[path[-1]] = ["json://a"] if path[-1] == "urls" else "0123456789abcdef"
    said = refusal({"config": tree}, tmp_path)
    place = ".".join(path).replace(".[]", "[0]").replace("*", "evo")
    assert f"config.{place}: " in said
    assert ("existingSecret names" in said) is (path != ("storage", "url"))


def test_the_exporters_own_types_say_which_keys_are_secret() -> None:
    def secrets(type_: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        for name, hint in field_types(type_).items():
            inner, _ = without_none(hint)
            kinds = [one for one in (inner, *get_args(inner)) if one is not None]
            yield from [(*path, name) for one in kinds if one is Secret]
            yield from [found for one in kinds if is_struct(one) for found in secrets(one, (*path, name))]

    assert {tuple(part for part in path if part not in ("*", "[]")) for path in secret_keys()} == set(secrets(Config))


def test_the_values_that_the_workflow_installs_with_are_taken() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    given = re.findall(r"--set (\S+=\S+)", text)
    assert len(given) == 3
    done = helm("template", "t", str(CHART), *(f"--set={one}" for one in given))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("file", sorted((ROOT / "tests/unit/config/good").glob("*.yml")), ids=lambda file: file.stem)
def test_a_configuration_that_the_exporter_takes_has_no_key_or_kind_that_the_chart_refuses(file: Path) -> None:
    jsonschema.validate(parse_yaml(file.read_text(encoding="utf-8")) or {}, schema_of())


def test_a_secret_by_reference_is_no_secret_in_the_open() -> None:
    env = {"name": "DEVICE_EXPORTER_NOTIFY_TOKEN", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}
    done = helm("template", "t", str(CHART), f"--set-json=extraEnv={json.dumps([env])}")
    assert done.returncode == 0, done.stderr


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
    def ports(trees: list[Tree], direction: str) -> list[int]:
        rules = only(trees, "NetworkPolicy")["spec"][direction]
        return sorted({port["port"] for rule in rules for port in rule["ports"]})

    default, gateway = objects[DEFAULT], objects[GATEWAY]
    assert (ports(default, "ingress"), ports(default, "egress")) == ([8080, 9877], [53])
    assert ports(objects[POSTGRESQL], "egress") == [53, 5432, 9093]
    assert ports(rendered(POSTGRESQL, "--set=storage.port=6432"), "egress") == [53, 6432, 9093]
    assert (ports(gateway, "ingress"), ports(gateway, "egress")) == ([8080, 8081, 9877], [53, 443, 3000, 9093])
    admin = only(default, "NetworkPolicy")["spec"]["ingress"][1]
    assert admin["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]


@pytest.mark.parametrize(
    ("url", "port", "namespace"),
    [
        ("dns+http://alertmanager-operated.monitoring.svc:9094", 9094, "monitoring"),
        ("http://alertmanager-0.alertmanager.watch.svc.cluster.local:9093/alerts", 9093, "watch"),
        ("https://alertmanager.example.com", 443, None),
        ("https://am.svc.example.com", 443, None),
        ("https://one.am.svc.example.com", 443, None),
        ("http://alertmanager", 80, None),
    ],
    ids=[
        "a headless service",
        "a pod, whole name",
        "outside, its usual port",
        "svc in a public name",
        "svc in a longer public name",
        "a short name",
    ],
)
def test_the_network_policy_lets_out_to_where_alertmanager_is(url: str, port: int, namespace: str | None) -> None:
    trees = rendered(DEFAULT, f"--set-json=alertmanager.urls={json.dumps([url])}")
    _, rule = only(trees, "NetworkPolicy")["spec"]["egress"]
    assert rule["ports"] == [{"port": port, "protocol": "TCP"}]
    found = [one["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for one in rule.get("to", [])]
    assert found == ([namespace] if namespace else [])


def test_the_pods_probes_need_neither_a_password_nor_a_certificate(objects: dict[str, list[Tree]]) -> None:
    container = pod(objects["everything"])["containers"][0]
    probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
    assert probes == [{"path": path, "port": "webhook"} for path in ("/-/healthy", "/-/healthy", "/-/ready")]


# -- the operator's objects ------------------------------------------------------------------------------------------


def test_rules_are_the_stacks_own_unrendered_and_their_alerts_have_the_namespace(
    objects: dict[str, list[Tree]],
) -> None:
    for file in (ROOT / "prometheus" / "rules").glob("*.yml"):
        if file.name == "stack.yml":
            continue
        expected = yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
        for rule in [rule for group in expected for rule in group["rules"] if "alert" in rule]:
            rule["labels"] |= {"namespace": "devices", "job": "device-exporter"}
            url = rule["annotations"]["runbook_url"]
            rule["annotations"]["runbook_url"] = url.replace(
                "docs/runbook.md", "https://runbook.example.com/runbook.md"
            )
        assert only(objects[OPERATOR], "PrometheusRule", f"-{file.stem}")["spec"]["groups"] == expected


def test_direct_alerts_have_the_namespace_that_the_routes_ask_for(objects: dict[str, list[Tree]]) -> None:
    labels = {"namespace": "devices", "job": "device-exporter"}
    assert configuration(objects[OPERATOR])["alerts"]["labels"] == labels
    assert configuration(objects["everything"])["alerts"]["labels"] == {"cluster": "jkt", "job": "device-exporter"}
    assert configuration(objects[DEFAULT])["alerts"]["labels"] == {"job": "device-exporter"}


def test_the_alertmanager_config_routes_and_mutes_as_the_stacks_file_does(objects: dict[str, list[Tree]]) -> None:
    source = yaml.safe_load((ROOT / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8"))
    spec = only(objects[OPERATOR], "AlertmanagerConfig")["spec"]
    assert spec["route"].pop("matchers") == [{"name": "job", "matchType": "=", "value": "device-exporter"}]
    assert _former(spec["route"]) == _plain(source["route"])
    assert [rule["equal"] for rule in spec["inhibitRules"]] == [rule["equal"] for rule in source["inhibit_rules"]]
    for made, rule in zip(spec["inhibitRules"], source["inhibit_rules"], strict=True):
        assert _texts(made["sourceMatch"]) == _texts(rule["source_matchers"])
        assert _texts(made["targetMatch"]) == _texts(rule["target_matchers"])
    receivers = {one["name"]: one for one in spec["receivers"]}
    assert list(receivers) == [one["name"] for one in source["receivers"]]
    assert list(receivers["chat"]) == ["name", "slackConfigs"]
    assert list(receivers["sms"]) == ["name"]
    (chat,), (once,) = receivers["chat"]["slackConfigs"], receivers["chat-once"]["slackConfigs"]
    assert once == chat | {"sendResolved": False}


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
    assert '$pages := "https://devices.example.com"' in data["messages.tmpl"]
    assert '$grafana := "https://grafana.example.com"' in data["messages.tmpl"]
    assert "localhost:3000" not in data["messages.tmpl"]
    given = configuration(objects[OPERATOR])
    assert given["web"]["external_url"] == "https://devices.example.com"
    assert given["alerts"]["runbook_url"] == "https://runbook.example.com/runbook.md"
    board = given["alerts"]["dashboard_url"].removeprefix("https://grafana.example.com/d/").partition("?")[0]
    assert board in {json.loads(text)["uid"] for text in _boards(objects[OPERATOR])}


def _boards(trees: list[Tree]) -> list[str]:
    maps = [tree for tree in trees if tree["kind"] == "ConfigMap"]
    return [text for tree in maps for name, text in tree["data"].items() if name.endswith(".json")]


def test_receivers_say_our_texts_under_names_of_ours_and_only_where_alertmanager_has_them(
    objects: dict[str, list[Tree]],
) -> None:
    texts = "".join(only(objects[OPERATOR], "ConfigMap", "-messages")["data"].values())
    defined = set(re.findall(r'define "([^"]+)"', texts))
    assert all(name.startswith("device-exporter.") for name in defined)
    receivers = {one["name"]: one for one in only(objects[OPERATOR], "AlertmanagerConfig")["spec"]["receivers"]}
    said = re.findall(r'template "([^"]+)"', json.dumps(receivers).replace('\\"', '"'))
    assert len(said) > 10
    assert set(said) <= defined
    without = rendered(OPERATOR, "--set=alertmanagerConfig.texts=false")
    assert not [tree for tree in without if tree["metadata"]["name"].endswith("-messages")]
    assert "template" not in json.dumps(only(without, "AlertmanagerConfig"))
    mine = rendered(OPERATOR, "--set=alertmanagerConfig.receivers.chat.slackConfigs[0].title=mine")
    chat = only(mine, "AlertmanagerConfig")["spec"]["receivers"][0]
    assert chat["slackConfigs"][0]["title"] == "mine"


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
    operator = helm("install", "t", str(CHART), "--dry-run=client", f"--values={CHART}/ci/{OPERATOR}-values.yaml")
    assert "until Alertmanager reads the ConfigMap t-device-exporter-messages" in operator.stdout
