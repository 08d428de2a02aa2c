"""Alertmanagers that are found by DNS: every address of a name gets every alert, and a name's addresses may change."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from exporter.alerting import members as members_module
from exporter.alerting.direct import DirectAlerts
from exporter.alerting.members import Member, Members, members_of
from exporter.config.schema import Alertmanager, Config
from exporter.metrics.own import SelfMetrics
from tests.patience import eventually
from tests.unit.alerting_site import POLICIES, FakeAlertmanager
from tests.unit.journal_site import Site, event

if TYPE_CHECKING:
    from pathlib import Path

NAME = "dns+http://alertmanager.monitoring:9093"


class Names:
    """A resolver that knows what it is told."""

    def __init__(self) -> None:
        self.known: dict[str, list[str]] = {}
        self.hangs = False

    async def addresses(self, host: str, _port: int) -> list[str]:
        if self.hangs:
            await asyncio.Event().wait()
        if not self.known.get(host):
            raise OSError(-2, "Name or service not known")
        return self.known[host]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    found = Names()
    monkeypatch.setattr(members_module, "addresses", found.addresses)
    return found


def members_by(*urls: str) -> tuple[Members, SelfMetrics]:
    config = msgspec.structs.replace(Config(), alertmanager=Alertmanager(urls=urls))
    metrics = SelfMetrics(CollectorRegistry())
    return Members(lambda: config, metrics), metrics


def errors(metrics: SelfMetrics, url: str) -> float | None:
    labels = {"alertmanager": url, "result": "error"}
    return metrics.registry.get_sample_value("device_exporter_alert_pushes_total", labels)


@pytest.mark.parametrize(
    ("url", "found", "expected"),
    [
        ("http://am:9093", [], [Member("http://am:9093")]),
        (
            "dns+http://am:9093",
            ["10.0.0.1", "10.0.0.2"],
            [Member("http://10.0.0.1:9093"), Member("http://10.0.0.2:9093")],
        ),
        ("dns+http://am:9093/alerts/", ["10.0.0.1"], [Member("http://10.0.0.1:9093/alerts")]),
        ("dns+https://am", ["10.0.0.1"], [Member("https://10.0.0.1:443", "am")]),
        ("dns+http://am", ["fd00::1"], [Member("http://[fd00::1]:80")]),
        ("dns+http://am:9093", ["10.0.0.1", "fd00::1"], [Member("http://10.0.0.1:9093")]),
    ],
    ids=[
        "an address that is no name stands for itself",
        "a name stands for each of its addresses",
        "a path is kept",
        "a certificate is the name's, not the address's",
        "an address of IPv6 is in brackets",
        "a member with addresses of both kinds is one member",
    ],
)
async def test_an_url_stands_for_members(names: Names, url: str, found: list[str], expected: list[Member]) -> None:
    names.known["am"] = found
    assert list(await members_of(url)) == expected


async def test_the_machines_own_resolver_is_asked() -> None:
    assert await members_of("dns+http://localhost:9093") in {
        (Member("http://127.0.0.1:9093"),),
        (Member("http://[::1]:9093"),),
    }


async def test_a_name_that_fails_keeps_its_addresses_and_each_failure_counts_as_a_lost_post(
    names: Names, caplog: pytest.LogCaptureFixture
) -> None:
    members, metrics = members_by(NAME, "http://fixed:9093")
    names.known["alertmanager.monitoring"] = ["10.0.0.1"]
    await members.look_up()
    both = (Member("http://10.0.0.1:9093"), Member("http://fixed:9093"))
    assert (members.now, members.unknown) == (both, ())
    names.known.clear()
    await members.look_up()
    await members.look_up()
    assert (members.now, members.unknown) == (both, (NAME,))
    assert errors(metrics, NAME) == 2
    told = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert told == ["an Alertmanager's name cannot be looked up"]


async def test_a_resolver_that_hangs_is_a_failure(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members_module, "PATIENCE", 0.01)
    names.hangs = True
    members, metrics = members_by(NAME)
    assert members.unknown == (NAME,)
    await members.look_up()
    assert (members.now, members.unknown, errors(metrics, NAME)) == ((), (NAME,), 1)


async def test_the_counters_of_a_member_that_left_are_taken_away(names: Names) -> None:
    members, metrics = members_by(NAME)
    names.known["alertmanager.monitoring"] = ["10.0.0.1", "10.0.0.2"]
    await members.look_up()
    for member in members.now:
        metrics.pushes.labels(member.url, "error")
    names.known["alertmanager.monitoring"] = ["10.0.0.2"]
    await members.look_up()
    assert errors(metrics, "http://10.0.0.1:9093") is None
    assert errors(metrics, "http://10.0.0.2:9093") == 0


async def test_every_address_of_a_name_gets_every_alert_also_one_that_is_added(names: Names, tmp_path: Path) -> None:
    site = Site(tmp_path)
    await site.start()
    async with FakeAlertmanager().running() as first:
        port = int(first.url.rpartition(":")[2])
        config = Config(policies=POLICIES, alertmanager=Alertmanager(urls=(f"dns+http://am:{port}",)))
        members = Members(lambda: config, site.metrics)
        alerts = DirectAlerts(site.recorder, lambda: config, site.metrics, lambda: members.now)
        members.changed = alerts.reconsider
        names.known["am"] = ["127.0.0.1"]
        running = [asyncio.create_task(alerts.run()), asyncio.create_task(members.run())]
        try:
            await site.recorder.submit(event(int(site.clock.now), up=False, device_id="d1"))
            await eventually(lambda: "DeviceDown d1" in first.told())
            async with FakeAlertmanager().running("127.0.0.2", port) as second:
                names.known["am"] = ["127.0.0.1", "127.0.0.2"]
                members.reconsider()
                await eventually(lambda: "DeviceDown d1" in second.told())
                await site.recorder.submit(event(int(site.clock.now), up=False, device_id="d2", business="b2"))
                await eventually(lambda: "DeviceDown d2" in first.told() and "DeviceDown d2" in second.told())
                assert [one.url for one in alerts.outboxes] == [first.url, second.url]
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await site.recorder.stop()
