"""The rules as a net under the direct path: a real Prometheus scrapes a page and tells the real Alertmanager."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import (
    Alertmanager,
    Device,
    HttpSink,
    Prometheus,
    Sinks,
    engine_outage,
    running,
    shipped_config,
    sinks,
)
from tests.patience import wait_for
from tests.tools import ROOT

pytestmark = pytest.mark.binaries

RULES = [ROOT / "prometheus" / "rules" / name for name in ("devices.yml", "exporter.yml")]
PAST_THE_GRACE = 95
"""Seconds; the rules leave the direct path 90."""


def page(down: list[str], up: int, *, delivered: bool | None = None, age: float = PAST_THE_GRACE) -> str:
    """Return an exporter's metrics with these WhatsApp devices down for `age` seconds, and `up` others connected."""
    lines = [
        'device_exporter_build_info{version="1.0.0"} 1',
        'policy_alert_after_seconds{engine="wa"} 0',
        'policy_escalate_after_seconds{engine="wa",step="1",escalation="management",held="acknowledged"} 0',
        'policy_severity_info{engine="wa",severity="critical"} 1',
        f'fleet_devices{{engine="wa",business_id="biz_9",state="down"}} {len(down)}',
        f'fleet_devices{{engine="wa",business_id="biz_9",state="up"}} {up}',
    ]
    for device in down:
        ids = f'device_id="{device}",engine="wa",channel_id="channel_11",business_id="biz_9"'
        names = 'device_name="Front desk WhatsApp",channel_name="WhatsApp Business",business_name="Toko Makmur"'
        lines += [
            f"device_up{{{ids}}} 0",
            f"device_state_change_timestamp_seconds{{{ids}}} {time.time() - age:.0f}",
            f"device_down_since_timestamp_seconds{{{ids},{names}}} {time.time() - age:.0f}",
            f"device_affected_conversations{{{ids}}} 14",
            f'device_info{{{ids},{names},user_id="merchant_2",user_name="Ibu Sari"}} 1',
        ]
        if delivered is not None:
            lines.append(f"device_alert_delivered{{{ids}}} {delivered:d}")
    return "\n".join(lines) + "\n"


class Net:
    """What the tests hold: the page that is scraped, the two programs, and where messages arrive."""

    def __init__(self, exporter: HttpSink, prometheus: Prometheus, alertmanager: Alertmanager, where: Sinks) -> None:
        self.exporter = exporter
        self.prometheus = prometheus
        self.alertmanager = alertmanager
        self.where = where

    def show(self, text: str) -> None:
        self.exporter.pages["/metrics"] = text

    def firing(self, name: str) -> int:
        return len(self.prometheus.query(f'ALERTS{{alertname="{name}",alertstate="firing"}}'))


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    with sinks(tmp_path) as where, HttpSink() as exporter:
        alertmanager = Alertmanager(tmp_path / "alertmanager", shipped_config(where))
        prometheus = Prometheus(
            tmp_path / "prometheus",
            targets={"device-exporter": exporter.address},
            rules=RULES,
            alertmanagers=[f"127.0.0.1:{alertmanager.port}"],
        )
        with running(alertmanager, prometheus):
            yield Net(exporter, prometheus, alertmanager, where)


def test_a_device_that_the_direct_path_did_not_tell_of_is_told_by_the_rule(net: Net) -> None:
    net.show(page(["device_7f3a"], 9, delivered=False))

    wait_for(lambda: min(net.where.counts().values()) == 1, "one message on each way")

    [text] = net.where.slack()
    assert text.startswith("🔴 MATI: Front desk WhatsApp (Toko Makmur), ")
    assert "Percakapan terdampak: 14." in text
    assert "peringatan langsung tidak terkirim" in text
    assert "ESKALASI: Front desk WhatsApp" in net.where.management()[0]

    net.show(page([], 10))
    wait_for(lambda: min(net.where.counts().values()) == 2, "its end on each way")
    assert "PULIH: Front desk WhatsApp (Toko Makmur)" in net.where.slack()[1]


def test_a_device_that_the_direct_path_told_of_is_left_to_it(net: Net) -> None:
    net.show(page(["device_7f3a"], 9, delivered=True))
    wait_for(lambda: net.prometheus.query("device_alert_delivered == 1"), "the page is scraped")
    net.prometheus.evaluate()

    assert net.firing("DeviceDown") == 0
    assert net.where.slack() == []


def test_an_exporter_that_dies_ends_no_alert_of_the_rule(net: Net) -> None:
    net.show(page(["device_7f3a"], 9, delivered=False))
    wait_for(lambda: net.firing("DeviceDown") == 1, "the rule fires")
    wait_for(net.where.slack, "it is told")

    del net.exporter.pages["/metrics"]
    wait_for(lambda: net.prometheus.query("absent(fleet_devices)"), "the scrape fails")
    net.prometheus.evaluate()
    assert net.firing("DeviceDown") == 1

    net.show(page(["device_7f3a"], 9, delivered=False))
    wait_for(lambda: net.prometheus.query("fleet_devices"), "the exporter answers again")
    net.prometheus.evaluate()
    assert len(net.where.slack()) == 1


def test_the_direct_path_that_heals_takes_over_without_a_storm(net: Net) -> None:
    devices = [f"d{n}" for n in range(20)]
    net.show(page(devices, 80, delivered=False))
    wait_for(lambda: len(net.where.slack()) == len(devices), "a message for each device")

    net.alertmanager.post(*(Device(device, since=int(time.time()) - PAST_THE_GRACE).alert() for device in devices))
    net.show(page(devices, 80, delivered=True))
    wait_for(lambda: net.firing("DeviceDown") == 0, "the rule lets go")
    net.prometheus.evaluate()

    assert not [text for text in net.where.slack() if "PULIH" in text]
    assert len(net.where.slack()) <= 2 * len(devices)


@pytest.mark.slow  # it waits for the rules, three times
def test_a_mass_outage_that_only_prometheus_sees_is_a_handful_of_messages(net: Net) -> None:
    devices = [f"d{n}" for n in range(200)]
    net.alertmanager.post(engine_outage(source="prometheus"))
    wait_for(net.where.slack, "the mass outage is told")
    net.show(page(devices, 100, delivered=False))
    wait_for(lambda: net.firing("DeviceDown") == len(devices), "the rule fires for each device")
    wait_for(lambda: len(net.alertmanager.alerts("alertname=DeviceDown")) == len(devices), "Alertmanager has them")
    net.prometheus.evaluate()

    assert len(net.where.slack()) == 1
    assert len(net.where.management()) == 1
