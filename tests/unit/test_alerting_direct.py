"""The direct path as a task on a real recorder, with Alertmanagers that can be turned on, off and exchanged."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from exporter.alerting.direct import DirectAlerts
from exporter.alerting.members import Members
from exporter.config.schema import Alertmanager, Alerts, Config
from tests.patience import eventually
from tests.unit.alerting_site import POLICIES, FakeAlertmanager
from tests.unit.journal_site import NOW, Site, event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Direct:
    """A site with its direct path running."""

    def __init__(self, site: Site, **given: Any) -> None:
        self.site = site
        self.config = Config(policies=POLICIES)
        self.configure(**given)
        self.members = Members(lambda: self.config, site.metrics)
        self.alerts = DirectAlerts(site.recorder, lambda: self.config, site.metrics, lambda: self.members.now)

    def configure(self, *urls: str, direct: bool = True, labels: dict[str, str] | None = None) -> None:
        self.config = msgspec.structs.replace(
            self.config,
            alertmanager=Alertmanager(urls=urls, resend_interval=60.0),
            alerts=Alerts(direct=direct, labels=labels or {}),
        )

    def reload(self, *urls: str, **given: Any) -> None:
        self.configure(*urls, **given)
        self.alerts.reconsider()

    def delivered(self) -> dict[str, float]:
        found = self.alerts.delivered(self.site.clock.now)
        return {device.identity.device_id: value for device, value in found}

    async def report(self, *, up: bool, device_id: str = "d1") -> None:
        await self.site.recorder.submit(event(int(self.site.clock.now), up=up, device_id=device_id))


@asynccontextmanager
async def running(site: Site, *urls: str, **given: Any) -> AsyncIterator[Direct]:
    direct = Direct(site)
    direct.configure(*urls, **given)
    task = asyncio.create_task(direct.alerts.run())
    try:
        yield direct
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    site = Site(tmp_path)
    await site.start()
    yield site
    await site.recorder.stop()


@pytest.fixture
async def alertmanager() -> AsyncIterator[FakeAlertmanager]:
    async with FakeAlertmanager().running() as fake:
        yield fake


BOTH = ["DeviceDown d1", "DeviceDownEscalated d1"]


def posted(alertmanager: FakeAlertmanager) -> list[str]:
    return [text for text in alertmanager.told() if text.startswith("Device")]


async def test_an_event_is_posted_to_every_alertmanager(site: Site, alertmanager: FakeAlertmanager) -> None:
    async with FakeAlertmanager().running() as second, running(site, alertmanager.url, second.url) as direct:
        await direct.report(up=False)
        await eventually(lambda: posted(alertmanager) == BOTH == posted(second))
        await eventually(lambda: direct.delivered() == {"d1": 1.0})


def fleets(alertmanager: FakeAlertmanager) -> dict[str, set[tuple[str | None, bool]]]:
    """Return which values of the label `fleet` devices were told with, and whether as over."""
    found: dict[str, set[tuple[str | None, bool]]] = {}
    for alert in (alert for post in alertmanager.posts for alert in post if "device_id" in alert["labels"]):
        is_over = datetime.fromisoformat(alert["endsAt"]).timestamp() <= NOW + 1000
        told = alert["labels"].get("fleet"), is_over
        found.setdefault(alert["labels"]["device_id"], set()).add(told)
    return found


async def test_what_fires_keeps_the_labels_of_the_configuration_that_it_was_first_posted_with(
    site: Site, alertmanager: FakeAlertmanager
) -> None:
    async with running(site, alertmanager.url, labels={"fleet": "jakarta"}) as direct:
        await direct.report(up=False)
        await eventually(lambda: posted(alertmanager) == BOTH)
        direct.reload(alertmanager.url, labels={"fleet": "bandung"})
        site.clock.now += 3
        await direct.report(up=False, device_id="d2")
        await eventually(lambda: "d2" in fleets(alertmanager))
        site.clock.now += 60
        await direct.report(up=True)
        await eventually(lambda: ("jakarta", True) in fleets(alertmanager)["d1"])
    assert fleets(alertmanager) == {"d1": {("jakarta", False), ("jakarta", True)}, "d2": {("bandung", False)}}


@pytest.mark.parametrize("up", [False, True], ids=["that still is down", "that came back meanwhile"])
async def test_a_start_with_a_new_label_goes_on_with_what_was_told_without(
    site: Site, alertmanager: FakeAlertmanager, up: bool
) -> None:
    async with running(site, alertmanager.url) as direct:
        await direct.report(up=False)
        await eventually(lambda: posted(alertmanager) == BOTH)
    before = [alert for post in alertmanager.posts for alert in post]
    alertmanager.standing = [{**alert, "fingerprint": alert["labels"]["alertname"]} for alert in before]
    alertmanager.posts.clear()
    if up:
        site.clock.now += 60
        await direct.report(up=True)
    async with running(site, alertmanager.url, labels={"fleet": "jakarta"}):
        await eventually(lambda: "d1" in fleets(alertmanager))
    assert fleets(alertmanager) == {"d1": {(None, up)}}


async def test_an_acknowledgement_counts_for_three_repetitions(site: Site, alertmanager: FakeAlertmanager) -> None:
    async with running(site, alertmanager.url) as direct:
        await direct.report(up=False)
        await eventually(lambda: direct.delivered() == {"d1": 1.0})
        alertmanager.answers = [503] * 1000
        site.clock.now += 180
        assert direct.delivered() == {"d1": 1.0}
        site.clock.now += 1
        assert direct.delivered() == {"d1": 0.0}


async def test_what_fires_is_repeated(site: Site, alertmanager: FakeAlertmanager) -> None:
    async with running(site, alertmanager.url) as direct:
        await direct.report(up=False)
        await eventually(lambda: posted(alertmanager) == BOTH)
        site.clock.now += 60
        direct.alerts.reconsider()  # the fake clock wakes nobody
        await eventually(lambda: posted(alertmanager) == BOTH * 2)


async def test_what_went_down_before_the_start_is_posted_at_the_start(
    site: Site, alertmanager: FakeAlertmanager
) -> None:
    await site.recorder.submit(event(NOW - 60, up=False))
    async with running(site, alertmanager.url):
        await eventually(lambda: posted(alertmanager) == BOTH)


async def test_a_reload_with_another_alertmanager_tells_it_everything(
    site: Site, alertmanager: FakeAlertmanager
) -> None:
    async with FakeAlertmanager().running() as second, running(site, alertmanager.url) as direct:
        await direct.report(up=False)
        await eventually(lambda: posted(alertmanager) == BOTH)
        direct.reload(second.url)
        await eventually(lambda: posted(second) == BOTH)
        site.clock.now += 3  # a second device of the business within two seconds would wait a moment
        await direct.report(up=False, device_id="d2")
        await eventually(lambda: "DeviceDown d2" in posted(second))
        assert "DeviceDown d2" not in posted(alertmanager)
        labels = {"alertmanager": second.url, "result": "error"}
        assert site.sample("alert_pushes_total", **labels) == 0


async def test_turned_off_it_lets_the_rules_take_over_and_turned_on_it_tells_what_is_down(
    site: Site, alertmanager: FakeAlertmanager
) -> None:
    async with running(site, alertmanager.url) as direct:
        await direct.report(up=False)
        await eventually(lambda: posted(alertmanager) == BOTH)
        direct.reload(alertmanager.url, direct=False)
        await eventually(lambda: posted(alertmanager) == BOTH * 2)
        firing, *_, handed_over = [
            alert for post in alertmanager.posts for alert in post if "device_id" in alert["labels"]
        ]
        assert handed_over["endsAt"] < firing["endsAt"]
        assert direct.delivered() == {}

        await direct.report(up=False, device_id="d2")
        direct.reload(alertmanager.url)
        await eventually(lambda: sorted(posted(alertmanager)[4:])[:2] == ["DeviceDown d1", "DeviceDown d2"])


async def test_without_an_alertmanager_nothing_is_delivered_nor_undelivered(site: Site) -> None:
    async with running(site) as direct:
        await direct.report(up=False)
        assert not direct.alerts.enabled
        assert direct.delivered() == {}


async def test_a_journal_that_cannot_be_read_at_the_start_is_an_error_for_who_keeps_it_running(
    site: Site, alertmanager: FakeAlertmanager, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_job: object) -> None:
        raise OSError("disk")

    direct = Direct(site)
    direct.configure(alertmanager.url)
    with monkeypatch.context() as patch:
        patch.setattr(site.recorder, "read", fail)
        with pytest.raises(ExceptionGroup):
            await direct.alerts.run()
    task = asyncio.create_task(direct.alerts.run())
    await direct.report(up=False)
    await eventually(lambda: posted(alertmanager) == BOTH)
    task.cancel()
    await asyncio.wait([task])
