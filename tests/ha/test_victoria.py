"""Beyond one Prometheus: a pair writes to a real VictoriaMetrics, and a real vmalert evaluates the rules, once."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
import yaml

from tests.e2e.harness import Alertmanager, HttpSink, Program, Prometheus, request, running, shipped_config, sinks
from tests.e2e.test_safety_net import page
from tests.patience import wait_for
from tests.ports import LOOPBACK
from tests.tools import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.harness import Sinks

pytestmark = pytest.mark.binaries

OF_THE_PAIR = ROOT / "prometheus/rules/exporter.yml"
"""What the pair goes on evaluating: the net must not hang on the big store."""
RULES = sorted(set((ROOT / "prometheus/rules").glob("*.yml")) - {OF_THE_PAIR})
NOT_YET = ("keep_firing_for", "toTime")
"""A key and a function of templates that vmalert has in newer versions than the packaged one."""
INTERVAL = 0.5
"""Seconds between two scrapes of either Prometheus, and of the samples that are kept."""


class Victoria(Program):
    """A single VictoriaMetrics, which keeps one sample of an interval, whoever of a pair sent it."""

    def __init__(self, folder: Path) -> None:
        super().__init__("victoria-metrics", folder, "/health")

    def arguments(self) -> list[str]:
        return [
            f"-storageDataPath={self.folder}/data",
            f"-httpListenAddr={LOOPBACK}:{self.port}",
            f"-dedup.minScrapeInterval={INTERVAL * 1000:.0f}ms",
            "-retentionPeriod=100y",
            "-search.latencyOffset=0s",
            "-memory.allowedBytes=64MB",
        ]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the instant vector of an expression."""
        answer = request(f"{self.url}/api/v1/query?{urlencode({'query': expression, 'nocache': 1})}")
        return list(answer["data"]["result"])

    def value(self, expression: str) -> float | None:
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else None


class Vmalert(Program):
    """Evaluates the shipped rules on a VictoriaMetrics, keeps what they record there, and tells Alertmanagers."""

    def __init__(self, folder: Path, victoria: Victoria, alertmanagers: list[Alertmanager]) -> None:
        super().__init__("vmalert", folder, "/health")
        self._victoria = victoria
        self._alertmanagers = alertmanagers
        for path in RULES:
            (folder / path.name).write_text(_quick(path), encoding="utf-8")

    def arguments(self) -> list[str]:
        store = self._victoria.url
        return [
            *(f"-rule={self.folder}/{path.name}" for path in RULES),
            *(f"-notifier.url={one.url}" for one in self._alertmanagers),
            f"-httpListenAddr={LOOPBACK}:{self.port}",
            *(f"-{what}.url={store}" for what in ("datasource", "remoteWrite", "remoteRead")),
            "-evaluationInterval=1s",
            "-remoteWrite.flushInterval=100ms",
            "-datasource.queryStep=1s",
        ]


def _quick(path: Path) -> str:
    """Return a rule file without what the packaged vmalert does not know, every group at the test's interval."""
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    for group in tree["groups"]:
        group.pop("interval", None)
        for rule in group["rules"]:
            rule.pop(NOT_YET[0], None)
            texts = rule.get("annotations", {})
            rule["annotations"] = {name: text for name, text in texts.items() if NOT_YET[1] not in text}
            if "record" in rule:
                del rule["annotations"]
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)


def _writing_to(prometheus: Prometheus, victoria: Victoria) -> Prometheus:
    """Let a member of a pair send all that it reads, without what tells it from the other."""
    file = prometheus.folder / "prometheus.yml"
    tree = yaml.safe_load(file.read_text())
    tree["global"]["external_labels"] = {"cluster": "shop", "replica": prometheus.folder.name}
    drop = {"regex": "replica", "action": "labeldrop"}
    tree["remote_write"] = [
        {
            "url": f"{victoria.url}/api/v1/write",
            "write_relabel_configs": [drop],
            "queue_config": {"batch_send_deadline": "200ms"},
        }
    ]
    tree["alerting"]["alert_relabel_configs"] = [drop]
    file.write_text(yaml.safe_dump(tree))
    return prometheus


class Big:
    def __init__(self, exporter: HttpSink, victoria: Victoria, pair: list[Prometheus], where: Sinks) -> None:
        self.exporter, self.victoria, self.pair, self.where = exporter, victoria, pair, where


@pytest.fixture
def big(tmp_path: Path) -> Iterator[Big]:
    with sinks(tmp_path) as where, HttpSink() as exporter:
        exporter.pages["/metrics"] = page([], 10)
        alertmanager = Alertmanager(tmp_path / "alertmanager", shipped_config(where))
        victoria = Victoria(tmp_path / "victoria")
        pair = [
            Prometheus(
                tmp_path / name,
                targets={"device-exporter": exporter.address},
                rules=[OF_THE_PAIR],
                alertmanagers=[f"{LOOPBACK}:{alertmanager.port}"],
            )
            for name in ("a", "b")
        ]
        for one in pair:
            _writing_to(one, victoria)
        vmalert = Vmalert(tmp_path / "vmalert", victoria, [alertmanager])
        with running(alertmanager, victoria, *pair, vmalert):
            yield Big(exporter, victoria, pair, where)


@pytest.mark.slow
def test_a_pair_is_one_in_the_big_store_and_its_rules_tell_once(big: Big) -> None:
    victoria = big.victoria
    wait_for(lambda: victoria.query("fleet_devices"), "what the pair reads is there", 30)
    big.exporter.pages["/metrics"] = page(["device_7f3a"], 9, delivered=False)

    # a new series is found some seconds after it was written, and rules read what others have recorded
    wait_for(big.where.slack, "vmalert tells of the device", 90)
    [text] = big.where.slack()
    assert text.startswith("🔴 MATI: Front desk WhatsApp (Toko Makmur), ")
    assert victoria.value('count(device_up{device_id="device_7f3a"})') == 1
    firing = 'count(ALERTS{alertname="DeviceDown", alertstate="firing"})'
    wait_for(lambda: victoria.value(firing), "what fires is recorded", 30)
    assert victoria.value(firing) == 1

    began = time.time()
    wait_for(lambda: time.time() > began + 4, "some scrapes of both", 10)
    kept = victoria.value('count_over_time(device_exporter_build_info{job="device-exporter"}[4s])')
    assert kept is not None
    assert 2 <= kept <= 4 / INTERVAL + 1, "one sample of an interval, not two"
    sums = victoria.value("sum(engine:fleet_devices:sum)")
    assert sums == 10, "recorded by vmalert, and not twice"

    big.pair[0].stop()
    big.exporter.pages["/metrics"] = page([], 10)
    wait_for(lambda: len(big.where.slack()) == 2, "its end is told by what the other one reads", 90)
    assert "PULIH: Front desk WhatsApp" in big.where.slack()[1]
    assert len(big.where.slack()) == 2


def test_every_shipped_rule_is_one_that_vmalert_takes(tmp_path: Path) -> None:
    vmalert = Vmalert(tmp_path, Victoria(tmp_path), [])
    done = _dry_run(vmalert)
    assert done == ""


def _dry_run(vmalert: Vmalert) -> str:
    command = [vmalert._binary, "-dryRun", *(f"-rule={vmalert.folder}/{path.name}" for path in RULES)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stderr if done.returncode else ""
