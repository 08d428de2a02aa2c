"""Whether anybody is told at all, as an Alertmanager says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from exporter.alerting.client import Client, session
from exporter.alerting.members import Member
from exporter.alerting.trial import NO_JOB, NO_RECEIVER, try_out
from exporter.alerting.ways import Ways, count_ways
from exporter.config import Config
from exporter.config.schema import Alertmanager, Alerts
from exporter.metrics.own import SelfMetrics
from tests.tools import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NOBODY = "receivers:\n- name: chat\n  labels: {team: desk}\n- name: deadman\n  webhook_configs: [{url: <secret>}]\n"
SOMEBODY = "receivers:\n- name: chat\n  slack_configs: [{}]\n  telegram_configs: [{}, {}]\n"
THEIRS = "receivers:\n- name: pager\n  pagerduty_configs: [{}]\n- name: default\n  slack_configs: [{}]\n"
FLEETS = f"{THEIRS}- name: fleet-b/chat\n  slack_configs: [{{}}]\n"


class Status:
    """An Alertmanager that has a configuration and nothing else."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.text = NOBODY

    async def answer(self, _: web.Request) -> web.Response:
        return web.json_response({"config": {"original": self.text}}, status=self.status)

    async def metrics(self, _: web.Request) -> web.Response:
        return web.Response()

    async def take(self, _: web.Request) -> web.Response:
        return web.Response()


@pytest.fixture
async def alertmanager() -> AsyncIterator[Status]:
    status = Status()
    app = web.Application()
    app.router.add_get("/api/v2/status", status.answer)
    app.router.add_get("/metrics", status.metrics)
    app.router.add_post("/api/v2/alerts", status.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    status.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield status
    await runner.cleanup()


def ways_of(*urls: str, labels: dict[str, str] | None = None) -> tuple[Ways, CollectorRegistry]:
    alerts = Alerts(labels=labels or {})
    config = msgspec.structs.replace(Config(), alertmanager=Alertmanager(urls=urls), alerts=alerts)
    registry = CollectorRegistry()
    return Ways(lambda: config, SelfMetrics(registry), lambda: tuple(map(Member, urls))), registry


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(NOBODY, 0, id="a dead man's switch is nobody"),
        pytest.param(SOMEBODY, 3, id="three"),
        pytest.param(NOBODY.replace("deadman", "devices/t/deadman"), 0, id="as the Prometheus operator names them"),
        pytest.param(f"{THEIRS}- name: fleet-a/chat\n- name: fleet-a/email\n", 0, id="ours beside theirs, all off"),
        pytest.param(f"{THEIRS}- name: ns/t/chat\n- name: ns/t/email\n  email_configs: [{{}}]\n", 1, id="one of ours"),
        pytest.param(f"{THEIRS}", 2, id="theirs alone"),
        pytest.param((ROOT / "alertmanager" / "alertmanager.yml").read_text(), 8, id="everything that is shipped"),
        pytest.param("route: {}", None, id="no receivers"),
        pytest.param("{", None, id="no YAML"),
    ],
)
def test_ways_are_the_integrations_of_receivers_for_people(text: str, expected: int | None) -> None:
    assert count_ways(text) == expected


@pytest.mark.parametrize(
    ("text", "job", "expected"),
    [
        (f"{FLEETS}- name: fleet-a/chat\n", "fleet-a", 0),
        (f"{FLEETS}- name: fleet-a/chat\n", "fleet-b", 1),
        (f"{FLEETS}- name: fleet-a/chat\n", "", 1),
        (f"{FLEETS}- name: fleet-a/email\n  email_configs: [{{}}, {{}}]\n", "fleet-a", 2),
        ("receivers:\n- name: fleet-a/t/chat\n  slack_configs: [{}]\n", "fleet-a", 1),
        (THEIRS, "fleet-a", 2),
    ],
    ids=[
        "ours off, another fleet's on",
        "that other fleet",
        "no job of ours",
        "ours by mail alone",
        "a namespace of the operator that is called as the job",
        "none is ours by name",
    ],
)
def test_ways_of_another_fleet_are_none_of_ours(text: str, job: str, expected: int) -> None:
    assert count_ways(text, job) == expected


async def test_the_job_that_direct_alerts_bear_says_which_ways_are_ours(alertmanager: Status) -> None:
    alertmanager.text = f"{FLEETS}- name: fleet-a/chat\n"
    for job, nobody in (("fleet-a", "no_receiver"), ("fleet-b", None)):
        ways, _ = ways_of(alertmanager.url, labels={"job": job})
        await ways.ask()
        assert ways.nobody == nobody


async def test_an_alertmanager_without_receivers_notifies_nobody_and_the_log_says_so_once(
    alertmanager: Status, caplog: pytest.LogCaptureFixture
) -> None:
    ways, registry = ways_of(alertmanager.url)
    assert ways.nobody is None  # not known yet
    await ways.ask()
    await ways.ask()
    assert ways.nobody == "no_receiver"
    assert [record.message for record in caplog.records if "nobody" in record.message] == [
        "nobody is notified: Alertmanager has no receiver that is switched on"
    ]
    name = "device_exporter_notification_ways"
    assert registry.get_sample_value(name, {"alertmanager": alertmanager.url}) == 0

    alertmanager.text = SOMEBODY
    await ways.ask()
    assert ways.nobody is None
    assert registry.get_sample_value(name, {"alertmanager": alertmanager.url}) == 3

    alertmanager.status = 403
    await ways.ask()
    assert ways.nobody is None
    assert registry.get_sample_value(name, {"alertmanager": alertmanager.url}) is None


async def test_without_an_alertmanager_nobody_is_notified() -> None:
    ways, _ = ways_of()
    await ways.ask()
    assert ways.nobody == "no_alertmanager"


async def test_a_trial_that_goes_nowhere_says_that_routes_may_ask_for_a_job_where_it_had_none(
    alertmanager: Status,
) -> None:
    alertmanager.text = f"{FLEETS}- name: fleet-a/chat\n"
    async with session(Alertmanager(urls=(alertmanager.url,))) as opened:
        client = Client(alertmanager.url, opened)
        assert (await try_out(client, "slack", {}, patience=0)).endswith(NO_JOB)
        assert NO_JOB not in await try_out(client, "slack", {"job": "fleet-b"}, patience=0)
        assert await try_out(client, "slack", {"job": "fleet-a"}, patience=0) == NO_RECEIVER
