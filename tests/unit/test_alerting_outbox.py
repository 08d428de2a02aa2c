"""What reaches an Alertmanager, in which order, and what happens when it is away or refuses."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from exporter.alerting import outbox as outbox_module
from exporter.alerting.alert import Alert, device_labels, mass_labels
from exporter.alerting.client import Client, session
from exporter.alerting.outbox import Outbox
from exporter.config.schema import Alertmanager, Alerts, BasicAuth, Secret
from exporter.metrics.own import SelfMetrics
from tests.patience import eventually
from tests.unit.alerting_site import NOW, FakeAlertmanager, identity
from tests.unit.journal_site import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from exporter.alerting.client import Standing


def down(device_id: str = "d1", *, name: str = "DeviceDown", source: str = "exporter", **given: Any) -> Alert:
    labels = device_labels(name, identity(device_id), "critical") | {"source": source}
    return Alert(labels, NOW, given.pop("due_at", NOW), given.pop("received_at", NOW), **given)


def over(device_id: str = "d1", **given: Any) -> Alert:
    return down(device_id, ends_at=NOW + 10.0, **given)


def mass(*, ended: bool = False) -> Alert:
    return Alert(mass_labels("EngineOutage", "wa"), NOW, NOW, NOW, ends_at=NOW + 10.0 if ended else None)


def has(alert: Alert) -> dict[str, Any]:
    """Return the alert as the Alertmanager lists it."""
    return {"labels": dict(alert.labels), "startsAt": "2026-09-21T14:13:20.000Z", "fingerprint": "f"}


class Post:
    """An outbox that runs, and what it counted."""

    def __init__(self, url: str, client: Any, clock: FakeClock) -> None:
        self.metrics = SelfMetrics(CollectorRegistry())
        self.adopted: list[Standing] = []
        self.outbox = Outbox(Client(url, client), Alerts, self.metrics, clock, self.adopted.extend)
        self.url = url

    def put(self, *alerts: Alert) -> None:
        self.outbox.put(list(alerts))

    def count(self, result: str) -> float | None:
        labels = {"alertmanager": self.url, "result": result}
        return self.metrics.registry.get_sample_value("device_exporter_alert_pushes_total", labels)

    def latencies(self) -> float | None:
        return self.metrics.registry.get_sample_value("device_exporter_alert_push_latency_seconds_count")


@asynccontextmanager
async def posting(url: str, clock: FakeClock, *alerts: Alert, **settings: Any) -> AsyncIterator[Post]:
    async with session(Alertmanager(urls=(url,), **settings)) as client:
        post = Post(url, client, clock)
        post.put(*alerts)
        task = asyncio.create_task(post.outbox.run())
        try:
            yield post
        finally:
            task.cancel()
            await asyncio.wait([task])


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW + 1)


@pytest.fixture
async def alertmanager() -> AsyncIterator[FakeAlertmanager]:
    async with FakeAlertmanager().running() as fake:
        yield fake


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "FIRST_BACKOFF", 0.01)
    monkeypatch.setattr(outbox_module, "LAST_BACKOFF", 0.04)


# Order -------------------------------------------------------------------------------------------------------
async def test_an_alert_is_posted_and_acknowledged(alertmanager: FakeAlertmanager, clock: FakeClock) -> None:
    alert = down()
    async with posting(alertmanager.url, clock, alert) as post:
        await eventually(lambda: alert.acknowledged_at)
    assert alertmanager.told() == ["DeviceDown d1"]
    assert alert.acknowledged_at == NOW + 1
    assert (post.count("ok"), post.count("error"), post.latencies()) == (1, 0, 1)


async def test_who_does_not_know_what_others_know_posts_nothing_until_it_does(
    alertmanager: FakeAlertmanager, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.alerting.outbox.STALE", 0.01)
    asked: list[bool] = []

    def fresh() -> bool:
        asked.append(len(asked) > 5)
        return asked[-1]

    async with posting(alertmanager.url, clock) as post:
        post.outbox._fresh = fresh
        alert, other = down(), down("d2")
        post.put(alert)
        await eventually(lambda: len(asked) > 3)
        assert alertmanager.told() == []
        post.put(alert, other)
        await eventually(lambda: other.acknowledged_at)
    assert sorted(alertmanager.told()) == ["DeviceDown d1", "DeviceDown d2"]


async def test_what_mutes_comes_first_and_its_end_last(alertmanager: FakeAlertmanager, clock: FakeClock) -> None:
    async with posting(alertmanager.url, clock, down(), mass(), down("d2")):
        await eventually(lambda: len(alertmanager.told()) == 3)
    async with posting(alertmanager.url, clock, mass(ended=True), over("d3", acknowledged_at=NOW + 1.0)):
        await eventually(lambda: len(alertmanager.told()) == 5)
    assert alertmanager.told() == [
        "EngineOutage",
        "DeviceDown d1",
        "DeviceDown d2",
        "DeviceDown d3",
        "EngineOutage",
    ]


async def test_a_thousand_alerts_come_in_batches(alertmanager: FakeAlertmanager, clock: FakeClock) -> None:
    async with posting(alertmanager.url, clock, *(down(f"d{number}") for number in range(1000))) as post:
        await eventually(lambda: post.count("ok") == 5)
    assert len(set(alertmanager.told())) == 1000
    assert [len(batch) for batch in alertmanager.posts] == [200] * 5


# Away --------------------------------------------------------------------------------------------------------
async def test_what_was_not_taken_is_tried_again_in_its_newest_state(
    alertmanager: FakeAlertmanager, clock: FakeClock
) -> None:
    alertmanager.answers = [503, 503, 503]
    first, again = down(acknowledged_at=NOW + 1.0), down()
    async with posting(alertmanager.url, clock, first) as post:
        await eventually(lambda: post.count("error") == 1)
        first.ends_at = NOW + 10.0
        post.put(first)
        post.put(again)
        await eventually(lambda: post.count("ok") == 1)
        await eventually(lambda: again.acknowledged_at)
    assert len(alertmanager.told()) == 1
    assert alertmanager.posts[0][0]["endsAt"] > alertmanager.posts[0][0]["startsAt"]
    assert first.acknowledged_at == NOW + 1


async def test_one_that_is_away_holds_up_no_other(alertmanager: FakeAlertmanager, clock: FakeClock) -> None:
    alert = down()
    async with posting("http://127.0.0.1:1", clock, alert) as away, posting(alertmanager.url, clock, alert) as here:
        await eventually(lambda: here.count("ok") == 1)
        await eventually(lambda: (away.count("error") or 0) > 2)
    assert away.count("ok") == 0
    assert alertmanager.told() == ["DeviceDown d1"]


async def test_being_away_is_logged_once_and_so_is_coming_back(
    alertmanager: FakeAlertmanager, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    alertmanager.answers = [500, 307, 401]
    async with posting(alertmanager.url, clock, down()) as post:
        await eventually(lambda: post.count("ok") == 1)
    assert [record.message for record in caplog.records if "Alertmanager" in record.message] == [
        "an Alertmanager does not take alerts",
        "an Alertmanager takes alerts again",
    ]
    assert post.count("error") == 3


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_what_is_refused_for_good_holds_up_nothing(
    alertmanager: FakeAlertmanager, clock: FakeClock, status: int
) -> None:
    alertmanager.refused, alertmanager.answers = "d3", [status]
    alerts = [down(f"d{number}") for number in range(8)]
    async with posting(alertmanager.url, clock, *alerts) as post:
        await eventually(lambda: len(alertmanager.told()) == 7 and post.count("error"))
        post.put(down("d9"))
        await eventually(lambda: "DeviceDown d9" in alertmanager.told())
    assert "DeviceDown d3" not in alertmanager.told()
    assert post.count("error") == 1
    assert [alert.labels["device_id"] for alert in alerts if alert.acknowledged_at is None] == ["d3"]


async def test_a_way_that_is_not_needed_just_now_is_tried_out(alertmanager: FakeAlertmanager, clock: FakeClock) -> None:
    alertmanager.answers = [503]
    async with posting(alertmanager.url, clock) as post:
        await eventually(lambda: post.count("ok") == 1)
    assert (alertmanager.posts, post.count("error")) == ([[]], 1)


# What the rules told -----------------------------------------------------------------------------------------
LATE = 120.0


async def test_what_the_rules_told_meanwhile_is_left_to_them(alertmanager: FakeAlertmanager, clock: FakeClock) -> None:
    clock.now = NOW + LATE
    alertmanager.standing = [has(down(source="prometheus"))]
    alert, other = down(), down("d2")
    async with posting(alertmanager.url, clock, alert, other, down(name="DeviceDownEscalated")) as post:
        await eventually(lambda: other.acknowledged_at)
        assert alertmanager.told() == ["DeviceDown d2"]

        clock.now += 60
        post.put(alert)  # repeated; now Prometheus is gone
        alertmanager.standing = []
        await eventually(lambda: alert.acknowledged_at)


async def test_where_all_is_left_to_the_rules_the_way_is_tried_all_the_same(
    alertmanager: FakeAlertmanager, clock: FakeClock
) -> None:
    clock.now = NOW + LATE
    alertmanager.standing = [has(down(source="prometheus"))]
    async with posting(alertmanager.url, clock, down()) as post:
        await eventually(lambda: post.count("ok"))
    assert alertmanager.told() == []


async def test_what_it_has_from_us_is_ours_also_under_labels_that_the_configuration_had_before(
    alertmanager: FakeAlertmanager, clock: FakeClock
) -> None:
    alert = down(beside={"fleet": "jakarta"})
    clock.now = NOW + LATE
    ours = has(alert)
    ours["labels"]["fleet"] = "jakarta"
    alertmanager.standing = [has(down(source="prometheus")), ours]
    async with posting(alertmanager.url, clock, alert):
        await eventually(lambda: alert.acknowledged_at)


async def test_the_end_of_what_was_left_to_the_rules_is_theirs_too(
    alertmanager: FakeAlertmanager, clock: FakeClock
) -> None:
    clock.now = NOW + LATE
    alertmanager.standing = [has(down(source="prometheus"))]
    alert = down()
    async with posting(alertmanager.url, clock, alert, down("d2")) as post:
        await eventually(lambda: alertmanager.told() == ["DeviceDown d2"])
        clock.now += 10
        alert.ends_at = clock.now
        alertmanager.standing = []
        post.put(alert, down("d3"))
        await eventually(lambda: "DeviceDown d3" in alertmanager.told())
        assert "DeviceDown d1" not in alertmanager.told()

        again = down(due_at=clock.now, received_at=clock.now)
        clock.now += 10
        post.put(again)
        await eventually(lambda: again.acknowledged_at)


async def test_what_it_has_from_us_is_ours_whatever_the_rules_say(
    alertmanager: FakeAlertmanager, clock: FakeClock
) -> None:
    clock.now = NOW + LATE
    alert = down()
    alertmanager.standing = [has(down(source="prometheus")), has(alert)]
    async with posting(alertmanager.url, clock, alert):
        await eventually(lambda: alert.acknowledged_at)


@pytest.mark.parametrize("status", [403, 404, 405])
async def test_one_that_may_not_be_asked_is_told_all_the_same(
    alertmanager: FakeAlertmanager, clock: FakeClock, status: int
) -> None:
    clock.now = NOW + LATE
    alertmanager.ask_status = status
    alert = down()
    async with posting(alertmanager.url, clock, alert) as post:
        await eventually(lambda: alert.acknowledged_at)
    assert post.count("error") == 0


async def test_many_unsure_alerts_ask_once(alertmanager: FakeAlertmanager, clock: FakeClock) -> None:
    clock.now = NOW + LATE
    async with posting(alertmanager.url, clock, *(down(f"d{number}") for number in range(1000))):
        await eventually(lambda: len(alertmanager.told()) == 1000)
    assert alertmanager.asked == 1


async def test_what_it_had_of_us_is_adopted_once(alertmanager: FakeAlertmanager, clock: FakeClock) -> None:
    alertmanager.standing = [has(down()), has(down("d2", source="prometheus"))]
    alertmanager.answers = [503]
    async with posting(alertmanager.url, clock, down("d3")) as post:
        await eventually(lambda: post.count("ok") == 1)
    assert [standing.labels["device_id"] for standing in post.adopted] == ["d1"]


# Turning off, credentials --------------------------------------------------------------------------------------
async def test_a_hand_over_ends_soon_what_fires(alertmanager: FakeAlertmanager, clock: FakeClock) -> None:
    async with session(Alertmanager()) as client:
        await Post(alertmanager.url, client, clock).outbox.hand_over([down(), over("d2")], within=180)
    [[alert]] = alertmanager.posts
    assert alert["endsAt"] == "2026-09-21T14:16:21.000Z"


async def test_credentials_are_sent(alertmanager: FakeAlertmanager, clock: FakeClock) -> None:
    basic = BasicAuth("exporter", Secret("Rahasia-42"))
    async with posting(alertmanager.url, clock, down(), basic_auth=basic) as post:
        await eventually(lambda: post.count("ok") == 1)
    assert alertmanager.headers[0]["Authorization"] == "Basic ZXhwb3J0ZXI6UmFoYXNpYS00Mg=="


async def test_an_alert_from_before_the_start_is_no_latency(alertmanager: FakeAlertmanager, clock: FakeClock) -> None:
    alert = down(received_at=None)
    async with posting(alertmanager.url, clock, alert) as post:
        await eventually(lambda: alert.acknowledged_at)
    assert post.latencies() == 0


async def test_the_labels_of_the_configuration_are_on_every_post_and_no_part_of_an_alerts_identity() -> None:
    async with FakeAlertmanager().running() as alertmanager, session(Alertmanager()) as client:
        metrics, adopted = SelfMetrics(CollectorRegistry()), []
        settings = Alerts(labels={"fleet": "jakarta"})
        mine, others = has(down("d1")), has(down("d2"))
        mine["labels"]["fleet"], others["labels"]["fleet"] = "jakarta", "surabaya"
        alertmanager.standing = [mine, others]
        outbox = Outbox(Client(alertmanager.url, client), lambda: settings, metrics, FakeClock(), adopted.extend)
        outbox.put([down("d1")])
        running = asyncio.create_task(outbox.run())
        await eventually(lambda: alertmanager.posts)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert [alert["labels"]["fleet"] for post in alertmanager.posts for alert in post] == ["jakarta"]
        assert [one.labels for one in adopted] == [dict(down("d1").labels)]
